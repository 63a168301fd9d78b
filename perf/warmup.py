# SPDX-License-Identifier: Apache-2.0
"""A warm-up in real time: one of two equal nodes comes back from maintenance under load, and its
share of the commands, counted by the nodes themselves, is compared each second with what the ramp
0.1 * 10^(t/T) asks for. Needs root. A line a second, then the largest difference as JSON.

Beside it stands what the table gave the node in that second, and both nodes' scores: where these
differ the nodes' latencies do, and traffic rightly follows them and not the ramp alone. Other work on
the machine looks just like a slow node; `chrt --rr 1` before the command keeps it away."""

import argparse
import json
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from lab import Lab, basic_config  # noqa: E402

NEAR = 0.02
LOOK_S = 0.24  # less than an interval


def received(lab):
    return [json.loads(lab.node_command(n, "get"))["received"] for n in (1, 2)]


def wanted_share(t, warmup_s):
    ramp = 1 if t >= warmup_s else 0.1 * 10 ** (t / warmup_s)
    return ramp / (1 + ramp)


def watch(lab, until):
    """The table's share of n1, and the highest score of each node, as seen until then."""
    shares, scores = [], [0, 0]
    while (left := until - time.monotonic()) > 0:
        if left > LOOK_S / 2:
            nodes = lab.rpc("nodes.list")
            shares.append(nodes[0]["weight"])
            scores = [max(s, n["score"]) for s, n in zip(scores, nodes)]
        time.sleep(max(0, min(LOOK_S, until - time.monotonic())))
    return sum(shares) / len(shares), scores


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=4000)
    parser.add_argument("--warmup", type=int, default=60, help="seconds")
    parser.add_argument("--build", default="build", help="where the programs are")
    options = parser.parse_args()
    with Lab("lfp2", nodes=2, build=options.build) as lab:
        config = basic_config(nodes=2)
        config["services"][0]["health"] = {"warmup": f"{options.warmup}s"}
        lab.start_all(config)
        lab.rpc("node.drain", {"node": "n1"})
        lab.start_send("--seconds", options.warmup + 10, "--rate", options.rate)
        time.sleep(3)
        lab.rpc("node.undrain", {"node": "n1"})
        start = time.monotonic()
        before, worst, near, equal_scores = received(lab), (0, 0), 0, 0
        for second in range(options.warmup):
            table, scores = watch(lab, start + second + 1)
            now = received(lab)
            got = [b - a for a, b in zip(before, now)]
            before = now
            share = got[0] / max(1, sum(got))
            wanted = wanted_share(second + 0.5, options.warmup)  # in the middle of the second
            worst = max(worst, (abs(share - wanted), second))
            near += abs(share - wanted) <= NEAR
            equal_scores += max(scores) <= 1
            print(f"{second:3d} s  {sum(got):6d} commands  share {share:.4f}  wanted {wanted:.4f}  "
                  f"{share - wanted:+.4f}  table {table:.4f}  scores {scores[0]:5.2f} "
                  f"{scores[1]:5.2f}", flush=True)
        print(json.dumps({"warmup_s": options.warmup, "rate": options.rate,
                          "seconds_within_2_percent": near,
                          "seconds_with_equal_scores": equal_scores,
                          "largest_difference": round(worst[0], 4), "at_s": worst[1]}))


if __name__ == "__main__":
    main()
