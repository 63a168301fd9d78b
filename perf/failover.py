# SPDX-License-Identifier: Apache-2.0
"""How fast a dead node is noticed, and what that costs: one node of three dies under load, killed
(its kernel answers with ICMP errors) or silent (nothing tells), with and without replay. The time
is that from the death to the last command on the wire to the node, as captured on the switch. Needs
root. One line of JSON a case; `--rate`, `--repeat`."""

import argparse
import json
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from lab import Lab, basic_config  # noqa: E402


def config(replayable):
    c = basic_config()
    c["intents"] = [{"name": "status-refresh", "code": 1, "clearance": 1,
                     "replayable": replayable}]
    c["replay"] = {"packets": 8192, "timeout": "60s"}
    c["services"][0]["timeout"] = "100ms"  # and breakers as they are by default: 5 in 30 s
    return c


def one_case(death, replayable, rate):
    with Lab("lfp1") as lab:
        nodes = lab.start_all(config(replayable))
        capture = lab.capture_to_node(1)
        send = lab.start_send("--seconds", 6, "--rate", rate, "--want-reply", "--deadline-ms", 5000,
                              "--timeout-ms", 5000)
        time.sleep(3)
        died = time.time()
        if death == "killed":
            nodes[0].popen.kill()
        else:
            lab.link("n1", False)
            died = time.time()  # the command itself takes some milliseconds
        send.wait(60)
        report, status = lab.report("send"), lab.rpc("replay.status")
        late = [t - died for t in capture.command_times() if t > died]
        return {"death": death, "replay": replayable, "rate": rate,
                "to_last_ms": round(max(late, default=0) * 1000, 1), "sent_to_dead": len(late),
                "unique": report["unique"], "lost": report["lost"],
                "by_status": report["by_status"], "replayed": status["replayed"],
                "second_answers": report["duplicate_answers"],
                "p99_us": report["latency_us"]["p99"], "max_us": report["latency_us"]["max"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=5000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    for death in ("killed", "silent"):
        for replayable in (True, False):
            for _ in range(options.repeat):
                print(json.dumps(one_case(death, replayable, options.rate)), flush=True)


if __name__ == "__main__":
    main()
