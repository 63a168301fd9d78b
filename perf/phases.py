# SPDX-License-Identifier: Apache-2.0
"""The measurements of rfc2544.py, each a function over a Bench: what RFC 2544 (26.1 throughput,
26.2 latency, 26.3 frame loss rate, 26.4 back-to-back) and RFC 9004 (back-to-back) describe, and two of
our own: tables swapped under load, and a soak. They return plain values for the JSON."""

import json
import os
import socket
import statistics
import threading
import time

from search import Goal, Search

ZERO, HALF_PERCENT = Goal("zero_loss", 0.0), Goal("loss_0.5_percent", 0.005)
SLIPPED_MAX = 0.02  # of a trial's frames, else it is disturbed
LOAD_MAX = 20e6     # more than lf-gen can make
RETRIES = 2         # of a disturbed trial


class Bench:
    """A rig with its generator, and how long trials are."""

    def __init__(self, rig, answer, seconds, log):
        self.rig, self.generator, self.answer = rig, rig.generator, answer
        self.seconds, self.log = seconds, log
        self.trials = self.disturbed = 0
        self.books = {"sent": 0, "nodes": 0, "answers": 0, "unanswered": 0, "strays": 0}

    def trial(self, rate, size, seconds=None, **options):
        """One trial; a disturbed one (the generator was kept from running) is made again."""
        for _ in range(RETRIES + 1):
            t = self.generator.trial(rate, seconds or self.seconds, size, **options)
            self.trials += 1
            self._enter(t)
            end = t["answers" if self.answer else "nodes"]
            t["received"], t["latency_ns"] = end["received"], end["latency_ns"]
            t["duplicated"] = end["duplicated"]
            # A frame that the port's full queue refused would be lost on a wire.
            t["loss"] = 1 - end["received"] / max(1, t["due"])
            if t["slipped"] > t["due"]:  # not even half was offered: no word on this load
                t["loss"] = 1.0
            t["forwarded"] = end["received"] / t["seconds"]
            t["offered"] = t["due"] / t["seconds"]
            if t["slipped"] <= SLIPPED_MAX * (t["due"] + t["slipped"]):
                return t
            self.disturbed += 1
        return t

    def _enter(self, t):
        books, answers = self.books, t.get("answers", {"received": 0, "duplicated": 0})
        books["sent"] += t["sent"]
        books["nodes"] += t["nodes"]["received"] + t["nodes"]["duplicated"]
        books["answers"] += (answers["received"] + answers["duplicated"]
                             + sum(t["from_data_plane"].values()))
        books["unanswered"] += t["unanswered"]
        books["strays"] += t["strays"]

    def short(self, t):
        """What of a trial is worth keeping."""
        return {k: t[k] for k in ("rate", "offered", "forwarded", "loss", "due", "received",
                                  "duplicated", "refused", "slipped", "gap_us_max")} | {
            "latency_us": {k: v / 1e3 for k, v in t["latency_ns"].items() if k != "buckets"}}


def throughput(bench, size, width, votes):
    """RFC 2544 26.1 at no loss, and at 0.5 %."""
    flat_out = bench.trial(0, size)
    search = Search(lambda load: bench.short(bench.trial(load, size)), width=width, votes=votes,
                    load_max=LOAD_MAX)
    found = search.run([ZERO, HALF_PERCENT], hint=flat_out["forwarded"])
    trials = [t for load in sorted(search.trials) for t in search.trials[load]]
    bench.log(f"{size:5} bytes, forwarded: {found['zero_loss']['forwarded']:,.0f}/s without loss, "
              f"{found['loss_0.5_percent']['forwarded']:,.0f}/s at 0.5 %, {flat_out['forwarded']:,.0f}/s "
              f"flat out ({len(trials)} trials)")
    return {"size": size, "flat_out": bench.short(flat_out), **found, "trials": trials}


def loss_curve(bench, size, rate_max, steps=10):
    """RFC 2544 26.3: from the highest rate down, until twice nothing is lost."""
    points, clean = [], 0
    for step in range(steps, 0, -1):
        points.append(bench.short(bench.trial(rate_max * step / steps, size)))
        clean = clean + 1 if points[-1]["loss"] == 0 else 0
        if clean == 2:
            break
    return points


