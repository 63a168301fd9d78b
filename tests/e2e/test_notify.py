#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Notifications reach real sinks: Debian's Alertmanager, a webhook, a mail relay. Each sink is down
at first; what was submitted meanwhile, also before a restart, arrives once when it is up."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

warnings.simplefilter("ignore", DeprecationWarning)  # both are in Debian 12's Python
import asyncore  # noqa: E402
import smtpd  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(os.environ.get("LF_BUILD", ROOT / "build")) / "tests" / "e2e" / "notify_driver"
DOWN_S = float(os.environ.get("LF_SINK_DOWN_S", "3"))  # set to 60 for the minute's outage


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(what, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = what()
        if got:
            return got
        time.sleep(0.05)
    return what()


class Driver:
    def __init__(self, store, *sink):
        self.process = subprocess.Popen([DRIVER, store, *sink], stdin=subprocess.PIPE, text=True)

    def submit(self, *texts):
        for text in texts:
            self.process.stdin.write(f"4 {text}\n")
        self.process.stdin.flush()

    def stop(self):
        self.process.stdin.close()
        return self.process.wait(30)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)


class Alertmanager:
    kind, recipient = "alertmanager", ""

    def __init__(self, folder):
        self.port, self.folder, self.process = free_port(), folder, None
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "am.yml").write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")

    def start(self):
        program = shutil.which("prometheus-alertmanager")
        self.process = subprocess.Popen(
            [program, f"--config.file={self.folder}/am.yml", f"--storage.path={self.folder}/am",
             f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address="],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def texts(self):
        try:
            with urllib.request.urlopen(self.url + "/api/v2/alerts", timeout=5) as answer:
                alerts = json.load(answer)
        except OSError:
            return []
        assert all(a["labels"]["alertname"] == "LatticeForge" and a["labels"]["severity"] == "4"
                   and a["annotations"]["summary"] == "[sev-4] quota" for a in alerts), alerts
        return [a["annotations"]["description"] for a in alerts]

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)


class Webhook:
    kind, recipient = "webhook", "ops"

    def __init__(self, folder):
        self.port, self.server, self.got = free_port(), None, []
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def start(self):
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                sink.got.append(body["text"])
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def texts(self):
        return list(self.got)

    def stop(self):
        if self.server:
            self.server.shutdown()


class MailRelay:
    kind, recipient = "smtp", "ops@example.org"

    def __init__(self, folder):
        self.port, self.got = free_port(), []
        self.url = f"smtp://127.0.0.1:{self.port}"

    def start(self):
        sink = self

        class Relay(smtpd.SMTPServer):
            def process_message(self, peer, mailfrom, rcpttos, data, **_):
                head, body = data.decode().split("\n\n", 1)
                assert rcpttos == ["ops@example.org"] and "Subject: [sev-4] quota" in head, data
                sink.got.append(body.strip())

        self.server = Relay(("127.0.0.1", self.port), None)
        threading.Thread(target=asyncore.loop, kwargs={"timeout": 0.1}, daemon=True).start()

    def texts(self):
        return list(self.got)

    def stop(self):
        asyncore.close_all(ignore_all=True)


def outage(make):
    """Down for a while, then up: everything arrives once, what came before a restart and kill -9 too."""
    with tempfile.TemporaryDirectory(prefix="lf-notify-") as name:
        folder = Path(name)
        sink = make(folder)
        store = str(folder / "notifications.db")
        arguments = (store, sink.kind, sink.url, sink.recipient)
        expected = [f"{when} {n}" for when in ("early", "restarted", "killed") for n in range(4)]
        try:
            driver = Driver(*arguments)
            driver.submit(*expected[:4])
            assert driver.stop() == 0
            driver = Driver(*arguments)
            driver.submit(*expected[4:])
            time.sleep(DOWN_S)  # stored long ago, tried several times
            driver.kill()
            sink.start()
            driver = Driver(*arguments)
            until(lambda: len(sink.texts()) >= len(expected))
            driver.submit("late")
            until(lambda: "late" in sink.texts())
            time.sleep(1)  # a second copy of anything would come now
            assert driver.stop() == 0
            assert sorted(sink.texts()) == sorted(expected + ["late"]), sink.texts()
        finally:
            sink.stop()


def main():
    if not DRIVER.exists():
        print(f"not ok {DRIVER} is not built")
        return 1
    failed = 0
    for make in (Alertmanager, Webhook, MailRelay):
        if make is Alertmanager and not shutil.which("prometheus-alertmanager"):
            print("skip alertmanager: prometheus-alertmanager is not installed")
            continue
        try:
            outage(make)
            print(f"ok {make.kind}: outage and restarts lose and repeat nothing")
        except AssertionError as error:
            failed += 1
            print(f"not ok {make.kind}: {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
