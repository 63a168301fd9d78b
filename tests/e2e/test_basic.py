# SPDX-License-Identifier: Apache-2.0
"""Commands from a real client through the daemon to real nodes and back, over veth."""

from harness import check, conserved, equal, main
from lab import Lab, VIP6, KEYS, basic_config


def run_commands(lab, *options, timeout=60):
    send = lab.start_send(*options)
    send.wait(timeout)
    return lab.report("send")


def test_commands_reach_one_node_each_and_are_answered():
    with Lab("lfe1") as lab:
        lab.start_all(basic_config())
        report = run_commands(lab, "--count", 5000, "--rate", 5000, "--org", "1,2")
        equal(report["unique"], 5000, "unique")
        check(report["answered"] >= 4995, f"answered {report['answered']} of 5000")
        conserved(lab)
        verdicts = lab.rpc("stats")["verdicts"]
        equal(verdicts["forwarded"], 5000, "forwarded")
        shares = [n["sent"] for n in lab.rpc("nodes.list")]
        check(min(shares) > 500, f"every node takes part: {shares}")  # weights follow health
        deliveries = lab.deliveries(lab.stop_nodes())
        equal(len(deliveries), 5000, "ids that reached nodes")
        equal(max(deliveries.values()), 1, "deliveries of one id")


def test_af_xdp_port():
    with Lab("lfe2") as lab:
        lab.start_all(basic_config(port="af_xdp"))
        report = run_commands(lab, "--count", 5000, "--rate", 5000)
        check(report["answered"] >= 4995, f"answered {report['answered']} of 5000")
        deliveries = lab.deliveries(lab.stop_nodes())
        equal(max(deliveries.values()), 1, "deliveries of one id")


def test_duplicates_over_two_workers_reach_nodes_once():
    with Lab("lfe3", queues=2) as lab:
        lab.start_all(basic_config(workers=2))
        report = run_commands(lab, "--count", 10000, "--rate", 5000, "--sockets", 8,
                              "--duplicates", 30)
        equal(report["unique"], 10000, "unique")
        check(report["sent"] >= 12500, f"duplicates were sent: {report['sent']}")
        check(report["answered"] >= 9990, f"answered {report['answered']}")
        workers = [w["rx"] for w in lab.rpc("stats")["workers"]]
        check(all(rx > 0 for rx in workers), f"both workers had packets: {workers}")
        deliveries = lab.deliveries(lab.stop_nodes())
        equal(len(deliveries), 10000, "ids that reached nodes")
        equal(sum(c > 1 for c in deliveries.values()), 0, "ids that reached nodes twice")
        conserved(lab)


def test_ipv6():
    with Lab("lfe4") as lab:
        lab.start_all(basic_config(version=6), version=6)
        send = lab.spawn("client", "send6", lab.bin / "lf-send", "--json",
                         lab.directory / "send6.json", "--target", f"[{VIP6}]:7171", "--operator",
                         1, "--key", f"1:1:{KEYS[1]}", "--count", 1000, "--rate", 2000)
        send.wait(30)
        report = lab.report("send6")
        check(report["answered"] >= 999, f"answered {report['answered']}")


def test_refusals_are_named_and_answered():
    with Lab("lfe5") as lab:
        lab.start_all(basic_config())
        # Operator 2 is an observer: firmware-patch (5) is not for it.
        report = run_commands(lab, "--operator", 2, "--intent", 5, "--count", 100, "--rate", 1000,
                              "--want-reply")
        equal(report["by_status"].get("denied"), 100, "denied")
        report = run_commands(lab, "--corrupt", "tag:100", "--count", 100, "--rate", 1000,
                              "--want-reply", "--timeout-ms", 200)
        equal(report["answered"], 0, "answers to forged commands")
        verdicts = lab.rpc("stats")["verdicts"]
        equal(verdicts["policy_denied"], 100, "policy_denied")
        equal(verdicts["auth_bad_tag"], 100, "auth_bad_tag")
        conserved(lab)


