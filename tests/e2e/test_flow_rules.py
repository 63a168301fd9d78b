# SPDX-License-Identifier: Apache-2.0
"""What is asked of a flow besides its node: policy, quotas and audit, by whose client it comes from;
and the probes that tell which of a flow service's nodes are well."""

import json

from harness import check, conserved, equal, main
from lab import CLIENT4, CLIENT6, Lab, node_address, run
from test_flows import VIP4, client, expect_all, flow_config, start, start_peers

PORT = 7000
HOST4, HOST6 = "10.71.0.90", "fd71::90"  # of the host, for probes of its own


def rules_config(lab, *services, **overrides):
    """The client is acme's over IPv4 and globex's over IPv6. Operator 1 may do what rules say."""
    config = flow_config(*services)
    config["organisations"][0]["prefixes"] = [f"{CLIENT4}/32"]
    config["organisations"][1]["prefixes"] = [f"{CLIENT6}/128"]
    config["audit"] = {"enabled": True, "directory": str(lab.directory / "audit")}
    config.update(overrides)
    return config


def audited(lab, *options):
    out = run(lab.bin / "lfctl", "--socket", lab.socket, "--json", "audit", "query", *options,
              "--limit", "100000")
    return json.loads(out)["records"]


def verdicts(lab):
    return lab.rpc("stats")["verdicts"]


def serve_both(lab):
    start_peers(lab, lambda n: f"{node_address(n, 4)},{node_address(n, 6)}", PORT)


def test_policy_decides_about_flows_and_each_is_audited():
    with Lab("lfu1") as lab:
        rules = lab.directory / "rules.yaml"
        rules.write_text("rules:\n- {id: ours, outcome: allow, when: {org: acme}}\n")
        config = rules_config(lab, ("udp4", 4, "udp", PORT, "nat"), ("udp6", 6, "udp", PORT, "nat"),
                              policy={"store": "off", "file": str(rules)})
        for service in config["services"]:
            service["operator"] = 1
        start(lab, config)
        serve_both(lab)
        expect_all(client(lab, "udp", 4, PORT, 30), 30, "acme's flows")
        report = client(lab, "udp", 6, PORT, 5)
        equal((report["ok"], sum(report["errors"].values())), (0, 5), "globex's flows")
        equal(verdicts(lab)["policy_denied"], 5, "packets denied")

        lab.wait_for("35 records", lambda: len(audited(lab, "--kind", "decision")) == 35, 10)
        denied, allowed = audited(lab, "--outcome", "deny"), audited(lab, "--outcome", "allow")
        equal((len(denied), len(allowed)), (5, 30), "records")
        equal({(r["org"], r["verdict"], r["rule"]) for r in denied},
              {("globex", "policy_denied", "default-deny")}, "what was denied")
        equal({(r["org"], r["verdict"], r["rule"]) for r in allowed},
              {("acme", "flow_forwarded", "ours")}, "what was allowed")
        # A record says whose flow it was: the client's address for the command's id.
        address = "00000000000000000000ffff" + bytes(map(int, CLIENT4.split("."))).hex()
        equal({r["command_id"] for r in allowed}, {address}, "clients")
        equal(len({r["trace_id"] for r in allowed}), 30, "flows told apart")
        check(all("node" in r for r in allowed), "each has its node")
        one = allowed[3]
        equal(audited(lab, "--trace-id", one["trace_id"]), [one], "by trace")

        # Rules that change act on the next flows; those that were let in stay.
        version = lab.rpc("policy.load", {"text": "rules:\n- {id: theirs, outcome: allow, "
                                          "when: {org: globex}}\n"})["version"]
        lab.rpc("policy.activate", {"version": version})
        expect_all(client(lab, "udp", 6, PORT, 20), 20, "globex's flows under the other version")
        equal(lab.rpc("audit.replay")["different"], 0, "decisions that replay differently")
        conserved(lab)


