# SPDX-License-Identifier: Apache-2.0
"""Traffic follows how nodes really are: slow ones get less, sick ones nothing."""

import json
import time

from harness import check, conserved, equal, main
from lab import Lab, basic_config

CAPACITY = 1000                # of each node, commands a second
RATE = int(3 * CAPACITY * 0.6)  # so two nodes can't quite do it alone
LITTLE = 0.15                  # of the traffic, for a node at a third of its capacity


def node(lab, name):
    return next(n for n in lab.rpc("nodes.list") if n["name"] == name)


def received(lab):
    return [json.loads(lab.node_command(n, "get"))["received"]
            for n in range(1, lab.node_count + 1)]


def no_breaker(config):
    """Health alone decides."""
    for service in config["services"]:
        service["breaker"] = {"failures": 1_000_000}
    return config


def share_of_first(before, after):
    got = [b - a for a, b in zip(before, after)]
    return got[0] / sum(got)


def slow_down(lab, service, port):
    """One of three nodes falls to a third of its capacity. When the table gave it less than 15 %
    (None: not within three seconds) and what it got of the commands from then to the third second;
    the clients' report on the ten seconds after that, and what it got of them."""
    for n in (1, 2, 3):
        lab.node_command(n, f"set capacity {CAPACITY}")
    load = ["--target", f"10.71.0.1:{port}", "--rate", RATE, "--timeout-ms", 10000,
            "--deadline-ms", 20000]
    before = lab.start_send(*load, "--seconds", 6, name=f"{service}-before")
    time.sleep(3)
    lab.node_command(1, f"set capacity {CAPACITY // 3}")
    start, fell_s, counts = time.monotonic(), None, received(lab)
    while (now_s := time.monotonic() - start) < 3:
        share = lab.rpc("nodes.list", {"service": service})[0]["weight"]
        if fell_s is None and share < LITTLE:
            fell_s, counts = now_s, received(lab)
        time.sleep(0.02)
    after = received(lab)
    at_once = share_of_first(counts, after)
    lab.start_send(*load, "--seconds", 10, name=service).wait(60)
    later = share_of_first(after, received(lab))
    before.wait(60)
    return fell_s, at_once, lab.report(service), later


def test_a_node_at_a_third_of_its_capacity_gets_less():
    with Lab("lfh1") as lab:
        config = no_breaker(basic_config())
        fixed = dict(config["services"][0], name="fixed", port=7172,
                     health={"hysteresis": 1, "eject_below": 0})
        fixed["nodes"] = [dict(n, name=f"fixed-{n['name']}", id=10 + n["id"], port=7172)
                          for n in fixed["nodes"]]
        config["services"].append(fixed)
        lab.start_all(config, second_port=7172)
        fell_s, at_once, fixed_report, later = slow_down(lab, "fixed", 7172)
        check(fell_s is None and at_once > 0.3 and later > 0.3,
              f"fixed: {fell_s} {at_once:.2f} {later:.2f}")
        # What waits in the slow node's queue is not the next service's.
        lab.node_command(1, f"set capacity {10 * CAPACITY}")
        time.sleep(2)
        fell_s, at_once, report, later = slow_down(lab, "mission", 7171)
        fixed_p99, p99 = (r["latency_us"]["p99"] / 1000 for r in (fixed_report, report))
        check(fell_s is not None, "its share was not below 15 % within three seconds")
        print(f"  p99 {fixed_p99:.1f} ms with fixed weights, {p99:.1f} ms by health: "
              f"{fixed_p99 / p99:.1f} times lower; share below 15 % after {fell_s:.2f} s, "
              f"{at_once:.3f} of the commands until the third second, then {later:.3f}; "
              f"answered {report['answered']} of {report['unique']}")
        check(at_once < LITTLE, f"share of the commands until the third second: {at_once}")
        check(fixed_p99 >= 5 * p99, f"p99 {fixed_p99:.1f} and {p99:.1f} ms")
        conserved(lab)


def test_an_ejected_node_gets_no_command():
    with Lab("lfh2") as lab:
        config = no_breaker(basic_config())
        # So heavy that it gets nearly all there is until the moment in which it gets nothing.
        config["services"][0]["nodes"][0]["weight"] = 65535
        for n in config["services"][0]["nodes"][1:]:
            n["weight"] = 1
        lab.start_all(config, second_port=7172)
        capture = lab.capture_to_node(1)
        send = lab.start_send("--seconds", 8, "--rate", 4000)
        time.sleep(2)
        lab.node_command(1, "set fail=100 probes=0")

        def ejection():
            return next((h for h in lab.rpc("nodes.history", {"node": "n1"})
                         if h["cause"] == "health-low"), None)
        decided = lab.wait_for("the ejection", ejection, 10)
        check(decided["health"] < 0.3, str(decided))
        send.wait(30)
        equal(node(lab, "n1")["state"], "ejected", "state at the end")
        times = capture.command_times()
        decided_at = decided["at_us"] / 1e6
        late_ms = (max(times) - decided_at) * 1000
        just_before = sum(decided_at - 0.01 < t <= decided_at for t in times)
        print(f"  last command {late_ms:+.2f} ms after the decision, {just_before} in the 10 ms "
              f"before it, {sum(t > decided_at for t in times)} after it")
        check(just_before > 0, "commands were on their way to it until then")
        check(late_ms < 250, f"last command {late_ms:.1f} ms after the decision")


def test_ejected_everywhere_then_failover_then_refused():
    with Lab("lfh3") as lab:
        config = no_breaker(basic_config())
        config["services"][0].update(region="east", failover=["west"])
        for n, region in zip(config["services"][0]["nodes"], ["east", "east", "west"]):
            n["region"] = region
        lab.start_all(config, second_port=7172)
        load = ["--rate", 1000, "--want-reply", "--timeout-ms", 2000]
        send = lab.start_send(*load, "--seconds", 20, name="all")

        def all_out(*names):
            return all(node(lab, n)["state"] == "ejected" for n in names)
        time.sleep(1)
        equal(received(lab)[2], 0, "commands to the failover region")
        for n in (1, 2):
            lab.node_command(n, "set fail=100 probes=0")
        lab.wait_for("both ejected", lambda: all_out("n1", "n2"), 10)
        before = received(lab)
        lab.start_send(*load, "--count", 1000, name="failover").wait(30)
        equal(lab.report("failover")["by_status"], {"ok": 1000}, "answers of the failover region")
        after = received(lab)
        equal(after[:2], before[:2], "commands to ejected nodes")

        lab.node_command(3, "set fail=100 probes=0")
        lab.wait_for("all ejected", lambda: all_out("n1", "n2", "n3"), 10)
        before = received(lab)
        lab.start_send(*load, "--count", 1000, name="refused").wait(30)
        equal(lab.report("refused")["by_status"], {"ok": 0, "unroutable": 1000}, "answers")
        equal(received(lab), before, "commands to ejected nodes")
        send.stop()
        conserved(lab)


if __name__ == "__main__":
    main(globals())
