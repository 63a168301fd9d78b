#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What one organisation's attack costs another: latency of an organisation well inside its quota,
alone, beside as many commands of another that are all admitted, and beside the same commands when
they are a hundred times the other's quota. The middle case tells what the machine's sharing costs
from what refusing does. Rounds in turns, medians over them; needs root. Last line: JSON."""

import argparse
import json
import pathlib
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from lab import Lab, basic_config  # noqa: E402

ATTACK = 1000  # commands a second
LIMITS = {"alone": None, "admitted": 10_000_000, "refused": ATTACK * 60 // 100}  # per minute


def one(lab, case, seconds, number):
    """The other organisation's latency, and how many of the attacker's commands were refused."""
    before = lab.rpc("stats")["verdicts"].get("quota_rejected", 0)
    attack = None
    if LIMITS[case] is not None:
        lab.rpc("quota.set", {"org": "acme", "limit": LIMITS[case]})
        attack = lab.start_send("--seconds", seconds + 2, "--rate", ATTACK, "--sockets", 8,
                                "--timeout-ms", 200, name=f"attack{number}")
    send = lab.start_send("--seconds", seconds, "--rate", 200, "--org", 2, "--sockets", 4,
                          name=f"other{number}")
    send.wait(60)
    if attack is not None:
        attack.wait(60)
    report = lab.report(f"other{number}")
    refused = lab.rpc("stats")["verdicts"].get("quota_rejected", 0) - before
    return {"case": case, "unique": report["unique"], "answered": report["answered"],
            "refused": refused, "p50_us": report["latency_us"]["p50"],
            "p99_us": report["latency_us"]["p99"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=4)
    options = parser.parse_args()
    rounds = []
    with Lab("lffair") as lab:
        lab.start_all(basic_config())
        for _ in range(options.rounds):
            for case in LIMITS:
                rounds.append(one(lab, case, options.seconds, len(rounds)))
                print(json.dumps(rounds[-1]), flush=True)
    lost = sum(r["unique"] - r["answered"] for r in rounds)
    summary = {case: {key: statistics.median(r[key] for r in rounds if r["case"] == case)
                      for key in ("refused", "p50_us", "p99_us")} for case in LIMITS}
    print(json.dumps({"lost": lost, **summary}))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
