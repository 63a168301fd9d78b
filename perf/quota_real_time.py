#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An organisation at twice its quota for three minutes of real time, through the daemon: what was
admitted in any 60 s, where the tiers began, and how late delayed commands left. Needs root.

    perf/quota_real_time.py [--seconds 180] [--limit 6000] [--first] [--json FILE]

Lateness is from the end of the delay that the client was told of to the kernel's receipt for the
node: it has the way through three veth pairs in it and, where other programs want the cores, the
worker's turn to run. With --first the daemon's threads run before other programs (SCHED_FIFO), as
they would on cores of their own.
"""

import argparse
import bisect
import json
import os
import pathlib
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests" / "e2e")]
import lcp_ends  # noqa: E402  (need the path above)
from lab import KEYS, Lab, VIP4, basic_config, node_address  # noqa: E402

PYTHON = "/usr/bin/python3"


def run(seconds, limit, first):
    with Lab("lfqr", nodes=1) as lab:
        config = basic_config(nodes=1)
        config["organisations"][0]["quota"] = f"{limit}/min"
        program, out = ROOT / "tests" / "e2e" / "lcp_ends.py", lab.directory
        node = lab.spawn("n1", "node", PYTHON, program, "node", out / "node.json", node_address(1))
        lab.wait_for("the node listens", (out / "node.json.listens").exists)
        daemon = lab.start_daemon(config)
        for thread in os.listdir(f"/proc/{daemon.pid}/task") if first else []:
            os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(20))
        lab.wait_for("the node's MAC address", lab.nodes_resolved)
        rate = 2 * limit / 60
        client = lab.spawn("client", "client", PYTHON, program, "client", out / "client.json", VIP4,
                           1, KEYS[1], rate, int(rate * seconds))
        if client.wait(seconds + 60) != 0:
            raise RuntimeError(client.output())
        status, stats = lab.rpc("quota.status", {"org": "acme"}), lab.rpc("stats")
        node.stop()
        return lcp_ends.read(out / "client.json"), lcp_ends.read(out / "node.json"), status, stats


def most_in(times, span):
    """The largest number of times within any half-open span."""
    return max(bisect.bisect_left(times, t + span) - i for i, t in enumerate(times))


def evaluate(events, arrivals, limit):
    sent = {e["n"]: e["sent"] for e in events if "sent" in e}
    first = {}
    for e in events:
        if "at" in e:
            first.setdefault(e["n"], e)
    start = min(sent.values())
    admitted = sorted(sent[n] for n in first if first[n]["status"] in ("ok", "delayed"))
    at = {a["n"]: a["at"] for a in arrivals}
    late_ms = sorted((at[n] - sent[n]) * 1e3 - first[n]["throttle_ms"]
                     for n in first if first[n]["status"] == "delayed" and n in at)
    tiers = [first[n]["status"] for n in sorted(first)]
    by_second = {}
    for n, e in first.items():
        counts = by_second.setdefault(int(sent[n] - start), {})
        counts[e["status"]] = counts.get(e["status"], 0) + 1
    return {
        "limit": limit, "offered": len(sent), "unanswered": len(sent) - len(first),
        "admitted": len(admitted), "reached_the_node": len(at),
        "allowed_max": int(limit * 0.9),
        "admitted_in_any_60_s_max": most_in(admitted, 60.0),
        "admitted_in_any_61_s_max": most_in(admitted, 61.0),
        "first_delayed_at_count": tiers.index("delayed") + 1 if "delayed" in tiers else None,
        "first_rejected_at_count": tiers.index("throttled") + 1 if "throttled" in tiers else None,
        "late_ms": {"samples": len(late_ms), "min": late_ms[0],
                    "p50": statistics.median(late_ms),
                    "p99": late_ms[int(len(late_ms) * 0.99)], "max": late_ms[-1],
                    "within_2_ms_percent": 100 * bisect.bisect_right(late_ms, 2.0) / len(late_ms)},
        "by_second": by_second,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--limit", type=int, default=6000, help="commands a minute")
    parser.add_argument("--first", action="store_true", help="the daemon runs before all others")
    parser.add_argument("--json", metavar="FILE", help="write the result there, seconds and all")
    args = parser.parse_args()
    events, arrivals, status, stats = run(args.seconds, args.limit, args.first)
    result = evaluate(events, arrivals, args.limit)
    result["status_at_the_end"] = status
    result["forwarded"] = stats["verdicts"]["forwarded"]
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(result, indent=1) + "\n")
    for name, value in result.items():
        if name not in ("by_second", "status_at_the_end"):
            print(f"{name}: {value}")
    ok = (result["admitted_in_any_60_s_max"] <= result["allowed_max"]
          and result["admitted"] == result["forwarded"] and result["unanswered"] == 0)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
