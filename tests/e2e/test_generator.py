# SPDX-License-Identifier: Apache-2.0
"""lf-gen: its frames as scapy reads them, and through the daemon and back, over IPv4 and IPv6, with
a VLAN tag and without."""

import json
import logging
import pathlib
import subprocess
import sys
import tempfile

from harness import ROOT, check, conserved, equal, main

sys.path.insert(0, str(ROOT / "perf"))
from rig import Rig, key_of  # noqa: E402  (needs the path above)

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import Dot1Q, Ether, IP, IPv6, RawPcapReader, UDP  # noqa: E402  (after the logging)

SOURCE = {4: "10.7.0.2", 6: "fd07::2"}
TARGET = {4: "10.7.0.1", 6: "fd07::1"}
WIRES = [(version, vlan) for version in (4, 6) for vlan in (0, 9)]
CHECK_SEQUENCE = 4
# What UDP carries is taken as it is. By a port that happens to be some protocol's, scapy would read
# it as that, and some nest without an end.
UDP.payload_guess = []


def generated(directory, *options):
    """Frames of lf-gen, by way of a capture file; needs no root."""
    out = directory / "out.pcap"
    done = subprocess.run(
        [str(part) for part in [ROOT / "build" / "lf-gen", "--port",
                                f"net_pcap0,tx_pcap={out},rx_iface=lo", "--rate", 0, "--count", 64,
                                "--seconds", 20, "--drain-ms", 0, *options]],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    check(done.returncode == 0, f"lf-gen: {done.stdout}")
    equal(json.loads(done.stdout.splitlines()[-1])["sent"], 64, "sent")
    return [frame for frame, _ in RawPcapReader(str(out))]


def rebuilt(frame):
    """The frame again, with every length and checksum worked out by scapy."""
    packet = Ether(frame)
    fields = {IP: ("len", "chksum"), IPv6: ("plen",), UDP: ("len", "chksum")}
    for layer, names in fields.items():
        for name in names if layer in packet else ():
            packet[layer].delfieldval(name)
    return packet, bytes(packet)


def test_frames_are_what_scapy_would_have_written():
    smallest = {("commands", 4): 126, ("commands", 6): 146, ("plain", 4): 62, ("plain", 6): 82}
    with tempfile.TemporaryDirectory() as name:
        for traffic in ("commands", "plain"):
            for version, vlan in WIRES:
                least = max(64, smallest[traffic, version] + (4 if vlan else 0))
                sizes = [least, least + 1, 512, 1518]
                frames = generated(pathlib.Path(name), "--source", SOURCE[version], "--target",
                                   TARGET[version], "--vlan", vlan, "--size",
                                   ",".join(map(str, sizes)),
                                   *(["--plain", "--target-port", 53] if traffic == "plain" else []))
                for number, frame in enumerate(frames):
                    what = f"{traffic}, IPv{version}, VLAN {vlan}, frame {number}"
                    equal(len(frame), sizes[number % 4] - CHECK_SEQUENCE, f"{what}: size")
                    packet, wanted = rebuilt(frame)
                    equal(frame.hex(), wanted.hex(), what)
                    equal(packet[Dot1Q].vlan if Dot1Q in packet else 0, vlan, f"{what}: VLAN")
                    ip = packet[IP if version == 4 else IPv6]
                    equal((ip.src, ip.dst), (SOURCE[version], TARGET[version]), what)
                    equal(packet[UDP].dport, 53 if traffic == "plain" else 7171, f"{what}: port")


def all_come_back(rig, verdicts, trial):
    """Every frame of a trial reaches a node, and its answer the client; nothing else happens."""
    equal(trial["sent"], 2000, "sent")
    for end in ("nodes", "answers"):
        equal(trial[end]["received"], 2000, f"{end}: received")
        equal(trial[end]["duplicated"], 0, f"{end}: duplicated")
    stats = rig.rpc("stats")["verdicts"]
    for verdict in verdicts:
        equal(stats[verdict], 2000, verdict)
    conserved(rig)


def through_the_daemon(name, verdicts, mode, size, flows):
    for number, (version, vlan) in enumerate(WIRES):
        with Rig(f"{name}{number}", "veth-af_packet", nice=0, ip_version=version, vlan=vlan) as rig:
            rig.start_daemon(rig.config(orgs=2, nodes=2, mode=mode))
            generator = rig.start_generator(orgs=2, flows=flows)
            all_come_back(rig, verdicts,
                          generator.trial(4000, 20, size, count=2000, drain_ms=10_000,
                                          catch_up_us=20_000_000))


def test_commands_go_to_nodes_and_replies_come_back():
    through_the_daemon("lfgc", ("forwarded", "replied"), "proxy", 200, 0)


def test_flows_are_translated_both_ways():
    through_the_daemon("lfgf", ("flow_forwarded", "flow_returned"), "nat", 128, 500)


def test_nodes_are_found_by_asking():
    """Without their MAC addresses in the configuration: lf-gen answers ARP and solicitations."""
    for number, (version, vlan) in enumerate(WIRES):
        with Rig(f"lfgn{number}", "veth-af_packet", nice=0, ip_version=version, vlan=vlan) as rig:
            config = rig.config(orgs=1, nodes=3)
            for node in config["services"][0]["nodes"]:
                del node["mac"]
            rig.start_generator(orgs=1)
            rig.start_daemon(config)
            rig.wait_for("the nodes' MAC addresses", rig.nodes_resolved)


def test_two_families_in_one_run_are_refused():
    done = subprocess.run([str(ROOT / "build" / "lf-gen"), "--port", "net_null0", "--source",
                           SOURCE[4], "--target", TARGET[6], "--key", key_of(1)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    equal(done.returncode, 2, "exit status")
    check("of two families" in done.stdout, done.stdout)


if __name__ == "__main__":
    main(globals())
