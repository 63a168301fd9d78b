# SPDX-License-Identifier: Apache-2.0
"""Nodes and regions die under load: what clients see, and what the data plane does about it."""

import json
import time

from harness import check, conserved, equal, main
from lab import Lab, basic_config, run

RATE = 5000  # commands a second


def replayable_config(nodes=3, **service):
    config = basic_config(nodes=nodes)
    config["intents"] = [{"name": "status-refresh", "code": 1, "clearance": 1, "replayable": True}]
    # A budget for all that a node can have in flight at this rate.
    config["replay"] = {"packets": 8192, "timeout": "60s"}
    config["services"][0].update({"timeout": "100ms",
                                  # A busy machine's hiccups are not a dead node.
                                  "breaker": {"failures": 20, "window": "1s"}}, **service)
    return config


def breaker(lab, name):
    return next(b for b in lab.rpc("breakers.list")["breakers"] if b["node"] == name)


def node(lab, name):
    return next(n for n in lab.rpc("nodes.list") if n["name"] == name)


def send_while(lab, break_it, seconds=6, rate=RATE):
    """Commands at a steady rate; something breaks after two seconds."""
    send = lab.start_send("--seconds", seconds, "--rate", rate, "--want-reply", "--deadline-ms",
                          5000, "--timeout-ms", 5000)
    time.sleep(2)
    break_it()
    send.wait(60)
    return lab.report("send")


def expect_nothing_lost(lab, report):
    status = lab.rpc("replay.status")
    runs = [(r["node"], r["events"], r["sent"], r["stage"]) for r in status["runs"]]
    print(f"  {report['unique']} commands: {report['by_status']}, replayed {status['replayed']}, "
          f"refused {status['refused']}, runs {runs}, p99 {report['latency_us']['p99']} us")
    equal(report["lost"], 0, "commands without an answer")
    equal(report["duplicate_answers"], 0, "second answers")
    check(set(report["by_status"]) <= {"ok", "unroutable"}, f"answers: {report['by_status']}")
    equal(status["unkept"] + status["expired"], 0, "commands that were not kept, or too long")
    conserved(lab)


def test_kill_9_of_one_node_of_three_loses_nothing():
    with Lab("lfr1") as lab:
        nodes = lab.start_all(replayable_config())
        report = send_while(lab, nodes[0].kill)
        equal(breaker(lab, "n1")["state"], "open", "the dead node's breaker")
        check(lab.rpc("stats")["replays"] > 0, "something was in flight and sent again")
        expect_nothing_lost(lab, report)


def test_a_machine_that_falls_silent_loses_nothing():
    """No ICMP error tells that it is gone: only time-outs do."""
    with Lab("lfr2") as lab:
        lab.start_all(replayable_config())
        report = send_while(lab, lambda: lab.link("n1", False))
        equal(breaker(lab, "n1")["cause"], "failures", "why the breaker opened")
        replays = lab.rpc("stats")["replays"]
        check(replays > RATE / 3 * 0.05, f"a time-out's worth was sent again: {replays}")
        expect_nothing_lost(lab, report)


def test_replay_over_two_workers():
    with Lab("lfr3", queues=2) as lab:
        config = replayable_config()
        config["dataplane"]["workers"] = 2
        config["ports"] = basic_config(workers=2)["ports"]
        lab.start_all(config)
        send = lab.start_send("--seconds", 6, "--rate", RATE, "--want-reply", "--sockets", 8,
                              "--deadline-ms", 5000, "--timeout-ms", 5000)
        time.sleep(2)
        lab.link("n1", False)
        send.wait(60)
        check(all(w["rx"] > 0 for w in lab.rpc("stats")["workers"]), "both workers had packets")
        expect_nothing_lost(lab, lab.report("send"))


def test_icmp_errors_open_the_breaker_before_any_time_out():
    with Lab("lfr4") as lab:
        nodes = lab.start_all(replayable_config(timeout="5s", breaker={"failures": 3}))
        report = send_while(lab, nodes[0].kill)
        # The kernel sends six errors at once and then one a second, so three are on their way.
        n1 = node(lab, "n1")
        check(n1["failures"] >= 3 and n1["timeouts"] == 0, f"failures: {n1}")
        equal(breaker(lab, "n1")["state"], "open", "the dead node's breaker")
        expect_nothing_lost(lab, report)


def test_without_replay_commands_in_flight_are_lost_and_no_more():
    with Lab("lfr5") as lab:
        config = replayable_config()
        config["intents"][0]["replayable"] = False
        lab.start_all(config)
        report = send_while(lab, lambda: lab.link("n1", False), seconds=4)
        print(f"  lost {report['lost']} of {report['unique']}")
        check(report["lost"] > 0, "what was in flight to the dead node")
        check(report["lost"] < RATE, f"lost for a second and more: {report['lost']}")
        equal(lab.rpc("stats")["replays"], 0, "replays")


