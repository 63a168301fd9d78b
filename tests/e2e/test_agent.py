# SPDX-License-Identifier: Apache-2.0
"""lf-agent beside applications that know nothing of it: the data plane learns that one stands
still before its commands time out."""

import json
import signal
import sys
import time

from harness import check, conserved, equal, main
from lab import KEYS, VIP4, Lab, basic_config, node_address

PORT = 7171       # of the nodes' applications
TIMEOUT_S = 2     # of commands
RATE = 1500       # commands a second
KEY = f"1:1:{KEYS[1]}"


def start_agent(lab, number, *options, listen=f"{PORT}/udp", key=KEY, node_id=None, name=None):
    return lab.spawn(f"n{number}", name or f"agent{number}", lab.bin / "lf-agent",
                     "--listen", listen, "--to", f"{VIP4}:7171",
                     "--node-id", node_id or number, "--key", key, *options)


def node(lab, name="n1", service="mission"):
    return next(n for n in lab.rpc("nodes.list", {"service": service}) if n["name"] == name)


def verdict(lab, name):
    return lab.rpc("stats")["verdicts"].get(name, 0)


def reported(lab, count=9):
    """So many REPORTs have come since now."""
    before = verdict(lab, "report_taken")
    lab.wait_for("REPORTs", lambda: verdict(lab, "report_taken") >= before + count, 30)


def quiet_config():
    """Nothing but answers, time-outs and REPORTs says how nodes are."""
    config = basic_config()
    config["services"][0].update(timeout=f"{TIMEOUT_S}s", probe="none", health={"warmup": 0},
                                 breaker={"failures": 1_000_000})
    return config


def stall(lab, application):
    """The application of node 1 stands still; what the data plane knew of the node when it had
    taken its weight, and how long that took."""
    lab.wait_for("an equal share", lambda: node(lab)["weight"] > 0.2, 30)
    equal(node(lab)["timeouts"], 0, "time-outs before")
    start = time.monotonic()
    application.popen.send_signal(signal.SIGSTOP)
    seen = lab.wait_for("less weight", lambda: next(
        (n for n in [node(lab)] if n["weight"] < 0.1), None), 30)
    return seen, time.monotonic() - start


def test_a_stalled_application_loses_its_weight_before_its_commands_time_out():
    with Lab("lfa1") as lab:
        applications = lab.start_all(quiet_config())
        for n in (1, 2, 3):
            start_agent(lab, n)
        reported(lab)
        send = lab.start_send("--seconds", 150, "--rate", RATE, "--timeout-ms", 30000)
        seen, seconds = stall(lab, applications[0])
        print(f"  weight {seen['weight']:.3f} after {seconds:.2f} s, time-outs {seen['timeouts']}, "
              f"health {seen['health']:.2f}, score {seen['score']:.0f}")
        equal(seen["timeouts"], 0, "commands that had timed out when the weight had fallen")
        applications[0].popen.send_signal(signal.SIGCONT)
        start = time.monotonic()
        lab.wait_for("its weight again", lambda: node(lab)["weight"] > 0.2, 90)
        print(f"  weight {node(lab)['weight']:.3f} {time.monotonic() - start:.1f} s after it went "
              f"on, time-outs {node(lab)['timeouts']}")
        send.stop()
        conserved(lab)


def test_without_an_agent_only_time_outs_tell():
    with Lab("lfa2") as lab:
        applications = lab.start_all(quiet_config())
        send = lab.start_send("--seconds", 60, "--rate", RATE, "--timeout-ms", 30000)
        seen, seconds = stall(lab, applications[0])
        print(f"  weight {seen['weight']:.3f} after {seconds:.2f} s, time-outs {seen['timeouts']}")
        check(seen["timeouts"] > 0, f"what else could have told: {seen}")
        applications[0].popen.send_signal(signal.SIGCONT)
        send.stop()
        conserved(lab)


def test_reports_of_others_are_refused():
    with Lab("lfa3", nodes=2) as lab:
        lab.start_all(basic_config(nodes=2))
        before = lab.rpc("stats")["verdicts"]
        start_agent(lab, 1, key=f"1:1:{KEYS[2]}", name="wrong-key")
        start_agent(lab, 1, key=f"2:1:{KEYS[2]}", name="wrong-owner")
        start_agent(lab, 1, node_id=77, name="unknown-node")
        for name, count in (("auth_bad_tag", 3), ("report_not_from_node", 6)):
            lab.wait_for(name, lambda: verdict(lab, name) >= before.get(name, 0) + count, 30)
        equal(verdict(lab, "report_taken"), 0, "REPORTs taken")
        start_agent(lab, 2)
        reported(lab)


def agent_says(lab, *options, prefix=()):
    process = lab.spawn("n1", "says", *prefix, lab.bin / "lf-agent", *options)
    return process.wait(30), process.output()


def test_what_the_agent_prints():
    with Lab("lfa4", nodes=1) as lab:
        lab.start_all(basic_config(nodes=1))
        status, out = agent_says(lab, "--listen", f"{PORT}/udp", "--listen", "80/tcp", "--once",
                                 "--json")
        equal(status, 0, out)
        seen = json.loads(out)
        udp, tcp = seen["ports"]
        equal((udp["port"], udp["listening"], tcp["port"], tcp["listening"]),
              (f"{PORT}/udp", 1, "80/tcp", 0), "ports")
        check(udp["receive_limit"] > 0, str(udp))
        check(seen["cpu"]["source"] in ("psi", "run-queue"), str(seen["cpu"]))
        check(seen["report"]["degraded"], "nobody listens on 80/tcp")
        status, out = agent_says(lab, "--listen", f"{PORT}/udp", "--once",
                                 prefix=["setpriv", "--bounding-set=-all"])
        equal(status, 1, out)
        check("CAP_BPF" in out and len(out.splitlines()) == 1, out)
        for wrong in (["--listen", "80"], ["--listen", "80/tcp"],
                      ["--listen", "80/tcp", "--to", VIP4, "--node-id", "1"]):
            equal(agent_says(lab, *wrong)[0], 2, f"exit status of {wrong}")


if __name__ == "__main__":
    main(globals())
