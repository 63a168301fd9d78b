# SPDX-License-Identifier: Apache-2.0
"""XDP steering: an af_xdp port shared with the kernel, its end, the deny list, and reloads."""

import contextlib
import json

from harness import check, conserved, equal, main
from lab import CLIENT4, CLIENT6, VIP4, VIP6, Lab, LabError, basic_config, node_address
import test_flows as flow_tests

NOBODY = "02:00:00:00:00:ee"
HOST4 = "10.71.0.100"  # of the kernel only
PORT = 7171            # of commands, and of the host's TCP server: as near as they can be
ECHO_SERVER = f"""
import socket
s = socket.create_server(("0.0.0.0", {PORT}))
while True:
    c, _ = s.accept()
    c.sendall(b"host:" + c.recv(100))
    c.close()
"""


def start_host(lab, *addresses):
    """The kernel's side of the data plane's interface: addresses and a TCP server."""
    for address in addresses:
        lab.inside("dp", "ip", "address", "add", f"{address}/24", "dev", "lf0")
    lab.spawn("dp", "host", "python3", "-c", ECHO_SERVER)


def over_tcp(lab, address):
    """What the host's server answers to a client; the error's text if it does not."""
    program = (f"import socket; s = socket.create_connection(('{address}', {PORT}), 5); "
               "s.sendall(b'hello'); print(s.recv(100).decode())")
    return lab.inside("client", "python3", "-c", program, check=False).strip()


def check_host(lab, address, when):
    lab.wait_for(f"TCP to {address} {when}", lambda: over_tcp(lab, address) == "host:hello", 10)
    out = lab.inside("client", "ping", "-c", "3", "-i", "0.2", "-W", "2", address, check=False)
    check(" 0% packet loss" in out, f"ping {address} {when}: {out}")


def check_commands(lab, name, count=500):
    lab.start_send("--count", count, "--rate", 2000, "--retries", 3, name=name).wait(30)
    equal(lab.report(name)["answered"], count, f"answered ({name})")


def steering(lab):
    return lab.rpc("xdp.list")["ports"][0]


def attached(lab):
    return "xdp" in lab.inside("dp", "ip", "link", "show", "dev", "lf0")


def received(lab):
    return sum(w["rx"] for w in lab.rpc("stats")["workers"])


def quiet_config():
    """Nothing but the client's commands reaches a worker: no probes, no ARP, a node that is not."""
    config = basic_config(port="af_xdp", nodes=1)
    config["services"][0]["nodes"][0]["mac"] = NOBODY
    config["services"][0]["probe"] = {"kind": "none"}
    return config


def start_quiet(lab, config):
    for address in (VIP4, "10.71.0.50", VIP6):
        lab.inside("client", "ip", "neighbour", "replace", address, "lladdr", "02:00:00:00:00:01",
                   "dev", "eth0", "nud", "permanent")
    lab.start_daemon(config)


def send(lab, count, target=f"{VIP4}:{PORT}"):
    """Commands whose answers nobody waits for."""
    lab.start_send("--count", count, "--rate", 5000, "--target", target, "--timeout-ms", 10).wait(30)


def test_commands_are_ours_and_the_rest_is_the_hosts():
    with Lab("lfx1", nodes=2) as lab:
        start_host(lab, HOST4)
        lab.start_all(basic_config(port="af_xdp", nodes=2))
        check_host(lab, HOST4, "beside the daemon")
        check_commands(lab, "beside")
        out = lab.inside("client", "ping", "-c", "2", "-i", "0.2", "-W", "2", VIP4, check=False)
        check(" 0% packet loss" in out, f"ping of an address that only we have: {out}")
        counts = steering(lab)
        check(counts["steered"] >= 1000 and counts["passed"] > 5, f"counts: {counts}")
        equal(counts["no_socket"], 0, "packets of ours without a socket")
        verdicts = lab.rpc("stats")["verdicts"]
        equal(verdicts["not_ours"], 0, "packets of the host's that workers saw")
        conserved(lab)
        equal(lab.daemon.stop(), 0, "exit status")
        check(not attached(lab), "an XDP program stays behind")
        check_host(lab, HOST4, "after the daemon")


