# SPDX-License-Identifier: Apache-2.0
"""A small network on one machine, for the quickstart and the end-to-end tests: a switch (a bridge),
the data plane, a client and some nodes, each in a network namespace of its own. Everything that a
Lab makes or starts is taken away again when it closes. Standard library only; needs root.

        client 10.71.0.2 ─┐
                          ├─ switch ── lf0 (data plane, 10.71.0.1, fd71::1)
        nodes 10.71.0.11… ┘
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
VIP4, VIP6 = "10.71.0.1", "fd71::1"
CLIENT4, CLIENT6 = "10.71.0.2", "fd71::2"
KEYS = {1: "000102030405060708090a0b0c0d0e0f", 2: "101112131415161718191a1b1c1d1e1f"}


class LabError(Exception):
    pass


def run(*command, check=True, **kwargs):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **kwargs)
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(map(str, command))}: {done.stdout.strip()}")
    return done.stdout


class Capture:
    """Frames that the data plane sends, as the switch sees them."""

    LCP_TYPE = 14 + 20 + 8 + 3  # in a frame over IPv4
    COMMAND = 1

    def __init__(self, lab, name, expression):
        self.path = lab.directory / f"{name}.pcap"
        self.process = lab.spawn("sw", name, "tcpdump", "-i", "p1", "-n", "-U", "-B", 16384, "-s",
                                 64, "--time-stamp-precision=nano", "-w", self.path, expression)
        lab.wait_for("the capture runs", lambda: "listening on" in self.process.output())

    def command_times(self):
        """Ends the capture; Unix times of the commands in it."""
        self.process.stop()
        data, at, times = self.path.read_bytes(), 24, []
        while at + 16 <= len(data):
            seconds, ns, kept, _ = struct.unpack_from("<IIII", data, at)
            frame = data[at + 16:at + 16 + kept]
            at += 16 + kept
            if len(frame) > self.LCP_TYPE and frame[self.LCP_TYPE] == self.COMMAND:
                times.append(seconds + ns * 1e-9)
        return times


def node_address(number, version=4):
    return f"10.71.0.{10 + number}" if version == 4 else f"fd71::{10 + number}"


class Process:
    """A program in a namespace, its output in a file."""

    def __init__(self, name, command, log):
        self.name, self.log = name, log
        with open(log, "wb") as out:
            self.popen = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL,
                                          stdout=out, stderr=subprocess.STDOUT)

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def kill(self):
        self.popen.kill()
        self.popen.wait()

    def stop(self, timeout=10):
        """SIGTERM, then SIGKILL; returns the exit status."""
        if self.alive():
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        return self.popen.returncode

    def wait(self, timeout):
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.stop()
            raise LabError(f"{self.name} did not end within {timeout} s\n{self.output()}") from None

    def output(self):
        return pathlib.Path(self.log).read_text(errors="replace")


class Lab:
    def __init__(self, prefix="lf", nodes=3, build="build", queues=1):
        self.prefix, self.node_count, self.queues = prefix, nodes, queues
        self.bin = ROOT / build
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{prefix}-lab-"))
        self.socket = self.directory / "control.sock"
        self.processes, self.namespaces = [], []
        self.daemon = None

    # -- network

    def __enter__(self):
        try:
            self._make_network()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc):
        self.close()

    def ns(self, name):
        return f"{self.prefix}-{name}"

    def _make_network(self):
        for stale in [self.ns(n) for n in self._names()]:
            run("ip", "netns", "del", stale, check=False)
        for name in self._names():
            run("ip", "netns", "add", self.ns(name))
            self.namespaces.append(self.ns(name))
            self.inside(name, "ip", "link", "set", "lo", "up")
        self.inside("sw", "ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        self.inside("sw", "ip", "link", "set", "br0", "up")
        self._cable("dp", "lf0", None, None, 1)
        self._cable("client", "eth0", CLIENT4, CLIENT6, 2)
        for n in range(1, self.node_count + 1):
            self._cable(f"n{n}", "eth0", node_address(n), node_address(n, 6), 10 + n)

    def _names(self):
        return ["sw", "dp", "client"] + [f"n{n}" for n in range(1, self.node_count + 1)]

    def _cable(self, name, interface, ip4, ip6, number):
        port, queues = f"p{number}", []
        if name == "dp" and self.queues > 1:
            queues = ["numrxqueues", self.queues, "numtxqueues", self.queues]
        self.inside("sw", "ip", "link", "add", port, *queues, "type", "veth", "peer", "name",
                    interface, *queues, "netns", self.ns(name))
        self.inside("sw", "ip", "link", "set", port, "master", "br0", "up")
        # Frames between namespaces carry no checksum unless it is asked for.
        for where, dev in (("sw", port), (name, interface)):
            self.inside(where, "ethtool", "-K", dev, "tx", "off", "gro", "off", "gso", "off", "tso",
                        "off", check=False)
        if ip4 is None:  # the data plane owns its addresses, the kernel has none
            self.inside(name, "sysctl", "-qw", f"net.ipv6.conf.{interface}.disable_ipv6=1")
        else:
            self.inside(name, "sysctl", "-qw", f"net.ipv6.conf.{interface}.accept_dad=0")
            self.inside(name, "ip", "address", "add", f"{ip4}/24", "dev", interface)
            self.inside(name, "ip", "address", "add", f"{ip6}/64", "dev", interface, "nodad")
        self.inside(name, "ip", "link", "set", "dev", interface, "address",
                    f"02:00:00:00:00:{number:02x}", "up")

    def inside(self, name, *command, check=True):
        return run("ip", "netns", "exec", self.ns(name), *command, check=check)

    def link(self, name, up):
        """Pulls or plugs the cable of a client or node."""
        number = 2 if name == "client" else 10 + int(name[1:])
        self.inside("sw", "ip", "link", "set", f"p{number}", "up" if up else "down")

    # -- programs

    def spawn(self, namespace, name, *command):
        process = Process(name, ["ip", "netns", "exec", self.ns(namespace), *command],
                          self.directory / f"{name}.log")
        self.processes.append(process)
        return process

    def start_daemon(self, config, wait_s=30):
        """`config`: the YAML text, or a mapping (JSON is YAML)."""
        path = self.directory / "latticeforge.yaml"
        path.write_text(config if isinstance(config, str) else json.dumps(config, indent=1))
        self.daemon = self.spawn("dp", "latticeforge", self.bin / "latticeforge", "--config", path,
                                 "--socket", self.socket)
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            if not self.daemon.alive():
                raise LabError("the daemon ended:\n" + self.daemon.output()[-4000:])
            with contextlib.suppress(OSError, LabError, ValueError):
                if self.rpc("status")["state"] == "running":
                    return self.daemon
            time.sleep(0.05)
        raise LabError("the daemon did not answer:\n" + self.daemon.output()[-4000:])

    def start_node(self, number, *options, version=4, name=None, second_port=None):
        name = name or f"node{number}"
        if second_port is not None:
            options += ("--listen", f"{node_address(number, version)}:{second_port}")
        node = self.spawn(f"n{number}", name, self.bin / "lf-node", "--listen",
                          node_address(number, version), "--node-id", number,
                          "--org", f"1:1:{KEYS[1]}", "--org", f"2:1:{KEYS[2]}",
                          "--control", self.directory / f"{name}.ctl",
                          "--ids", self.directory / f"{name}.ids",
                          "--json", self.directory / f"{name}.json", *options)

        def listening():
            if not node.alive():
                raise LabError(f"{name} ended:\n{node.output()[-2000:]}")
            with contextlib.suppress(OSError):
                return self.node_command(number, "get", name)
            return None

        # The kernel answers ARP for a node before its socket is bound: what came then would be lost.
        self.wait_for(f"{name} listens", listening, 10)
        return node

    def node_command(self, number, line, name=None):
        """One line to a node's control socket ("set capacity 300")."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(5)
            s.connect(str(self.directory / f"{name or f'node{number}'}.ctl"))
            s.sendall(line.encode() + b"\n")
            return s.recv(4096).decode()

    def start_send(self, *options, name="send"):
        report = self.directory / f"{name}.json"
        report.unlink(missing_ok=True)
        defaults = {"--target": [f"{VIP4}:7171"], "--operator": [1],
                    "--key": [f"1:1:{KEYS[1]}", f"2:1:{KEYS[2]}"]}
        given = [part for option, values in defaults.items() if option not in options
                 for value in values for part in (option, value)]
        return self.spawn("client", name, self.bin / "lf-send", "--json", report, *given, *options)

    def report(self, name):
        """JSON summary that an lf-send or lf-node wrote when it ended."""
        return json.loads((self.directory / f"{name}.json").read_text())

    def deliveries(self, names):
        """{command id: how often it reached nodes}, over all nodes that have ended."""
        seen = {}
        for name in names:
            path = self.directory / f"{name}.ids"
            for line in path.read_text().splitlines() if path.exists() else []:
                command_id, count = line.split()
                seen[command_id] = seen.get(command_id, 0) + int(count)
        return seen

    def rpc(self, method, params=None):
        """One call over the control socket; raises LabError with the daemon's message."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(30)
            s.connect(str(self.socket))
            request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
            s.sendall(json.dumps(request).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                chunk = s.recv(1 << 20)
                if not chunk:
                    raise LabError(f"{method}: the daemon closed the connection")
                answer += chunk
        reply = json.loads(answer)
        if "error" in reply:
            raise LabError(f"{method}: {reply['error']['message']}")
        return reply["result"]

    def wait_for(self, what, condition, timeout_s=20):
        """Polls until condition() is true; its last value otherwise becomes the error."""
        deadline = time.monotonic() + timeout_s
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise LabError(f"{what}: not within {timeout_s} s (last: {value!r})")
            time.sleep(0.05)

    def capture_to_node(self, number):
        return Capture(self, f"to_n{number}",
                       f"ether dst 02:00:00:00:00:{10 + number:02x} and udp")

    def start_nodes(self, **options):
        """All nodes of the lab; they listen when this returns."""
        return [self.start_node(n, **options) for n in range(1, self.node_count + 1)]

    def start_all(self, config, **node_options):
        """All nodes, which are returned, then the daemon, until it knows their MAC addresses. In
        this order, for the first probe decides: a node that does not listen yet is ejected."""
        nodes = self.start_nodes(**node_options)
        self.start_daemon(config)
        self.wait_for("the nodes' MAC addresses", self.nodes_resolved)
        return nodes

    def stop_nodes(self):
        """Ends all nodes, which then write what they saw; returns their names."""
        nodes = [p for p in self.processes if p.name.startswith("node")]
        for node in nodes:
            node.stop()
        return [node.name for node in nodes]

    def nodes_resolved(self):
        """True once the data plane knows every node's MAC address."""
        return all(n["mac"] for n in self.rpc("neighbours.list"))

    def close(self):
        for process in reversed(self.processes):
            process.stop()
        for namespace in reversed(self.namespaces):
            run("ip", "netns", "del", namespace, check=False)
        self.namespaces = []


