# SPDX-License-Identifier: Apache-2.0
"""Start, stop, kill and restart of the daemon and of its clients."""

import json
import time

from harness import ROOT, check, equal, main
from lab import CLIENT4, Lab, LabError, basic_config, run


def test_sigterm_drains_and_ends_with_0():
    with Lab("lfl1", nodes=1) as lab:
        lab.start_all(basic_config(nodes=1))
        send = lab.start_send("--seconds", 3, "--rate", 1000, "--want-reply", "--timeout-ms", 500)
        time.sleep(1.5)
        equal(lab.daemon.stop(), 0, "exit status")
        send.wait(30)
        report = lab.report("send")
        # What was answered came from a node, or the data plane said that it stops.
        check(set(report["by_status"]) <= {"ok", "busy"}, f"answers: {report['by_status']}")
        check("draining" in lab.daemon.output(), lab.daemon.output())


def test_kill_9_over_af_xdp_and_start_again():
    with Lab("lfl2", nodes=1) as lab:
        lab.start_daemon(basic_config(port="af_xdp", nodes=1))
        lab.daemon.kill()
        lab.start_all(basic_config(port="af_xdp", nodes=1))
        lab.start_send("--count", 200, "--rate", 1000, "--retries", 3).wait(30)
        equal(lab.report("send")["answered"], 200, "answered")


def test_kill_9_of_a_client_in_mid_stream():
    with Lab("lfl3", nodes=1) as lab:
        lab.start_all(basic_config(nodes=1))
        send = lab.start_send("--seconds", 20, "--rate", 3000, name="victim")
        time.sleep(1)
        send.kill()
        lab.start_send("--count", 500, "--rate", 1000, "--retries", 3).wait(30)
        equal(lab.report("send")["answered"], 500, "answered")
        equal(lab.rpc("status")["state"], "running", "state")


def test_a_reload_is_taken_whole_or_not_at_all():
    with Lab("lfl4", nodes=2) as lab:
        config = basic_config(nodes=2)
        lab.start_daemon(config)
        path = lab.directory / "latticeforge.yaml"
        config["services"][0]["nodes"].pop()
        bad = json.dumps(config, indent=1).replace('"port": 7171', '"port": "no port"')
        path.write_text(bad)
        try:
            lab.rpc("config.reload")
            raise AssertionError("a broken configuration was taken")
        except Exception as error:
            check("latticeforge.yaml:" in str(error), f"the error has a position: {error}")
        equal([n["name"] for n in lab.rpc("nodes.list")], ["n1", "n2"], "nodes")
        path.write_text(json.dumps(config))
        lab.rpc("config.reload")
        equal([n["name"] for n in lab.rpc("nodes.list")], ["n1"], "nodes")


def test_a_reload_that_fails_late_leaves_nothing_behind():
    with Lab("lfl6", nodes=1) as lab:
        config = basic_config(nodes=1)
        rules = lab.directory / "rules.yaml"
        rules.write_text("rules: [{id: all, outcome: allow}]")
        config["policy"] = {"file": str(rules), "store": str(lab.directory / "policy.db")}
        config["organisations"][0]["quota"] = {"limit": "100/min"}
        lab.start_daemon(config)
        organisation = config["organisations"][0]["name"]
        path = lab.directory / "latticeforge.yaml"

        def seen():
            return (lab.rpc("policy.list")["active"]["base"],
                    lab.rpc("quota.status", {"org": organisation})["limit"],
                    [n["name"] for n in lab.rpc("nodes.list")])

        before = seen()
        config["organisations"][0]["quota"] = {"limit": "50/min"}
        config["services"][0]["nodes"][0]["name"] = "other"
        path.write_text(json.dumps(config))
        # The rules can be read, but tell more roles apart than a compiled program can.
        roles = ", ".join(f"r{i}" for i in range(17))
        rules.write_text(f"rules: [{{id: all, outcome: deny, when: {{role: [{roles}]}}}}]")
        for _ in range(2):
            try:
                lab.rpc("config.reload")
                raise AssertionError("rules that do not compile were taken")
            except LabError as error:
                check("rules.yaml" in str(error) and "17 roles" in str(error), str(error))
            equal(seen(), before, "what is in force")
        rules.write_text("rules: [{id: all, outcome: deny}]")
        lab.rpc("config.reload")
        equal(seen(), (before[0] + 1, 50, ["other"]), "what is in force after a good reload")


def test_a_broken_configuration_is_refused_with_its_place():
    with Lab("lfl5", nodes=0) as lab:
        path = lab.directory / "bad.yaml"
        path.write_text("dataplane:\n  workers: many\n")
        out = run(lab.bin / "latticeforge", "--check", "--config", path, check=False)
        check(f"{path}:2:" in out, out)


def test_every_example_starts_and_answers():
    for path in sorted((ROOT / "docs" / "examples").glob("*.yaml")):
        if path.name == "baremetal.yaml":  # needs NICs; test_control.py checks it
            continue
        with Lab("lfl6", nodes=0) as lab:
            daemon = lab.start_daemon(path.read_text())
            if path.name != "minimal.yaml":  # that one has a null port
                lab.inside("client", "ip", "address", "add", "10.7.0.200/24", "dev", "eth0")
                out = lab.inside("client", "ping", "-c", "3", "-i", "0.2", "-W", "2", "10.7.0.1",
                                 check=False)
                check(" 0% packet loss" in out, f"{path.name}: {out}")
            equal(daemon.stop(), 0, f"{path.name}: exit status")


def test_the_kernel_behind_the_exception_port_resolves_neighbours():
    with Lab("lfl7", nodes=1) as lab:
        config = basic_config(nodes=1)
        config["ports"][0]["exception"] = "net_tap0,iface=lfk0"
        lab.start_daemon(config)
        lab.inside("dp", "ip", "address", "add", "10.71.0.100/24", "dev", "lfk0")
        lab.inside("dp", "ip", "link", "set", "lfk0", "up")
        # The kernel speaks first here: it must get the answer to its own ARP request.
        out = lab.inside("dp", "ping", "-c", "3", "-i", "0.2", "-W", "2", CLIENT4, check=False)
        check(" 0% packet loss" in out, out)


if __name__ == "__main__":
    main(globals())