def test_what_could_not_be_kept_or_sent_again_is_counted_and_audited():
    """The only node falls silent; the pool has room for some of what is in flight to it."""
    with Lab("lfr8", nodes=1) as lab:
        config = replayable_config(nodes=1)
        config["replay"]["packets"] = 64
        config["audit"] = {"enabled": True, "directory": str(lab.directory / "audit")}
        lab.start_all(config)

        def audited(outcome):
            return json.loads(lfctl(lab, "--json", "audit", "query", "--outcome", outcome,
                                    "--limit", "100000"))["records"]
        # Too few to open the breaker, and gone before it could.
        lab.node_command(1, "set silent=100")
        lab.start_send("--count", 10, "--rate", 1000, "--deadline-ms", 200, "--timeout-ms",
                       400).wait(30)
        lab.wait_for("their end", lambda: lab.rpc("replay.status")["expired"] == 10, 10)
        lab.wait_for("and its records", lambda: len(audited("replay_expired")) == 10, 10)
        equal({(r["verdict"], r["replay"]) for r in audited("replay_expired")},
              {("none", "replay_expired")}, "expired ones")
        lab.node_command(1, "set silent=0")

        send_while(lab, lambda: lab.link("n1", False), seconds=4)
        lab.wait_for("the replay's end", lambda: all(
            r["stage"] == "done" for r in lab.rpc("replay.status")["runs"]), 60)
        status, stats = lab.rpc("replay.status"), lab.rpc("stats")
        by_reason = {name: count for name, count in stats["verdicts"].items()
                     if name.startswith("replay_") and count > 0}
        print(f"  refused {by_reason}, unkept {status['unkept']}")
        check(status["unkept"] > 0 and status["refused"] > 0, f"both happened: {status}")
        equal(sum(by_reason.values()), status["refused"], "verdicts of refused replays")
        lab.wait_for("records of all", lambda: (
            len(audited("replay_refused")), len(audited("replay_unkept"))) == (
            status["refused"], status["unkept"]), 10)
        refused = [r["verdict"] for r in audited("replay_refused")]
        equal({v: refused.count(v) for v in set(refused)}, by_reason, "audited refusals")
        equal({r["verdict"] for r in audited("replay_unkept")}, {"forwarded"}, "unkept ones")
        conserved(lab)


def test_a_region_dies_and_returns_by_warm_up():
    with Lab("lfr6") as lab:
        config = replayable_config(
            region="east", failover=["west"],
            breaker={"failures": 20, "window": "1s", "open": "1s", "open_max": "1s"},
            probe={"kind": "lcp", "interval": "200ms", "timeout": "100ms"},
            health={"warmup": "6s"})
        for n, region in zip(config["services"][0]["nodes"], ["east", "east", "west"]):
            n["region"] = region
        lab.start_all(config)
        send = lab.start_send("--seconds", 25, "--rate", 2000, "--want-reply", "--deadline-ms",
                              5000, "--timeout-ms", 5000)
        time.sleep(2)
        equal(node(lab, "n3")["sent"], 0, "commands to the region that stands by")
        for name in ("n1", "n2"):
            lab.link(name, False)
        died = time.monotonic()
        lab.wait_for("traffic in the failover region", lambda: node(lab, "n3")["sent"] > 0, 10)
        print(f"  in the next region after {time.monotonic() - died:.2f} s at most")
        lab.wait_for("all of it there", lambda: node(lab, "n3")["weight"] > 0.99, 10)

        for name in ("n1", "n2"):
            lab.link(name, True)
        warming = lab.wait_for("a node of the first region warms up", lambda: [
            n for n in lab.rpc("nodes.list") if n["name"] != "n3" and 0 < n["weight"]], 20)
        shares = [n["weight"] for n in warming]
        check(max(shares) < 0.3, f"they begin with a tenth of their share: {shares}")
        lab.wait_for("the first region has its traffic again",
                     lambda: node(lab, "n3")["weight"] == 0, 20)
        send.wait(60)
        expect_nothing_lost(lab, lab.report("send"))


def lfctl(lab, *arguments):
    return run(lab.bin / "lfctl", "--socket", lab.socket, *arguments)


def test_an_operator_trips_and_resets_a_breaker():
    with Lab("lfr7", nodes=1) as lab:
        lab.start_all(replayable_config(nodes=1))

        def statuses():
            lab.start_send("--count", 200, "--rate", 1000, "--want-reply").wait(30)
            return set(lab.report("send")["by_status"]) - {"ok"} or {"ok"}

        def received():
            return json.loads(lab.node_command(1, "get"))["received"]

        equal(statuses(), {"ok"}, "answers")
        lfctl(lab, "rpc", "breaker.trip", "node=n1")
        equal(breaker(lab, "n1")["cause"], "tripped", "cause")
        before = received()
        equal(statuses(), {"unroutable"}, "answers while it is open")
        equal(received(), before, "commands that the node got meanwhile")
        lfctl(lab, "rpc", "breaker.reset", "node=n1")
        equal(statuses(), {"ok"}, "answers after the reset")
        history = [h["cause"] for h in lab.rpc("nodes.history", {"node": "n1"})]
        equal(history, ["started", "breaker-opened", "breaker-closed"], "the node's history")
        out = lfctl(lab, "rpc", "breakers.list")
        check("n1" in out and "closed" in out, out)


if __name__ == "__main__":
    main(globals())