def test_an_address_may_be_shared_with_the_host():
    with Lab("lfx2", nodes=2) as lab:
        start_host(lab, VIP4)
        lab.start_all(basic_config(port="af_xdp", nodes=2))  # resolves nodes by copies of answers
        check(steering(lab)["copied"] >= 2, f"copies: {steering(lab)}")
        check_host(lab, VIP4, "at the address of the commands")
        check_commands(lab, "shared")
        equal(lab.rpc("stats")["verdicts"]["not_ours"], 0, "packets of the host's that workers saw")


def test_addresses_come_and_go_while_the_daemon_runs():
    with Lab("lfx3", nodes=1) as lab:
        lab.start_all(basic_config(port="af_xdp", nodes=1))
        check("timed out" in over_tcp(lab, VIP4), "TCP to an address that only we have")
        start_host(lab, VIP4)
        check_host(lab, VIP4, "once the host has it, too")
        check_commands(lab, "came")
        lab.inside("dp", "ip", "address", "del", f"{VIP4}/24", "dev", "lf0")
        lab.wait_for("echo requests come to us again", lambda: (
            lab.inside("client", "ping", "-c", "1", "-W", "1", VIP4, check=False),
            lab.rpc("stats")["verdicts"]["answered_echo"])[1] > 0)
        check_commands(lab, "gone")


def test_kill_9_leaves_the_host_reachable():
    with Lab("lfx4", nodes=1) as lab:
        start_host(lab, HOST4, VIP4)
        for life in ("first", "second"):
            lab.start_daemon(basic_config(port="af_xdp", nodes=1))
            check(attached(lab), "no XDP program")
            check_host(lab, HOST4, f"in the {life} life")
            lab.daemon.kill()
            lab.wait_for("the program is gone", lambda: not attached(lab), 10)
            check_host(lab, HOST4, f"after the {life} kill -9")
            check_host(lab, VIP4, f"after the {life} kill -9")
        lab.start_all(basic_config(port="af_xdp", nodes=1))
        check_commands(lab, "third")


def test_denied_packets_never_reach_a_worker():
    with Lab("lfx5", nodes=1) as lab:
        start_quiet(lab, quiet_config())
        send(lab, 300)
        before = received(lab)
        equal(before, 300, "packets that workers saw")
        lab.rpc("xdp.deny", {"prefix": "10.71.0.0/28"})
        lab.rpc("xdp.deny", {"prefix": CLIENT4})  # the longer one counts
        send(lab, 1000)
        equal(received(lab) - before, 0, "denied packets that workers saw")
        rows = {d["prefix"]: d for d in lab.rpc("xdp.list")["deny"]}
        equal(rows[f"{CLIENT4}/32"]["packets"], 1000, "denied packets")
        equal(rows["10.71.0.0/28"]["packets"], 0, "denied packets of the shorter prefix")
        check(rows[f"{CLIENT4}/32"]["bytes"] >= 1000 * 122, f"bytes: {rows}")
        equal(lab.rpc("stats")["verdicts"]["xdp_denied"], 1000, "verdict xdp_denied")
        conserved(lab)
        lab.rpc("xdp.allow", {"prefix": f"{CLIENT4}/32"})
        lab.rpc("xdp.allow", {"prefix": "10.71.0.0/28"})
        send(lab, 200)
        equal(received(lab) - before, 200, "packets that workers saw once allowed")
        with contextlib.suppress(LabError):
            lab.rpc("xdp.allow", {"prefix": CLIENT4})
            raise AssertionError("what is not listed was taken off")


def test_denied_over_ipv6_and_by_configuration():
    with Lab("lfx6", nodes=1) as lab:
        config = quiet_config()
        config["services"].append({"name": "six", "address": VIP6, "port": PORT,
                                   "probe": {"kind": "none"},
                                   "nodes": [{"name": "s1", "id": 61, "address": "fd71::11",
                                              "mac": NOBODY}]})
        config["xdp"] = {"deny": [f"{CLIENT6}/128"]}
        start_quiet(lab, config)
        send(lab, 100, f"[{VIP6}]:{PORT}")
        equal(received(lab), 0, "denied packets that workers saw")
        send(lab, 100)
        equal(received(lab), 100, "packets over IPv4 that workers saw")
        lab.rpc("xdp.allow", {"prefix": CLIENT6})
        send(lab, 100, f"[{VIP6}]:{PORT}")
        equal(received(lab), 200, "packets that workers saw once allowed")
        lab.rpc("config.reload")  # what the configuration denies is denied again
        send(lab, 100, f"[{VIP6}]:{PORT}")
        equal(received(lab), 200, "packets that workers saw after the reload")
        config["xdp"]["deny"] = []
        (lab.directory / "latticeforge.yaml").write_text(json.dumps(config))
        lab.rpc("config.reload")
        send(lab, 100, f"[{VIP6}]:{PORT}")
        equal(received(lab), 300, "packets that workers saw with nothing denied")


