# SPDX-License-Identifier: Apache-2.0
"""route.explain says of a command what then happens to it, and changes nothing itself."""

import subprocess

from harness import check, equal, main
from lab import Lab, LabError, basic_config

STAGES = ["parse", "authenticate", "validate", "admission", "dedup", "identify", "policy", "quota",
          "choose", "rewrite"]


def explain(lab, **fields):
    params = {"org": "acme", "operator": 1, "intent": "status-refresh", **fields}
    return lab.rpc("route.explain", params)


def send(lab, *options):
    lab.start_send("--count", 1, "--want-reply", *options).wait(20)
    return lab.report("send")


def verdicts(lab):
    return {k: v for k, v in lab.rpc("stats")["verdicts"].items()
            if k in ("forwarded", "policy_denied", "deadline_expired", "auth_untagged")}


def test_explain_agrees_with_what_happens():
    with Lab("lfx1") as lab:
        lab.start_all(basic_config())
        before = verdicts(lab)
        passed = explain(lab)
        equal(passed["verdict"], "forwarded", "verdict")
        equal([s["stage"] for s in passed["stages"]], STAGES, "stages")
        equal(len(passed["nodes"]), 3, "nodes")
        check("100" not in passed["stages"][8]["why"], "three nodes share: " + str(passed["stages"]))
        denied = explain(lab, operator=2, intent="firmware-patch")
        equal(denied["verdict"], "policy_denied", "an observer's firmware patch")
        equal(denied["stages"][-1]["stage"], "policy", "the last stage is the one that decided")
        check("rule" in denied["stages"][-1]["why"], str(denied["stages"][-1]))
        equal(explain(lab, deadline_ms=-1000)["verdict"], "deadline_expired", "too late")
        check(explain(lab, signed=False)["stages"][-1]["stage"] == "authenticate", "no tag")
        equal(explain(lab, severity=9)["verdict"], "lcp_severity", "severity 9")
        equal(verdicts(lab), before, "explaining counts nothing")

        equal(send(lab)["answered"], 1, "the same command, really sent")
        equal(send(lab, "--operator", 2, "--intent", 5)["by_status"].get("denied"), 1, "denied")

        lab.rpc("node.drain", {"node": "n1"})
        lab.wait_for("n1 to drain", lambda: "n1 " not in str(explain(lab)["stages"][8]["why"]))
        for node in ("n2", "n3"):
            lab.rpc("node.drain", {"node": node})
        equal(explain(lab)["verdict"], "unroutable", "with all nodes drained")


def test_explain_of_a_known_id_names_its_state():
    with Lab("lfx1") as lab:
        lab.start_all(basic_config())
        equal(send(lab)["answered"], 1, "answered")
        ids = list(lab.deliveries(lab.stop_nodes()))
        equal(len(ids), 1, "ids at nodes")
        again = explain(lab, command_id=ids[0])
        equal(again["verdict"], "duplicate_answered", "an answered id")
        equal(explain(lab, command_id="ff" * 16)["verdict"], "forwarded", "an unknown id")


def test_bad_questions_get_a_located_error():
    with Lab("lfx1") as lab:
        lab.start_all(basic_config())
        for fields, word in (({"org": "nobody"}, "org"), ({"intent": "dance"}, "intent"),
                             ({"command_id": "xyz"}, "command_id"), ({"from": "here"}, "from"),
                             ({"service": "none"}, "service")):
            try:
                explain(lab, **fields)
                check(False, f"{fields} was taken")
            except LabError as error:
                check(word in str(error), f"{fields}: {error}")
        shown = subprocess.run(
            [lab.bin / "lfctl", "--socket", lab.socket, "route", "explain", "--org", "acme",
             "--intent", "status-refresh", "--operator", "1"],
            stdout=subprocess.PIPE, text=True, check=True).stdout
        check("rewrite" in shown and "forwarded" in shown, shown)


if __name__ == "__main__":
    main(globals())
