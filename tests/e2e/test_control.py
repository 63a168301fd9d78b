# SPDX-License-Identifier: Apache-2.0
"""Configuration, control socket and lfctl of a real daemon: docs/examples/minimal.yaml, started as a
user without any rights where we are root. No network, no hugepages."""

import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from harness import ROOT, Skip, check, equal, main

sys.path.insert(0, str(ROOT / "tools"))
import gen_control_doc  # noqa: E402  (needs the path above)

DAEMON, LFCTL = ROOT / "build" / "latticeforge", ROOT / "build" / "lfctl"
NOBODY = 65534
START_S = 60


class Daemon:
    """minimal.yaml with a socket and a metrics port of its own."""

    def __init__(self, as_nobody=True):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="lf-control-"))
        self.socket = self.directory / "control.sock"
        self.config = self.directory / "lf.yaml"
        with socket.socket() as free:  # a port that nobody has
            free.bind(("127.0.0.1", 0))
            self.metrics = f"127.0.0.1:{free.getsockname()[1]}"
        text = (ROOT / "docs/examples/minimal.yaml").read_text()
        self.config.write_text(text + f"  metrics: {self.metrics}\n")
        self.log = self.directory / "daemon.log"
        self.user = {}
        if as_nobody and os.geteuid() == 0 and readable_by_nobody(DAEMON):
            os.chown(self.directory, NOBODY, NOBODY)
            self.user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}

    def __enter__(self):
        with open(self.log, "wb") as out:
            self.popen = subprocess.Popen([DAEMON, "--config", self.config, "--socket", self.socket],
                                          stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=subprocess.STDOUT, cwd=self.directory, **self.user)
        deadline = time.monotonic() + START_S
        while not self.socket.exists():
            check(self.popen.poll() is None, "the daemon ended:\n" + self.log.read_text())
            check(time.monotonic() < deadline, "no control socket:\n" + self.log.read_text())
            time.sleep(0.05)
        return self

    def __exit__(self, *exc):
        self.popen.kill()
        self.popen.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def connect(self):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(60)
        s.connect(str(self.socket))
        return s

    def call(self, method, params=None):
        return gen_control_doc.call(self.socket, method, params)

    def lfctl(self, *words):
        done = subprocess.run([LFCTL, "--socket", self.socket, *words], capture_output=True,
                              text=True, check=False, timeout=60)
        return done.returncode, done.stdout, done.stderr

    def well(self):
        check(self.popen.poll() is None, "the daemon ended:\n" + self.log.read_text())
        equal(self.call("status")["state"], "running", "state")


def readable_by_nobody(path):
    return all(p.stat().st_mode & 0o005 == 0o005 for p in [path, *path.parents])


def request(method, params=None, number=1):
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}


def lines(s):
    return s.makefile("r", encoding="utf-8")


def test_the_documentation_lists_the_methods():
    with Daemon() as daemon:
        page = gen_control_doc.PAGE.read_text()
        wanted = gen_control_doc.with_methods(page, daemon.call("rpc.describe"))
        check(page == wanted, "docs/control-socket.md is not what the daemon says: run "
                              "tools/gen_control_doc.py SOCKET")


def test_examples_are_accepted_by_check():
    for path in sorted((ROOT / "docs/examples").glob("*.yaml")):
        done = subprocess.run([DAEMON, "--check", "--config", path], capture_output=True, text=True,
                              check=False, timeout=60)
        equal(done.returncode, 0, f"--check of {path.name}: {done.stderr}")


def test_broken_configurations_are_refused_with_one_clear_line():
    paths = sorted((ROOT / "tests/config/bad").glob("*.yaml"))
    check(len(paths) >= 20, f"{len(paths)} broken configurations")
    for number, path in enumerate(paths):
        wanted = f"{path}:" + path.read_text().splitlines()[0].removeprefix("# expect: ")
        for options in (["--check"], []) if number < 3 else (["--check"],):
            done = subprocess.run([DAEMON, *options, "--config", path], capture_output=True,
                                  text=True, check=False, timeout=60)
            check(done.returncode not in (0, None) and done.returncode > 0,
                  f"{path.name}: status {done.returncode}")
            equal(done.stderr.strip(), wanted, path.name)


def test_a_thousand_connections():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2100:
        raise Skip(f"only {hard} file descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2100, hard))
    try:
        with Daemon() as daemon, contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(daemon.connect()) for _ in range(1000)]
            for i, s in enumerate(sockets):
                s.sendall((json.dumps(request("status", number=i)) + "\n").encode())
            for i, s in enumerate(sockets):
                answer = json.loads(lines(s).readline())
                equal(answer["id"], i, "id")
                check("result" in answer, f"{answer}")
            daemon.well()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident_kb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def test_a_hundred_megabytes_in_one_line():
    with Daemon() as daemon, daemon.connect() as s:
        before = resident_kb(daemon.popen.pid)
        piece, sent = b"x" * (1 << 20), 0
        with contextlib.suppress(OSError):
            for _ in range(100):
                s.sendall(piece)
                sent += 1
        check(sent < 30, f"{sent} MB were taken")
        answer = json.loads(lines(s).readline())
        equal(answer["error"]["code"], -32600, "code")
        daemon.well()
        grown = resident_kb(daemon.popen.pid) - before
        check(grown < 64 << 10, f"the daemon keeps {grown} kB")