def test_steering_follows_a_reload():
    with Lab("lfx7", nodes=1) as lab:
        config = quiet_config()
        start_quiet(lab, config)
        send(lab, 100)
        send(lab, 100, f"10.71.0.50:{PORT}")
        equal(received(lab), 100, "packets that workers saw")
        config["services"][0]["address"] = "10.71.0.50"
        config["ports"][0]["addresses"] = ["10.71.0.50/24", f"{VIP6}/64"]
        (lab.directory / "latticeforge.yaml").write_text(json.dumps(config))
        lab.rpc("config.reload")
        send(lab, 100)
        equal(received(lab), 100, "packets to the old address that workers saw")
        send(lab, 100, f"10.71.0.50:{PORT}")
        equal(received(lab), 200, "packets to both addresses that workers saw")


def flow_over_xdp(*services, **flows):
    config = flow_tests.flow_config(*services, nodes=2, **flows)
    config["ports"][0]["device"] = basic_config(port="af_xdp")["ports"][0]["device"]
    return config


def test_flows_by_nat_over_a_port_shared_with_the_host():
    """Clients' packets and nodes' answers are ours, the host's own connections are the host's."""
    with Lab("lfx9", nodes=2) as lab:
        start_host(lab, HOST4, VIP4)  # the address that nodes see is the host's, too
        config = flow_over_xdp(("tcp4", 4, "tcp", 7000, "nat"), ("udp4", 4, "udp", 7000, "nat"),
                               ("tcp6", 6, "tcp", 7000, "nat"), nat_ports="16384-30000")
        config["ports"][0]["addresses"].remove(f"{flow_tests.VIP4}/24")  # HOST4 of this file
        for service in config["services"][:2]:
            service["address"] = VIP4
        flow_tests.start(lab, config)
        check("ip_local_port_range" not in lab.daemon.output(), lab.daemon.output())
        flow_tests.start_peers(lab, lambda n: f"{node_address(n, 4)},{node_address(n, 6)}", 7000)

        def through(what, address, count):
            process = lab.spawn("client", f"{what}-{address}", flow_tests.sys.executable,
                                flow_tests.PEER, what, address, 7000, count)
            process.wait(120)
            flow_tests.expect_all(json.loads(process.output().splitlines()[-1]), count,
                                  f"{what} to {address}")
        through("tcp", VIP4, 300)
        through("udp", VIP4, 300)
        through("bulk", VIP4, 10)
        through("tcp", flow_tests.VIP6, 300)
        check_host(lab, HOST4, "beside flows")
        check_host(lab, VIP4, "at the address of the flows")
        # The host's own connection to a node: its answers come to a port of its own.
        program = (f"import socket; s = socket.create_connection(('{node_address(1)}', 7000), 5); "
                   "s.sendall(b'hello\\n'); print(s.recv(100).decode().strip())")
        equal(lab.inside("dp", "python3", "-c", program).strip(), "n1: hello", "the host's own")
        verdicts = lab.rpc("stats")["verdicts"]
        check(verdicts["flow_returned"] > 1000, f"answers that came through us: {verdicts}")
        equal(steering(lab)["no_socket"], 0, "packets of ours without a socket")
        conserved(lab)


def test_ports_that_the_host_uses_too_are_warned_of():
    with Lab("lfxa", nodes=2) as lab:
        lab.inside("dp", "ip", "address", "add", f"{VIP4}/24", "dev", "lf0")
        config = flow_over_xdp(("tcp4", 4, "tcp", 7000, "nat"), nat_ports="20000-40000")
        config["ports"][0]["addresses"].remove(f"{flow_tests.VIP4}/24")
        config["services"][0]["address"] = VIP4
        path = lab.directory / "check.yaml"

        def checked():
            path.write_text(json.dumps(config))
            return lab.inside("dp", lab.bin / "latticeforge", "--check", "--config", path)
        lab.inside("dp", "sysctl", "-qw", "net.ipv4.ip_local_port_range=39001 60999")
        out = checked()
        check("warning" in out and "share 1000 ports" in out and VIP4 in out, out)
        lab.start_daemon(config)
        check("share 1000 ports" in lab.daemon.output(), lab.daemon.output())
        config["flows"]["nat_ports"] = "20000-39000"
        check("warning" not in checked(), "ports apart")