def test_quotas_count_new_flows():
    with Lab("lfu2") as lab:
        config = rules_config(lab, ("udp4", 4, "udp", PORT, "nat"), ("udp6", 6, "udp", PORT, "nat"))
        config["organisations"][0]["quota"] = {"limit": "100/min", "hard": True}
        start(lab, config)
        serve_both(lab)
        report = client(lab, "udp", 4, PORT, 150)  # three datagrams each, for one that is let in
        status = lab.rpc("quota.status", {"org": "acme"})
        equal((status["used"], status["tier"], status["quota_remaining"]),
              (report["ok"], "reject", 0), "quota.status")
        equal(report["ok"], 90, "flows let in: nine tenths of the limit")
        equal((status["rejected"], verdicts(lab)["quota_rejected"]), (60, 60), "flows refused")
        expect_all(client(lab, "udp", 6, PORT, 150), 150, "flows of an organisation without a limit")
        lab.rpc("quota.set", {"org": "acme", "limit": 1000})
        again = client(lab, "udp", 4, PORT, 50)
        expect_all(again, 50, "flows after the limit was raised")
        conserved(lab)


def probed(lab, kind, break_it):
    """Three nodes are well by their probes; what breaks one shows, and new flows avoid it."""
    config = flow_config(("web", 4, "udp", PORT, "nat"), ("web6", 6, "udp", PORT, "nat"))
    for service in config["services"]:
        service["probe"] = dict(kind, interval="200ms", timeout="150ms")
        service["health"] = {"warmup": 0}
    lab.inside("dp", "sysctl", "-qw", "net.ipv6.conf.lf0.disable_ipv6=0",
               "net.ipv6.conf.lf0.accept_dad=0", "net.ipv4.ping_group_range=0 2147483647")
    lab.inside("dp", "ip", "address", "add", f"{HOST4}/24", "dev", "lf0")
    lab.inside("dp", "ip", "address", "add", f"{HOST6}/64", "dev", "lf0", "nodad")
    serve_both(lab)
    start(lab, config)

    def states(family):
        return {n["name"]: n["state"] for n in lab.rpc("nodes.list", {"service": family})}

    def all_measured():
        return all(n["measured"] and not n["stale"] and n["health"] == 1
                   for n in lab.rpc("nodes.list"))
    lab.wait_for("all nodes measured, and well", all_measured, 20)
    broken = break_it()
    for family in ("web", "web6"):
        name = f"{family}-{broken}"
        lab.wait_for(f"{name} ejected", lambda: states(family)[name] == "ejected", 20)
        equal(sorted(states(family).values()), ["active", "active", "ejected"], family)
    report = client(lab, "udp", 4, PORT, 60)
    expect_all(report, 60, "flows without the broken node")
    check(broken not in report["nodes"], f"nodes that took flows: {report['nodes']}")


def test_udp_probes_want_an_answer_with_the_right_bytes():
    with Lab("lfu3") as lab:
        def stop():
            next(p for p in lab.processes if p.name == f"peer2-{PORT}").kill()
            return "n2"
        probed(lab, {"kind": "udp", "send": "are you well?", "expect": "are you well?"}, stop)


def test_icmp_probes():
    with Lab("lfu4") as lab:
        def unplug():
            lab.link("n3", False)
            return "n3"
        probed(lab, {"kind": "icmp"}, unplug)


def test_udp_probes_of_a_node_that_answers_something_else():
    with Lab("lfu5") as lab:
        config = flow_config(("web", 4, "udp", PORT, "nat"))
        config["services"][0]["probe"] = {"kind": "udp", "send": "hello", "expect": "n2: hello",
                                          "interval": "200ms", "timeout": "150ms"}
        lab.inside("dp", "ip", "address", "add", f"{HOST4}/24", "dev", "lf0")
        serve_both(lab)
        start(lab, config)
        lab.wait_for("only n2 says what is expected", lambda: [
            n["name"] for n in lab.rpc("nodes.list") if n["state"] != "ejected"] == ["web-n2"], 20)
        equal(client(lab, "udp", 4, PORT, 20)["nodes"], {"n2": 20}, "nodes that took flows")


if __name__ == "__main__":
    main(globals())
