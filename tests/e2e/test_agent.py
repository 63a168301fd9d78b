# SPDX-License-Identifier: Apache-2.0
"""lf-agent beside applications that know nothing of it: the data plane learns that one stands
still before its commands time out."""

import json
import pathlib
import signal
import sys
import time

from harness import Skip, check, conserved, equal, main
from lab import KEYS, VIP4, Lab, basic_config, node_address

PEER = pathlib.Path(__file__).parent / "flow_peer.py"
WEB4, WEB_PORT = "10.71.0.100", 8080  # of the flow service
# Opens a connection every 5 ms, and waits for nothing.
OPENER = f"""
import socket, time
kept = []
while True:
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("{WEB4}", {WEB_PORT}))
    kept = kept[-10000:] + [s]
    time.sleep(0.005)
"""
PORT = 7171       # of the nodes' applications
TIMEOUT_S = 3     # of commands
RATE = 1500       # commands a second
KEY = f"1:1:{KEYS[1]}"


def need_types():
    if not pathlib.Path("/sys/kernel/btf/vmlinux").exists():
        raise Skip("the kernel has no BTF")


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


def stall(lab, application, **which):
    """The application of node 1 stands still; what the data plane knew of the node when it had
    taken its weight, and how long that took."""
    lab.wait_for("an equal share", lambda: node(lab, **which)["weight"] > 0.2, 30)
    equal(node(lab, **which)["timeouts"], 0, "time-outs before")
    start = time.monotonic()
    application.popen.send_signal(signal.SIGSTOP)
    seen = lab.wait_for("less weight", lambda: next(
        (n for n in [node(lab, **which)] if n["weight"] < 0.12), None), 30)
    return seen, time.monotonic() - start


def test_a_stalled_application_loses_its_weight_before_its_commands_time_out():
    need_types()
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
    need_types()
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


def test_a_server_that_accepts_no_connection_gets_no_more_of_them():
    """A flow service, and no command service: who knows nothing of LCP still has REPORTs."""
    need_types()
    with Lab("lfa5") as lab:
        config = basic_config()
        config["ports"][0]["addresses"].append(f"{WEB4}/24")
        config["services"] = [{
            "name": "web", "kind": "flow", "address": WEB4, "port": WEB_PORT, "protocol": "tcp",
            "mode": "nat", "probe": "none", "health": {"warmup": 0},
            "nodes": [{"name": f"n{n}", "id": n, "address": node_address(n)} for n in (1, 2, 3)]}]
        lab.start_daemon(config)
        lab.wait_for("the nodes' MAC addresses", lab.nodes_resolved)
        servers = [lab.spawn(f"n{n}", f"web{n}", sys.executable, PEER, "serve", node_address(n),
                             WEB_PORT, f"n{n}") for n in (1, 2, 3)]
        for n in (1, 2, 3):
            lab.wait_for("a listener", lambda: f":{WEB_PORT} " in lab.inside(f"n{n}", "ss",
                                                                             "-Hltn"))
            start_agent(lab, n, listen=f"{WEB_PORT}/tcp")
        reported(lab)
        opener = lab.spawn("client", "opener", sys.executable, "-c", OPENER)
        seen, seconds = stall(lab, servers[0], service="web")
        print(f"  weight {seen['weight']:.3f} after {seconds:.2f} s, score {seen['score']:.0f}")

        def opened():
            return [node(lab, f"n{n}", "web")["flows_opened"] for n in (1, 2, 3)]
        before = opened()
        lab.wait_for("300 more flows", lambda: sum(opened()) >= sum(before) + 300, 30)
        got = [b - a for a, b in zip(before, opened())]
        print(f"  flows opened from then on: {got}")
        check(got[0] < 0.2 * sum(got), f"flows opened: {got}")
        servers[0].popen.send_signal(signal.SIGCONT)
        lab.wait_for("its weight again", lambda: node(lab, service="web")["weight"] > 0.2, 60)
        opener.stop()
        conserved(lab)


def test_segments_sent_again_are_seen():
    need_types()
    with Lab("lfa6", nodes=1) as lab:
        lab.spawn("n1", "talker", sys.executable, "-c", f"""
import socket, time
s = socket.create_server(("{node_address(1)}", 80))
c, _ = s.accept()
while True:
    c.sendall(bytes(1000))
    time.sleep(0.01)
""")
        lab.wait_for("a listener", lambda: ":80 " in lab.inside("n1", "ss", "-Hltn"))
        lab.spawn("client", "listener", sys.executable, "-c", f"""
import socket
s = socket.create_connection(("{node_address(1)}", 80))
while s.recv(65536):
    pass
""")
        agent = start_agent(lab, 1, "--json", listen="80/tcp")

        def readings():
            return [json.loads(line)["ports"][0] for line in agent.output().split("\n")[:-1]
                    if line.startswith("{")]
        lab.wait_for("segments", lambda: sum(r["segments"] for r in readings()) > 100, 30)
        equal(sum(r["resent"] for r in readings()), 0, "segments sent again on a whole path")
        lab.link("client", False)
        lab.wait_for("segments sent again", lambda: any(r["resent"] for r in readings()), 60)
        equal(readings()[-1]["connections"], 1, "connections")


def agent_says(lab, *options, prefix=()):
    process = lab.spawn("n1", "says", *prefix, lab.bin / "lf-agent", *options)
    return process.wait(30), process.output()


def test_what_the_agent_prints():
    need_types()
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
        status, out = agent_says(lab, "--listen", f"{PORT}/udp", "--once", prefix=[
            "setpriv", "--bounding-set=-all,+bpf,+perfmon"])
        equal(status, 0, out)
        status, out = agent_says(lab, "--listen", f"{PORT}/udp", "--once", prefix=[
            "setpriv", "--bounding-set=-all"])
        equal(status, 1, out)
        check("CAP_BPF" in out and len(out.splitlines()) == 1, out)
        for wrong in (["--listen", "80"], ["--listen", "80/tcp"],
                      ["--listen", "80/tcp", "--to", VIP4, "--node-id", "1"]):
            equal(agent_says(lab, *wrong)[0], 2, f"exit status of {wrong}")


if __name__ == "__main__":
    main(globals())