def test_ping_and_drain_of_a_node():
    with Lab("lfe6") as lab:
        lab.start_all(basic_config())
        out = lab.inside("client", "ping", "-c", "3", "-i", "0.2", "-W", "1", "10.71.0.1")
        check(" 0% packet loss" in out, out)
        lab.rpc("node.drain", {"node": "n1"})
        before = {n["name"]: n["sent"] for n in lab.rpc("nodes.list")}
        report = run_commands(lab, "--count", 2000, "--rate", 4000)
        check(report["answered"] >= 1998, f"answered {report['answered']}")
        after = {n["name"]: n["sent"] for n in lab.rpc("nodes.list")}
        equal(after["n1"] - before["n1"], 0, "commands to the draining node")


def test_what_is_not_ours_goes_to_the_kernel_and_back():
    with Lab("lfe8", nodes=1) as lab:
        config = basic_config(nodes=1)
        config["ports"][0]["exception"] = "net_tap0,iface=lfk0"
        lab.start_daemon(config)
        lab.inside("dp", "ip", "address", "add", "10.71.0.100/24", "dev", "lfk0")
        lab.inside("dp", "ip", "link", "set", "lfk0", "up")
        out = lab.inside("client", "ping", "-c", "3", "-i", "0.2", "-W", "1", "10.71.0.100",
                         check=False)
        check(" 0% packet loss" in out, out)
        verdicts = lab.rpc("stats")["verdicts"]
        check(verdicts["to_kernel"] >= 4 and verdicts["from_kernel"] >= 4, str(verdicts))


def test_a_port_that_checks_checksums():
    """net_tap checks and makes them as a NIC does; a bridge joins it to the lab's cable."""
    with Lab("lfe9", nodes=2) as lab:
        config = basic_config(nodes=2)
        config["ports"][0].update(device="net_tap1,iface=lft0", offload_checksums=True)
        lab.start_nodes()
        lab.start_daemon(config)
        check("checksum offload rx on tx on" in lab.daemon.output(), lab.daemon.output())
        # The bridge would keep what is for the MAC address of a port of its own.
        lab.inside("dp", "ip", "link", "set", "dev", "lft0", "address", "02:00:00:00:00:77", "up")
        lab.inside("dp", "ip", "link", "add", "br1", "type", "bridge", "mcast_snooping", "0")
        for port in ("lf0", "lft0"):
            lab.inside("dp", "ip", "link", "set", port, "master", "br1", "up")
        lab.inside("dp", "ip", "link", "set", "br1", "up")
        lab.wait_for("the nodes' MAC addresses", lab.nodes_resolved)
        report = run_commands(lab, "--count", 5000, "--rate", 5000)
        check(report["answered"] >= 4995, f"answered {report['answered']} of 5000")
        deliveries = lab.deliveries(lab.stop_nodes())
        equal(max(deliveries.values()), 1, "deliveries of one id")
        verdicts = lab.rpc("stats")["verdicts"]
        equal(verdicts["ip_checksum"] + verdicts["udp_checksum"], 0, "wrong checksums")


def test_weights_and_reloads_under_load_lose_nothing():
    with Lab("lfe7") as lab:
        lab.start_all(basic_config())
        send = lab.start_send("--seconds", 8, "--rate", 3000, "--retries", 3)
        for i in range(1000):
            lab.rpc("node.set_weight", {"node": "n1", "weight": 50 + i % 100})
        for _ in range(20):
            lab.rpc("config.reload")
        send.wait(40)
        report = lab.report("send")
        equal(report["answered"], report["unique"], "answered")
        stats = lab.rpc("stats")
        dropped = {name: n for name, n in stats["verdicts"].items()
                   if n and name not in ("forwarded", "replied", "to_control", "answered_arp",
                                         "not_ours", "report_taken", "probe_reply_taken")}
        equal(dropped, {}, "packets that the data plane lost")
        snapshot = stats["snapshot"]
        check(snapshot["generation"] > 900, f"generations: {snapshot}")
        check(snapshot["published_us"] > 0, f"the time to all workers is measured: {snapshot}")
        deliveries = lab.deliveries(lab.stop_nodes())
        equal(len(deliveries), report["unique"], "ids that reached nodes")
        equal(max(deliveries.values()), 1, "deliveries of one id")


if __name__ == "__main__":
    main(globals())
