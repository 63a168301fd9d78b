# SPDX-License-Identifier: Apache-2.0
"""Batches of JSON commands through lfctl to real nodes and back, and what the ledger remembers over
a restart."""

import gzip
import json
import subprocess
import uuid

from harness import check, conserved, equal, main
from lab import Lab, basic_config

RISKY = 50  # a target whose commands are held


def command(number, **changes):
    fields = {"command_id": str(uuid.UUID(int=number)), "org": "acme", "satellite_id": "sat-7",
              "intent": "status-refresh", "issued_by": "alice", "signature": "gateway",
              "deadline": f"2099-01-01T00:{number // 60 % 60:02}:{number % 60:02}Z",
              "trace_id": f"{number:032x}", "payload": {"n": number}}
    fields.update(changes)
    return {name: value for name, value in fields.items() if value is not None}


def write(lab, rows, name="batch.jsonl", opened=open):
    path = lab.directory / name
    with opened(path, "wt") as out:
        for row in rows:
            out.write((row if isinstance(row, str) else json.dumps(row)) + "\n")
    return path


def lfctl(lab, *words, status=0, stdin=None):
    done = subprocess.run([str(lab.bin / "lfctl"), "--socket", str(lab.socket), *map(str, words)],
                          stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=90)
    equal(done.returncode, status, f"exit status of lfctl {words}: {done.stdout}")
    return done.stdout


def submit(lab, path, *options):
    return json.loads(lfctl(lab, "--json", "intake", "submit", path, *options))


def hex_id(text):
    return text.replace("-", "")


def test_a_file_with_errors_and_duplicates_reaches_the_nodes_once():
    with Lab("lfia") as lab:
        lab.start_all(basic_config())
        rows = [command(n) for n in range(400, 0, -1)]
        rows.insert(10, "{broken")
        rows.insert(20, command(1000, deadline="2001-01-01"))
        rows.insert(30, command(1001, intent=7, trace_id=None))
        rows += [command(n, deadline="2050-01-01") for n in range(1, 51)]  # the first one stays
        for path, opened in (("batch.jsonl.gz", gzip.open), ("batch.jsonl", open)):
            got = submit(lab, write(lab, rows, path, opened), "--dry-run")
            equal(got["accepted"], [command(n)["command_id"] for n in range(1, 401)], "accepted")
            equal(got["errors"], ["row 10: not JSON", "row 20: deadline already expired",
                                  "row 30: missing required fields: trace_id",
                                  "row 30: intent must be a string"], "errors")
            equal((got["urgent"], got["normal"], got["duplicates"]), (0, 400, 50), "counts")
        equal(lab.rpc("stats")["verdicts"]["forwarded"], 0, "forwarded by dry runs")
        got = submit(lab, lab.directory / "batch.jsonl", "--wait")
        equal(got["by_status"], {"ok": 400}, "answers")
        equal([a["command_id"] for a in got["answers"]], got["accepted"], "order of the answers")
        conserved(lab)
        deliveries = lab.deliveries(lab.stop_nodes())
        equal(set(deliveries), {hex_id(c) for c in got["accepted"]}, "ids that reached nodes")
        equal(max(deliveries.values()), 1, "deliveries of one id")


def test_standard_input_and_what_people_see():
    with Lab("lfib", nodes=1) as lab:
        lab.start_all(basic_config(nodes=1))
        path = write(lab, [command(1), command(2), "[]"])
        with open(path, encoding="utf-8") as rows:
            out = lfctl(lab, "intake", "submit", "--wait", "-", stdin=rows)
        check("row 2: command must be object" in out and "2 accepted" in out, out)
        check("answers: ok 2" in out, out)
        out = lfctl(lab, "intake", "submit", "/nowhere.jsonl", status=1)
        check("No such file" in out, out)