def back_to_back(bench, size, throughput_rate, repetitions, frames_max=1 << 18):
    """RFC 9004: the longest burst at the generator's full speed of which nothing is lost, and the
    buffer time that follows from it."""
    lengths, rates = [], []

    def lossless(frames):
        t = bench.trial(50e6, size, seconds=2, count=frames, catch_up_us=2_000_000)
        rates.append(t["offered"])
        return t["due"] == frames and t["loss"] == 0

    for _ in range(repetitions):
        good, bad = 0, None
        frames = 256
        while frames <= frames_max and (bad is None or bad - good > max(16, good // 50)):
            if lossless(frames):
                good = frames
            else:
                bad = frames
            frames = good * 2 if bad is None else (good + bad) // 2
        lengths.append(good)
    average, rate = statistics.mean(lengths), statistics.median(rates)
    implied = average / rate
    return {"size": size, "frames": average, "frames_min": min(lengths), "frames_max": max(lengths),
            "repetitions": repetitions, "burst_rate": rate, "implied_buffer_us": implied * 1e6,
            "corrected_buffer_us": max(0.0, implied * (1 - throughput_rate / rate)) * 1e6}


def latency(bench, size, rate, seconds, shares=(0.5, 0.9, 0.99)):
    """RFC 2544 26.2, every frame timed instead of one."""
    rows = []
    for share in shares:
        t = bench.trial(rate * share, size, seconds, buckets=True)
        rows.append({"share": share, **bench.short(t), "buckets": t["latency_ns"]["buckets"],
                     "to_node_us": {k: v / 1e3 for k, v in t["nodes"]["latency_ns"].items()
                                    if k != "buckets"}})
    return rows


class Changer(threading.Thread):
    """Sets weights through the control socket, a batch of JSON-RPC calls at a time. Each call builds
    tables and publishes them before the next one is looked at."""

    def __init__(self, path, nodes, per_second, nice=0, batch=10):
        super().__init__(daemon=True)
        self.path, self.nodes, self.per_second, self.batch = str(path), nodes, per_second, batch
        self.nice = nice
        self.ended, self.calls, self.error = threading.Event(), 0, None

    def run(self):
        try:
            # This thread alone goes where generator and control thread are, not onto the worker's
            # CPU; with a lower priority than theirs it would not get to ask there.
            thread = threading.get_native_id()
            os.sched_setaffinity(thread, {0})
            os.setpriority(os.PRIO_PROCESS, thread, self.nice)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
                s.settimeout(30)
                s.connect(self.path)
                with s.makefile("r") as answers:
                    self._change(s, answers)
        except (OSError, ValueError) as error:
            self.error = str(error)

    def _change(self, s, answers):
        start = time.monotonic()
        while not self.ended.is_set():
            calls = [{"jsonrpc": "2.0", "id": i, "method": "node.set_weight",
                      "params": {"node": f"n{1 + (self.calls + i) % self.nodes}",
                                 "weight": 50 + (self.calls + i) * 37 % 100}}
                     for i in range(self.batch)]
            s.sendall(json.dumps(calls).encode() + b"\n")
            wrong = [a["error"]["message"] for a in json.loads(answers.readline()) if "error" in a]
            if wrong:
                raise ValueError(wrong[0])
            self.calls += self.batch
            ahead = start + self.calls / self.per_second - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)


def reconfiguration(bench, size, rate, seconds, per_second, nodes):
    """Frames lost because tables are swapped while they pass, as time at this rate: the "effective
    blocked time" of FD.io CSIT's reconfiguration tests. The same trial without changes beside it."""
    still = bench.trial(rate, size, seconds)
    changer = Changer(bench.rig.socket, nodes, per_second, bench.rig.nice)
    before = bench.rig.rpc("stats")
    changer.start()
    start = time.monotonic()
    busy = bench.trial(rate, size, seconds)  # may take several times `seconds`
    changer.ended.set()
    changer.join(30)
    took = time.monotonic() - start
    after = bench.rig.rpc("stats")
    verdicts = {name: count - before["verdicts"].get(name, 0)
                for name, count in after["verdicts"].items()}
    lost = {"still": still["due"] - still["received"], "swapping": busy["due"] - busy["received"]}
    return {"size": size, "rate": rate, "seconds": seconds, "wanted_per_second": per_second,
            "changes_per_second": changer.calls / took, "error": changer.error,
            "swaps_per_second": (after["snapshot"]["generation"]
                                 - before["snapshot"]["generation"]) / took,
            "lost": lost,
            # Lost and not among them: the ring to the daemon was full.
            "verdicts": {name: count for name, count in verdicts.items() if count},
            "blocked_us": {k: v / rate * 1e6 for k, v in lost.items()},
            "latency_us": {"still": bench.short(still)["latency_us"],
                           "swapping": bench.short(busy)["latency_us"]}}


def soak(bench, size, rate, seconds, piece_s=10):
    pieces, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        t = bench.short(bench.trial(rate, size, min(piece_s, seconds)))
        pieces.append({"at_s": round(seconds - (end - time.monotonic())), **t})
        bench.log(f"soak {pieces[-1]['at_s']:6} s: loss {t['loss']:.2e}, p99 "
                  f"{t['latency_us']['p99']:.0f} us")
    due, received = sum(p["due"] for p in pieces), sum(p["received"] for p in pieces)
    return {"size": size, "rate": rate, "seconds": seconds, "due": due, "received": received,
            "lost": due - received, "pieces": pieces}
