# SPDX-License-Identifier: Apache-2.0
"""Searches for throughput as MLRsearch does (draft-ietf-bmwg-mlrsearch): several goals, each with a
loss ratio, share their trials; a load is judged by the majority of its trials, so that one disturbed
trial decides nothing.

What is taken from the draft: goals with loss ratio, exceed ratio (a half) and width; a load is a
lower bound of a goal when more than half of its trials lose no more than the ratio, an upper bound
when more than half lose more; a trial's loss counts frames that could not be offered as lost;
the result is the relevant lower and upper bound and the conditional throughput (what was forwarded at the
lower bound). What is not: trials that grow from short to long, and targets of intermediate phases; all
trials are of full length. Pure: the caller measures."""

import math
import statistics


class Goal:
    def __init__(self, name, loss_ratio):
        self.name, self.loss_ratio = name, loss_ratio


class Search:
    """`measure(load)` gives a trial: a mapping with at least `loss` (0..1) and `forwarded` (a second)."""

    def __init__(self, measure, width=0.02, votes=3, load_min=1000.0, load_max=math.inf, loads_max=40):
        self.measure, self.width, self.votes = measure, width, votes
        self.load_min, self.load_max, self.loads_max = load_min, load_max, loads_max
        self.trials = {}  # load: [trial]

    def judge(self, load, goal):
        """True: a lower bound. False: an upper one. None: not known yet."""
        trials = self.trials.get(load, [])
        good = sum(t["loss"] <= goal.loss_ratio for t in trials)
        if good * 2 > self.votes:
            return True
        return False if (len(trials) - good) * 2 > self.votes else None

    def bounds(self, goal):
        """Highest load that is good with no bad one below it, and lowest bad one; None without."""
        upper = min((x for x in self.trials if self.judge(x, goal) is False), default=None)
        lower = max((x for x in self.trials if self.judge(x, goal)
                     and (upper is None or x < upper)), default=None)
        return lower, upper

    def next_load(self, goal, hint, step):
        """Where to look next, None when done. `step` widens while one bound is missing."""
        lower, upper = self.bounds(goal)
        if lower is None and upper is None:
            return min(max(hint, self.load_min), self.load_max)
        if upper is None:
            return None if lower >= self.load_max else min(lower * (1 + step), self.load_max)
        if lower is None:
            return None if upper <= self.load_min else max(upper / (1 + step), self.load_min)
        return None if upper <= lower * (1 + self.width) else math.sqrt(lower * upper)

    def run(self, goals, hint):
        """{goal's name: result}, from the most lenient goal to the strictest."""
        results = {}
        for goal in sorted(goals, key=lambda g: -g.loss_ratio):
            step = 2 * self.width
            for _ in range(self.loads_max):
                load = self.next_load(goal, hint, step)
                if load is None:
                    break
                while self.judge(load, goal) is None:
                    self.trials.setdefault(load, []).append(self.measure(load))
                if None in self.bounds(goal):
                    step *= 2
            results[goal.name] = self.result(goal)
            hint = results[goal.name]["load"] or hint
        return results

    def result(self, goal):
        lower, upper = self.bounds(goal)
        good = [t for t in self.trials.get(lower, []) if t["loss"] <= goal.loss_ratio]
        return {"loss_ratio": goal.loss_ratio, "load": lower or 0, "upper": upper,
                "forwarded": statistics.median(t["forwarded"] for t in good) if good else 0,
                "trials": sum(map(len, self.trials.values()))}
