# SPDX-License-Identifier: Apache-2.0
"""What rfc2544.py measures: the daemon, or dpdk-testpmd in its place, between two ports of lf-gen.

    lf-gen (client port) ──► clients [ daemon ] nodes ──► lf-gen (node port, answers)

over a pair of memif ports each way, or over veth pairs with AF_XDP (or AF_PACKET) at both ends.
Each side is in a network namespace of its own; all is taken away at the end. Needs root."""

import json
import queue
import subprocess
import threading

from lab import Lab, LabError, run

NETS = {4: ("10.7.0.", "10.8.0."), 6: ("fd07::", "fd08::")}  # clients', nodes'
DAEMON_MAC = {"clients": "02:00:00:00:00:01", "nodes": "02:00:00:00:00:03"}
FLOW_PORT = 53
NODE_MAC = "02:00:00:00:00:02"
KINDS = ("memif", "veth-af_xdp", "veth-af_packet")
SIDES = ("clients", "nodes")


def key_of(org):
    return "".join(f"{(org * 31 + b) % 256:02x}" for b in range(16))


class Rig(Lab):
    def __init__(self, prefix, kind, nice=-20, ring_log2=11, ip_version=4, vlan=0):
        super().__init__(prefix, nodes=0)
        self.kind, self.nice, self.ring_log2 = kind, nice, ring_log2
        self.ip_version, self.vlan = ip_version, vlan
        self.generator = None

    def client_address(self, host):
        return f"{NETS[self.ip_version][0]}{host}"

    def node_address(self, host):
        return f"{NETS[self.ip_version][1]}{host}"

    # -- network

    def _names(self):
        return ["dp", "gen"]

    def _make_network(self):
        for name in self._names():
            run("ip", "netns", "del", self.ns(name), check=False)
        for name in self._names():
            run("ip", "netns", "add", self.ns(name))
            self.namespaces.append(self.ns(name))
            self.inside(name, "ip", "link", "set", "lo", "up")
        if self.kind == "memif":
            return
        for n, side in enumerate(SIDES):
            self.inside("dp", "ip", "link", "add", f"d{n}", "address", DAEMON_MAC[side], "type",
                        "veth", "peer", "name", f"g{n}", "netns", self.ns("gen"))
            if side == "nodes":
                self.inside("gen", "ip", "link", "set", f"g{n}", "address", NODE_MAC)
            for where, device in (("dp", f"d{n}"), ("gen", f"g{n}")):
                self.inside(where, "sysctl", "-qw", f"net.ipv6.conf.{device}.disable_ipv6=1")
                self.inside(where, "ethtool", "-K", device, "tx", "off", "gro", "off", "gso", "off",
                            "tso", "off", check=False)
                self.inside(where, "ip", "link", "set", device, "up")

    def device(self, n, ours):
        """DPDK device of side n, at the end of what is measured (`ours`) or of the generator."""
        if self.kind == "memif":
            mac = f",mac={DAEMON_MAC[SIDES[n]]}" if ours else f",mac={NODE_MAC}" if n else ""
            return (f"net_memif{n},role={'server' if ours else 'client'},id={n},socket-abstract=no,"
                    f"socket={self.directory}/memif{n}.sock,rsize={self.ring_log2},bsize=2048{mac}")
        interface = f"{'d' if ours else 'g'}{n}"
        if self.kind == "veth-af_xdp":
            return f"net_af_xdp{n},iface={interface}"
        return f"net_af_packet{n},iface={interface},blocksz=65536,framesz=2048,framecnt=2048"

    # -- what is measured

    def config(self, orgs=16, nodes=4, mode="proxy", authentication="required", audit=False):
        """Everything on: tags, ledger, shipped policy, quotas that nothing exceeds, `nodes` nodes."""
        service = {
            "name": "measured", "address": self.client_address(1), "port": 7171, "mode": mode,
            "authentication": authentication, "timeout": "1s", "probe": "none",
            # Overload is what is measured here, not to be answered by taking nodes out.
            "health": {"eject_below": 0, "readmit_at": 0, "ramp_hold_below": 0},
            "breaker": {"failures": 1000000},
            "nodes": [{"name": f"n{n}", "id": n, "address": self.node_address(10 + n),
                       "mac": NODE_MAC} for n in range(1, nodes + 1)]}
        if mode in ("nat", "dsr-flow"):  # plain UDP
            service |= {"kind": "flow", "protocol": "udp", "port": FLOW_PORT,
                        "address": self.client_address(100),
                        "mode": "nat" if mode == "nat" else "dsr-l2"}
            for name in ("authentication", "timeout"):
                del service[name]
        return {
            "dataplane": {"cpus": "1", "main_cpu": 0, "hugepages": False, "memory": "512M",
                          "mbufs": 32768, "idle": {"backoff": False}},
            "ports": [{"name": side, "device": self.device(n, True), "queues": 1,
                       "addresses": [f"{net}1/{24 if self.ip_version == 4 else 64}"],
                       "vlan": self.vlan, "offload_checksums": False}
                      for n, (side, net) in enumerate(zip(SIDES, NETS[self.ip_version]))],
            "organisations": [{"name": f"org{i}", "id": i, "keys": {1: key_of(i)},
                               "quota": "100000000/s"} for i in range(1, orgs + 1)],
            "operators": [{"id": 1, "name": "op", "roles": ["flight-director"], "mfa_level": 2}],
            "services": [service],
            "ledger": {"entries": 1 << 20},
            "audit": {"enabled": bool(audit), "directory": str(self.directory / "audit")},
            "admission": {"hard_limit": 1 << 30},
            "policy": {"store": "off"}, "notifications": {"store": "off"},
            "control": {"metrics": "off"},
        }

    def spawn(self, namespace, name, *command):
        return super().spawn(namespace, name, "nice", "-n", self.nice, *command)

    def start_testpmd(self, mode="5tswap"):
        devices = [part for n in range(2) for part in ("--vdev", self.device(n, True))]
        self.daemon = self.spawn(
            "dp", "testpmd", "dpdk-testpmd", "--lcores", "0@0,1@1", "--main-lcore", 0, "--no-pci",
            "--no-telemetry", "--no-huge", "--no-shconf", "-m", 512, "--log-level", "pmd.*:error",
            *devices, "--", "--auto-start", f"--forward-mode={mode}", "--nb-cores=1",
            "--total-num-mbufs=32768", "--stats-period=100000", "--no-lsc-interrupt")
        self.wait_for("testpmd forwards", lambda: self._alive("packet forwarding" in
                                                              self.daemon.output()))

    def _alive(self, value):
        if not self.daemon.alive():
            raise LabError(f"{self.daemon.name} ended:\n{self.daemon.output()[-3000:]}")
        return value

    # -- the generator

    def start_generator(self, *options, orgs=16, answer=True, sign=True, flows=0):
        """flows: plain UDP of so many; 0: commands."""
        self.generator = Generator(self, [
            self.bin / "lf-gen", "--port", self.device(0, False), "--port", self.device(1, False),
            "--cpu", 0, "--serve", "--org", f"1-{orgs}", "--intent", "1-3", "--source",
            self.client_address(2), "--target-mac", DAEMON_MAC["clients"], "--vlan", self.vlan,
            *(["--plain", "--flows", flows, "--target", self.client_address(100),
               "--target-port", FLOW_PORT] if flows else ["--target", self.client_address(1)]),
            *(["--answer"] if answer else []),
            *[part for i in range(1, orgs + 1 if sign else 1)
              for part in ("--key", f"{i}:1:{key_of(i)}")],
            *options])
        return self.generator

    def close(self):
        # The daemon first: a memif server may not survive that its client goes away.
        if self.daemon is not None:
            self.daemon.stop()
        if self.generator is not None:
            self.generator.stop()
        super().close()