def basic_config(port="af_packet", workers=1, nodes=3, version=4, **overrides):
    """A configuration for the lab, as a mapping; `overrides` replace top-level sections. Operator 1
    may do everything, operator 2 is an observer, both in all organisations."""
    device = {"af_packet": f"net_af_packet0,iface=lf0,blocksz=65536,framesz=2048,framecnt=2048,"
                           f"qpairs={workers}",
              "af_xdp": "net_af_xdp0,iface=lf0" + (f",queue_count={workers}" if workers > 1
                                                   else "")}[port]
    config = {
        "dataplane": {"workers": workers, "hugepages": False, "memory": "256M", "mbufs": 16384},
        "ports": [{"name": "lan", "device": device, "queues": workers,
                   "addresses": [f"{VIP4}/24", f"{VIP6}/64"], "offload_checksums": False}],
        "organisations": [
            {"name": "acme", "id": 1, "keys": {1: KEYS[1]}},
            {"name": "globex", "id": 2, "keys": {1: KEYS[2]}},
        ],
        "operators": [
            {"id": 1, "name": "alice", "roles": ["principal-engineer"], "mfa_level": 2},
            {"id": 2, "name": "bob", "roles": ["observer"], "mfa_level": 0},
        ],
        "services": [{
            "name": "mission", "address": VIP4 if version == 4 else VIP6, "port": 7171, "timeout": "1s",
            "nodes": [{"name": f"n{n}", "id": n, "address": node_address(n, version),
                       "port": 7171} for n in range(1, nodes + 1)],
        }],
        "policy": {"store": "off"},
        "notifications": {"store": "off"},
        "control": {"metrics": "off"},
    }
    config.update(overrides)
    return config


def require_root():
    if os.geteuid() != 0:
        raise LabError("needs root, for network namespaces")