def test_an_organisation_beyond_its_quota_is_denied_in_the_driver_for_a_while():
    with Lab("lfxb", nodes=1) as lab:
        config = flow_over_xdp(("udp4", 4, "udp", 7000, "nat"))
        config["ports"][0]["addresses"].remove(f"{flow_tests.VIP4}/24")
        config["services"] = [dict(s, address=VIP4, nodes=s["nodes"][:1])
                              for s in config["services"]]
        config["organisations"][0].update(prefixes=[f"{CLIENT4}/32"],
                                          quota={"limit": "50/min", "hard": True})
        config["xdp"] = {"push": {"quota": True, "after": "2s", "for": "4s", "above_per_s": 20}}
        flow_tests.start(lab, config)
        flood = lab.spawn("client", "flood", "python3", "-c",
                          "import socket, time\n"
                          "while True:\n"
                          "  s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                          f"  s.sendto(b'x', ('{VIP4}', 7000)); s.close(); time.sleep(0.005)\n")

        def row():
            return next(iter(lab.rpc("xdp.list")["deny"]), None)
        denied = lab.wait_for("the prefix on the deny list", row, 20)
        equal((denied["prefix"], denied["reason"], denied["pushed"], denied["configured"]),
              (f"{CLIENT4}/32", "quota of acme", True, False), "who and why")
        check(0 < denied["left_s"] <= 4, f"left: {denied}")
        lab.wait_for("packets dropped in the driver", lambda: (row() or {"packets": 0})["packets"] > 10,
                     20)
        lab.wait_for("its end", lambda: row() is None, 20)
        lab.wait_for("once more, for it goes on", row, 20)
        lab.rpc("xdp.allow", {"prefix": CLIENT4})
        equal(row(), None, "taken back by an operator")
        flood.stop()
        conserved(lab)


def test_an_organisation_that_policy_denies_everything():
    with Lab("lfxc", nodes=1) as lab:
        config = flow_over_xdp(("udp4", 4, "udp", 7000, "nat"))
        config["ports"][0]["addresses"].remove(f"{flow_tests.VIP4}/24")
        config["services"] = [dict(s, address=VIP4, nodes=s["nodes"][:1], operator=1)
                              for s in config["services"]]
        config["organisations"][0]["prefixes"] = [f"{CLIENT4}/32"]
        config["organisations"][1]["prefixes"] = ["10.71.0.0/27"]  # the node's, too: never pushed
        config["xdp"] = {"push": {"policy": True, "after": "1s"}}
        flow_tests.start(lab, config)
        check("never denies 10.71.0.0/27 of globex" in lab.daemon.output(), lab.daemon.output())

        def denied():
            return [(d["prefix"], d["reason"]) for d in lab.rpc("xdp.list")["deny"]]
        equal(denied(), [], "under the rules that ship")
        version = lab.rpc("policy.load", {"text": "rules:\n"
                                          "- {id: out, outcome: deny, when: {org: [acme, globex]}}\n"
                                          "- {id: rest, outcome: allow}\n"})["version"]
        lab.rpc("policy.activate", {"version": version})
        lab.wait_for("acme's prefix", lambda: denied() == [(f"{CLIENT4}/32", "policy of acme")], 20)
        lab.rpc("policy.rollback", {})
        lab.wait_for("its end", lambda: denied() == [], 20)


def test_steering_can_be_switched_off():
    with Lab("lfx8", nodes=1) as lab:
        start_host(lab, HOST4)
        lab.start_all(basic_config(port="af_xdp", nodes=1, xdp={"steering": False}))
        check_commands(lab, "unsteered")
        equal(lab.rpc("xdp.list"), {"ports": [], "deny": []}, "xdp.list")
        check(over_tcp(lab, HOST4) != "host:hello", "the host is reachable, too")


if __name__ == "__main__":
    main(globals())
