# SPDX-License-Identifier: Apache-2.0
"""Start, stop, kill and restart of the daemon and of its clients."""

import time

from harness import check, equal, main
from lab import Lab, basic_config, run


def test_sigterm_drains_and_ends_with_0():
    with Lab("lfl1", nodes=1) as lab:
        lab.start_daemon(basic_config(nodes=1))
        lab.start_node(1)
        lab.wait_for("the node's MAC address", lab.nodes_resolved)
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
        lab.start_daemon(basic_config(port="af_xdp", nodes=1))
        lab.start_node(1)
        lab.wait_for("the node's MAC address", lab.nodes_resolved)
        lab.start_send("--count", 200, "--rate", 1000, "--retries", 3).wait(30)
        equal(lab.report("send")["answered"], 200, "answered")


def test_kill_9_of_a_client_in_mid_stream():
    with Lab("lfl3", nodes=1) as lab:
        lab.start_daemon(basic_config(nodes=1))
        lab.start_node(1)
        lab.wait_for("the node's MAC address", lab.nodes_resolved)
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
        good = path.read_text()
        path.write_text(good.replace('"port": 7171', '"port": "no port"'))
        before = lab.rpc("status")["generation"]
        try:
            lab.rpc("config.reload")
            raise AssertionError("a broken configuration was taken")
        except Exception as error:
            check("latticeforge.yaml:" in str(error), f"the error has a position: {error}")
        equal(lab.rpc("status")["generation"], before, "generation")
        config["services"][0]["nodes"].pop()
        import json
        path.write_text(json.dumps(config))
        lab.rpc("config.reload")
        equal([n["name"] for n in lab.rpc("nodes.list")], ["n1"], "nodes")


def test_a_broken_configuration_is_refused_with_its_place():
    with Lab("lfl5", nodes=0) as lab:
        path = lab.directory / "bad.yaml"
        path.write_text("dataplane:\n  workers: many\n")
        out = run(lab.bin / "latticeforge", "--check", "--config", path, check=False)
        check(f"{path}:2:" in out, out)


if __name__ == "__main__":
    main(globals())
