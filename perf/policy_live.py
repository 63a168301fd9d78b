#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Live commands through a real daemon with compare mode and audit on: does every decision agree with
the plain functions, and is every one found again?

    sudo perf/policy_live.py [--commands 1000000] [--rate 20000] [--json FILE]

Commands of two organisations, all intents, severities, operators with and without rights. Exit 0
only if there was no disagreement, the audit chain is whole with nothing lost, every record
evaluates again to what it says, and a rule changed on purpose is found."""

import argparse
import json
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import provision  # noqa: E402  (needs the path above)

CHANGED = """rules:
- {id: deny-patches, outcome: deny, when: {intent: firmware-patch}}
- {id: rest, outcome: allow}
"""


def send(lab, count, rate, name):
    process = lab.start_send("--count", count, "--rate", rate, "--org", "1,2", "--intent", "1-7",
                             "--severity", "1-5", "--operator", "1-5", "--random", "--timeout-ms",
                             500, "--sockets", 8, name=name)
    process.wait(60 + 3 * count / rate)
    return lab.report(name)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=20_000, help="commands a second")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    provision.install("run", "test")
    provision.build(targets=["latticeforge", "lfctl", "lf-send", "lf-node"])
    from lab import Lab, basic_config  # pylint: disable=import-outside-toplevel

    with Lab("lfpl") as lab:
        config = basic_config()
        config["operators"] += [
            {"id": 3, "name": "carol", "roles": ["flight-director"], "mfa_level": 2},
            {"id": 4, "name": "dave", "roles": ["security"], "mfa_level": 1}]
        config["audit"] = {"enabled": True, "directory": str(lab.directory / "audit")}
        lab.start_all(config)

        lab.rpc("policy.compare", {"action": "start"})
        began = time.monotonic()
        sent = send(lab, args.commands, args.rate, "send")
        seconds = time.monotonic() - began
        compare = lab.rpc("policy.compare", {"action": "stop"})

        version = lab.rpc("policy.load", {"text": CHANGED})["version"]
        lab.rpc("policy.activate", {"version": version})
        lab.rpc("policy.compare", {"action": "start"})
        send(lab, 5000, 5000, "changed")
        changed = lab.rpc("policy.compare", {"action": "stop"})
        lab.rpc("policy.rollback")

        time.sleep(1)  # the audit writer's longest block
        verify, replay = lab.rpc("audit.verify"), lab.rpc("audit.replay")
        verdicts = {k: n for k, n in lab.rpc("stats")["verdicts"].items() if n}
    result = {"sent": sent["sent"], "seconds": round(seconds, 1), "verdicts": verdicts,
              "compared": compare["compared"], "disagreements": compare["disagreements"],
              "disagreements_with_a_changed_rule": changed["disagreements"],
              "audit": verify, "replayed": replay["decisions"], "different": replay["different"]}
    print(json.dumps(result, indent=1))
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(result, indent=1) + "\n")
    good = (compare["disagreements"] == 0 and changed["disagreements"] > 0 and verify["intact"]
            and verify["lost"] == 0 and replay["different"] == 0)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