class Generator:
    """lf-gen --serve: a trial is a line of options, its result a line of JSON."""

    def __init__(self, rig, command):
        self.errors = rig.directory / "lf-gen.log"
        with open(self.errors, "wb") as log:
            self.popen = subprocess.Popen(
                [str(c) for c in ["ip", "netns", "exec", rig.ns("gen"), "nice", "-n", rig.nice,
                                  *command]],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self._next(60)  # ready

    def _read(self):
        for line in self.popen.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def _next(self, timeout_s):
        try:
            line = self.lines.get(timeout=timeout_s)
        except queue.Empty:
            line = None
        if line is None:
            raise LabError("lf-gen: " + (self.errors.read_text(errors="replace")[-2000:].strip()
                                         or f"nothing within {timeout_s} s"))
        answer = json.loads(line)
        if "error" in answer:
            raise LabError(f"lf-gen: {answer['error']}")
        return answer

    def trial(self, rate, seconds, size, **options):
        """`rate` 0: as fast as the port takes them. Further options as lf-gen has them."""
        parts = ["--rate", f"{rate:.0f}", "--seconds", f"{seconds:.3f}", "--size", str(size)]
        for name, value in options.items():
            parts.append("--" + name.replace("_", "-"))
            if value is not True:
                parts.append(str(value))
        self.popen.stdin.write(" ".join(parts) + "\n")
        self.popen.stdin.flush()
        return self._next(seconds + 30)

    def stop(self):
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