def test_lfctl_and_clients_killed_in_mid_call():
    with Daemon() as daemon:
        for _ in range(10):
            watch = subprocess.Popen([LFCTL, "--socket", daemon.socket, "stats", "--watch",
                                      "--interval", "0.05"], stdout=subprocess.DEVNULL)
            time.sleep(0.05)
            watch.kill()
            watch.wait()
        for _ in range(100):  # gone before the answer
            with daemon.connect() as s:
                s.sendall((json.dumps([request("stats")] * 200) + "\n").encode())
        for part in ("{", '{"jsonrpc":"2.0","id":1,"meth', "\x00\xff"):
            with daemon.connect() as s:
                s.sendall(part.encode("latin-1"))
        daemon.well()


def test_a_batch_of_ten_thousand():
    with Daemon() as daemon, daemon.connect() as s:
        calls = [request("failover.plan", {"primary": "a", "candidates": ["a", f"r{i}"],
                                           "degraded": []}, i) for i in range(10000)]
        s.sendall((json.dumps(calls) + "\n").encode())
        answers = json.loads(lines(s).readline())
        equal([a["id"] for a in answers], list(range(10000)), "ids")
        equal([a["result"]["region"] for a in answers], [f"r{i}" for i in range(10000)], "regions")


def test_lfctl_exit_statuses_and_json():
    with Daemon() as daemon:
        status, out, _ = daemon.lfctl("status", "--json")
        equal((status, json.loads(out)["state"]), (0, "running"), "status --json")
        equal(daemon.lfctl("nodes")[0], 0, "nodes")
        status, out, err = daemon.lfctl("node", "drain", "no-such-node", "--json")
        equal(status, 1, "a refused call")
        check("error" in json.loads(out) and "no-such-node" in err, f"{out} {err}")
        equal(daemon.lfctl("node", "drain")[0], 2, "a missing argument")
        equal(daemon.lfctl("frobnicate")[0], 2, "an unknown command")
        equal(daemon.lfctl("rpc", "nodes.list", "service=orbit")[0], 0, "rpc")
        equal(daemon.lfctl("node", "drain", "orbit-1")[0], 0, "drain")
        states = {n["name"]: n["state"] for n in daemon.call("nodes.list")}
        equal(states["orbit-1"], "draining", "state after drain")
        for method in daemon.call("rpc.describe"):  # every command has its help and --json
            words = method["name"].replace("_", "-").split(".")
            if words[0] != "rpc":
                equal(daemon.lfctl(*words, "--json", "--help")[0], 0, " ".join(words))
    equal(daemon.lfctl("status")[0], 3, "no daemon")


def test_metrics_and_status_page():
    with Daemon() as daemon:
        deadline = time.monotonic() + 10
        text = ""
        while "latticeforge_packets_total" not in text and time.monotonic() < deadline:
            with urllib.request.urlopen(f"http://{daemon.metrics}/metrics", timeout=10) as answer:
                text = answer.read().decode()
            time.sleep(0.1)
        check('latticeforge_packets_total{verdict="forwarded"' in text, text[:500])
        check('latticeforge_node_health{service="orbit",node="orbit-1"' in text, "no nodes")
        equal(sorted(re.findall(r"^# TYPE (\S+)", text, re.M)),
              sorted(set(re.findall(r"^# TYPE (\S+)", text, re.M))), "families, each once")
        with urllib.request.urlopen(f"http://{daemon.metrics}/", timeout=10) as answer:
            check("LatticeForge" in answer.read().decode(), "status page")
        equal(daemon.lfctl("metrics")[0], 0, "lfctl metrics")
        check("sample_bursts" in daemon.lfctl("stats", "--latency")[1], "stages without traffic")


def test_a_broken_reload_changes_nothing():
    with Daemon() as daemon:
        good = daemon.config.read_text()
        daemon.config.write_text(good.replace("id: 3, address", "id: 2, address"))
        status, _, err = daemon.lfctl("reload")
        equal(status, 1, "status of a refused reload")
        check(re.search(r"lf\.yaml:\d+:\d+: .*\"2\" is used by", err), err)
        equal(len(daemon.call("nodes.list")), 3, "nodes")
        daemon.config.write_text(good.replace("orbit-3, id: 3", "orbit-4, id: 4"))
        equal(daemon.lfctl("reload")[0], 0, "status of a good reload")
        equal([n["name"] for n in daemon.call("nodes.list")], ["orbit-1", "orbit-2", "orbit-4"],
              "nodes")
        daemon.config.write_text(good)
        daemon.popen.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 10
        while [n["name"] for n in daemon.call("nodes.list")][2] != "orbit-3":
            check(time.monotonic() < deadline, "SIGHUP did not reload")
            time.sleep(0.05)


def test_the_socket_is_guarded_and_goes_away():
    with Daemon() as daemon:
        equal(daemon.socket.stat().st_mode & 0o7777, 0o660, "mode")
        second = subprocess.run([DAEMON, "--config", daemon.config, "--socket", daemon.socket],
                                capture_output=True, text=True, check=False, timeout=60,
                                **daemon.user)
        check(second.returncode > 0, f"a second daemon: {second.returncode}")
        check("another process listens" in second.stdout + second.stderr, second.stderr)
        daemon.well()
        daemon.popen.send_signal(signal.SIGTERM)
        equal(daemon.popen.wait(30), 0, "status after SIGTERM")
        check(not daemon.socket.exists(), "the socket file stays")


if __name__ == "__main__":
    main(globals())
