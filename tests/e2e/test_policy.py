# SPDX-License-Identifier: Apache-2.0
"""Policy in the running daemon: denied, held and approved commands, versions under load, audit."""

from harness import check, conserved, equal, main
from lab import KEYS, Lab, VIP4, basic_config

RISKY = 50  # a target whose commands are held


def policy_config(lab, **overrides):
    config = basic_config(**overrides)
    config["operators"] += [
        {"id": 3, "name": "carol", "roles": ["flight-director"], "mfa_level": 2},
        {"id": 4, "name": "dave", "roles": ["security"], "mfa_level": 2},
    ]
    config["targets"] = [{"id": RISKY, "risk": 70}]
    config["audit"] = {"enabled": True, "directory": str(lab.directory / "audit")}
    return config


def send(lab, *options, name="send"):
    process = lab.start_send(*options, name=name)
    process.wait(60)
    return lab.report(name)


def approve(lab, command_id, operator):
    process = lab.spawn("client", f"approve{operator}", lab.bin / "lf-send", "approve", "--target",
                        f"{VIP4}:7171", "--key", f"1:1:{KEYS[1]}", "--org", 1, "--operator",
                        operator, "--id", command_id, "--timeout-ms", 200)
    process.wait(20)


def held(lab, count):
    lab.wait_for(f"{count} held commands",
                 lambda: len(lab.rpc("held.list")["held"]) == count)
    return lab.rpc("held.list")["held"]


def audit(lab, count, **query):
    """Records that match, once there are `count`."""
    def found():
        return len(lab.rpc("audit.query", dict(query, limit=1000))["records"]) >= count
    lab.wait_for(f"{count} audit records of {query}", found, 10)
    return lab.rpc("audit.query", dict(query, limit=1000))["records"]


def test_an_observer_may_not_and_the_audit_says_why():
    with Lab("lfpa") as lab:
        lab.start_all(policy_config(lab))
        send(lab, "--count", 20, "--rate", 200, "--operator", 2, "--intent", 3, "--want-reply")
        equal(lab.rpc("stats")["verdicts"]["policy_denied"], 20, "denied")
        records = audit(lab, 20, outcome="deny")
        equal(len(records), 20, "records")
        equal({r["rule"] for r in records}, {"clearance-below-intent"}, "rule")
        one = records[7]
        equal(lab.rpc("audit.query", {"trace_id": one["trace_id"]})["records"], [one], "by trace")
        conserved(lab)


def test_a_held_command_goes_on_when_two_have_approved():
    with Lab("lfpb") as lab:
        lab.start_all(policy_config(lab))
        sender = lab.start_send("--count", 1, "--intent", 1, "--target-id", RISKY, "--want-reply",
                                "--hold-ms", 20000, "--deadline-ms", 30000, "--timeout-ms", 20000)
        command = held(lab, 1)[0]
        equal(command["approvals_needed"], 2, "approvals needed")
        for operator in (1, 99, 3, 3):  # issued it; unknown; counts; the same again
            approve(lab, command["command_id"], operator)
        lab.wait_for("the approval", lambda: held(lab, 1)[0]["approved_by"] == [3])
        approve(lab, command["command_id"], 4)
        held(lab, 0)
        sender.wait(30)
        equal(lab.report("send")["answered"], 1, "answered")
        events = [r["event"] for r in audit(lab, 3, command_id=command["command_id"], kind="event")]
        equal(events, ["approval", "approval", "release"], "events")
        equal(lab.rpc("stats")["verdicts"]["forwarded"], 1, "forwarded")
        conserved(lab)


def test_refused_and_expired():
    with Lab("lfpc") as lab:
        lab.start_all(policy_config(lab))
        for deadline_ms, name in ((30000, "refused"), (2500, "expired")):
            lab.start_send("--count", 1, "--intent", 1, "--target-id", RISKY, "--want-reply",
                           "--hold-ms", 15000, "--deadline-ms", deadline_ms, "--timeout-ms", 15000,
                           name=name)
        longest = max(held(lab, 2), key=lambda c: c["deadline_us"])
        lab.rpc("held.refuse", {"command_id": longest["command_id"]})
        held(lab, 0)
        verdicts = lambda: lab.rpc("stats")["verdicts"]  # noqa: E731
        lab.wait_for("both ends", lambda: verdicts().get("held_refused") == 1
                     and verdicts().get("held_expired") == 1)
        for process in lab.processes:
            if process.name in ("refused", "expired"):
                process.wait(20)
        conserved(lab)


def test_versions_change_under_load_and_every_record_replays():
    with Lab("lfpd") as lab:
        lab.start_all(policy_config(lab))
        lab.rpc("policy.compare", {"action": "start"})
        sender = lab.start_send("--seconds", 6, "--rate", 1500, "--org", "1,2", "--intent", "1-5",
                                "--severity", "1-5", "--operator", "1-4")
        lab.wait_for("commands", lambda: lab.rpc("stats")["received"] > 500)
        version = lab.rpc("policy.load", {"text": "rules:\n"
                                          "- {id: not-globex, outcome: deny, when: {org: globex}}\n"
                                          "- {id: rest, outcome: allow}"})["version"]
        for _ in range(4):
            lab.rpc("policy.activate", {"version": version, "organisations": ["globex"]})
            lab.rpc("policy.activate", {"version": version})
            lab.rpc("policy.rollback")
            lab.rpc("policy.rollback")
        sender.wait(30)
        report = lab.rpc("policy.compare", {"action": "stop"})
        check(report["disagreements"] > 0, "compare mode saw the other version")
        records = audit(lab, 1, version=version, rule="not-globex")
        equal({r["org"] for r in records}, {"globex"}, "organisations that the rule denied")
        audit(lab, 1, version=1)
        replay = lab.rpc("audit.replay")
        check(replay["decisions"] > 5000, f"decisions {replay['decisions']}")
        equal(replay["different"], 0, "decisions that replay differently")
        equal(replay["skipped"], 0, "decisions of unknown versions")
        verify = lab.rpc("audit.verify")
        check(verify["intact"], verify["fault"])
        equal(verify["lost"], 0, "lost records")
        conserved(lab)


def test_no_disagreement_with_the_shipped_rules():
    with Lab("lfpe") as lab:
        config = policy_config(lab)
        config["audit"]["enabled"] = False  # comparing needs no log
        lab.start_all(config)
        lab.rpc("policy.compare", {"action": "start"})
        send(lab, "--count", 6000, "--rate", 2000, "--org", "1,2", "--intent", "1-7", "--severity",
             "1-5", "--operator", "1-5", "--target-id", f"1,{RISKY}", "--random", "--hold-ms", 500,
             "--timeout-ms", 500)
        report = lab.rpc("policy.compare", {"action": "stop"})
        check(report["compared"] > 5000, f"compared {report['compared']}")
        equal(report["disagreements"], 0, "disagreements")


if __name__ == "__main__":
    main(globals())