def test_refusals_come_back():
    with Lab("lfic", nodes=1) as lab:
        config = basic_config(nodes=1)
        config["targets"] = [{"id": RISKY, "risk": 70}]
        lab.start_all(config)
        got = lab.rpc("intake.submit", {"wait": True, "commands": [
            command(1, intent="firmware-patch", issued_by="bob"),
            command(2, issued_by="nobody"),
            command(3, org="unknown"),
            command(4, payload={"text": "x" * 2000}),
            command(5), command(6, org=2), command(7, org=None)]})
        answers = {a["command_id"]: a["status"] for a in got["answers"]}
        equal([answers[command(n)["command_id"]] for n in range(1, 8)],
              ["denied", "denied", "unsendable", "unsendable", "ok", "ok", "unsendable"], "answers")
        again = lab.rpc("intake.submit", {"wait": True, "commands": [command(5)]})
        equal(again["by_status"], {"ok": 1}, "the recorded status")
        conserved(lab)
        equal(lab.rpc("stats")["verdicts"]["duplicate_answered"], 1, "duplicates")


def test_a_held_command_is_answered_when_it_is_released():
    with Lab("lfid", nodes=1) as lab:
        config = basic_config(nodes=1)
        config["targets"] = [{"id": RISKY, "risk": 70}]
        lab.start_all(config)
        path = write(lab, [command(1, satellite_id=str(RISKY)), command(2, satellite_id=str(RISKY))])
        waiting = subprocess.Popen([str(lab.bin / "lfctl"), "--socket", str(lab.socket), "--json",
                                    "intake", "submit", str(path), "--wait", "--wait-s", "60"],
                                   stdout=subprocess.PIPE, text=True)
        try:
            lab.wait_for("held commands", lambda: len(lab.rpc("held.list")["held"]) == 2)
            lab.rpc("held.release", {"command_id": hex_id(command(1)["command_id"])})
            lab.rpc("held.refuse", {"command_id": hex_id(command(2)["command_id"])})
            answers = json.loads(waiting.communicate(timeout=70)[0])["answers"]
        finally:
            waiting.kill()
        equal([a["status"] for a in answers], ["ok", "denied"], "answers")
        conserved(lab)


def test_a_large_batch_loses_nothing():
    with Lab("lfie") as lab:
        lab.start_all(basic_config())
        got = submit(lab, write(lab, (command(n) for n in range(1, 30001))), "--wait", "--summary",
                     "--wait-s", 30)
        equal(got["accepted_count"], 30000, "accepted")
        # Nodes are ordinary sockets: some datagrams may find their buffers full.
        check(got["by_status"].get("ok", 0) >= 29900, f"answers: {got['by_status']}")
        equal(sum(got["by_status"].values()), 30000, "answers")
        conserved(lab)
        deliveries = lab.deliveries(lab.stop_nodes())
        check(max(deliveries.values()) == 1, "ids that reached nodes twice")


def test_duplicates_are_known_after_a_restart():
    with Lab("lfif", nodes=2) as lab:
        config = basic_config(nodes=2)
        config["ledger"] = {"entries": 65536, "window": "120s",
                            "save": str(lab.directory / "ledger.saved")}
        lab.start_all(config)
        wire = ["--count", 200, "--rate", 1000, "--run", 77, "--want-reply", "--retries", 3]
        lab.start_send(*wire, name="before").wait(30)
        equal(lab.report("before")["answered"], 200, "answered before")
        path = write(lab, [command(n) for n in range(1, 101)])
        equal(submit(lab, path, "--wait")["by_status"], {"ok": 100}, "batch before")
        equal(lab.daemon.stop(), 0, "exit status")
        lab.start_daemon(config)
        lab.wait_for("the nodes' MAC addresses", lab.nodes_resolved)
        lab.start_send(*wire, name="after").wait(30)
        equal(lab.report("after")["by_status"], {"ok": 200}, "recorded statuses")
        equal(submit(lab, path, "--wait")["by_status"], {"ok": 100}, "recorded statuses of the batch")
        verdicts = lab.rpc("stats")["verdicts"]
        equal(verdicts["forwarded"], 0, "commands forwarded again")
        check(verdicts["duplicate_answered"] >= 300, str(verdicts))
        deliveries = lab.deliveries(lab.stop_nodes())
        equal(len(deliveries), 300, "ids that reached nodes")
        equal(max(deliveries.values()), 1, "deliveries of one id")


if __name__ == "__main__":
    main(globals())
