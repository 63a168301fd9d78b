# SPDX-License-Identifier: Apache-2.0
"""What ipip and gue put in front of a packet, byte for byte beside packets that scapy builds: both
families outside and inside, with a VLAN tag and without. Scapy plays client and nodes; what varies
by flow is worked out here a second time, since a fleet must agree on it."""

import ipaddress
import json
import select
import subprocess
import sys

from harness import Skip, check, equal, main
from lab import Lab, basic_config

try:
    from scapy.all import (ARP, GRE, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, IP, TCP, UDP,
                           Dot1Q, Ether, ETH_P_ALL, IPv6, Raw, conf)
except ImportError:
    conf = None

OUR_MAC, CLIENT_MAC, NODE_MAC = (f"02:00:00:00:00:{n}" for n in ("01", "77", "99"))
OWN = {4: "10.71.0.1", 6: "fd71::1"}
VIP = {4: "10.71.0.100", 6: "fd71::100"}
CLIENT = {4: "10.71.0.77", 6: "fd71::77"}
# By the family outside and inside; MAC addresses are all the same.
NODE = {(4, 4): "10.71.0.44", (4, 6): "10.71.0.46", (6, 4): "fd71::64", (6, 6): "fd71::66"}
OUTER_SOURCE = {4: "172.16.0.0/14", 6: "fd72:1234::/60"}
GUE_PORT = 6080
M64 = 2**64 - 1


def fold(a, b):
    product = a * b
    return (product ^ product >> 64) & M64


def halves(address):
    address = ipaddress.ip_address(address)
    if address.version == 4:
        address = ipaddress.ip_address(f"::ffff:{address}")
    return tuple(int.from_bytes(address.packed[n:n + 8], "little") for n in (0, 8))


def flow_hash(client, local, client_port, port, protocol):
    """hash_of() of dataplane/flow/key.hpp."""
    ends = (client_port.to_bytes(2, "big") + port.to_bytes(2, "big")
            + bytes([protocol, ipaddress.ip_address(client).version, 0, 0]))
    (chi, clo), (lhi, llo) = halves(client), halves(local)
    h = fold(clo ^ 0x2d358dccaa6c78a5, chi ^ 0x8bb84b93962eacc9)
    h ^= fold(llo ^ 0x4b33a62ed433d4a3, lhi ^ 0x4d5a2da51de1aa47)
    h = fold(h ^ 0xa0761d6478bd642f, int.from_bytes(ends, "little") ^ 0xe7037ed1a0b428db)
    return fold(h ^ 0x8ebc6af09c88c6e3, 0x589965cc75374cc3)


def outer_source(version, prefixed, h):
    if not prefixed:
        return OWN[version]
    network = ipaddress.ip_network(OUTER_SOURCE[version])
    base = halves(network.network_address)
    vary = halves(network.hostmask if version == 6 else f"::{network.hostmask}")
    other = h * 0x9e3779b97f4a7c15 & M64
    packed = b"".join((part | mix & mask).to_bytes(8, "little")
                      for part, mix, mask in zip(base, (other, h), vary))
    return str(ipaddress.ip_address(packed[12:] if version == 4 else packed))


def frame(destination, source, vlan, packet):
    tag = Dot1Q(vlan=vlan) if vlan else None
    ether = Ether(dst=destination, src=source)
    return bytes(ether / tag / packet if tag else ether / packet)


def encapsulated(kind, outer, packet, tos, prefixed, h):
    """The packet behind its outer header, as scapy writes it."""
    inner = 4 if isinstance(packet, IP) else 6
    node, source = NODE[outer, inner], outer_source(outer, prefixed, h)
    protocol = 4 if inner == 4 else 41
    around = 17 if kind == "gue" else protocol
    if outer == 4:
        ip = IP(src=source, dst=node, proto=around, tos=tos, flags="DF", id=0, ttl=64)
    else:
        ip = IPv6(src=source, dst=node, nh=around, tc=tos, fl=h >> 12 & 0xfffff, hlim=64)
    if kind == "ipip":
        return ip / Raw(bytes(packet))
    udp = UDP(sport=0xc000 | h & 0x3fff, dport=GUE_PORT)
    if outer == 4:
        udp.chksum = 0
    return ip / udp / Raw(bytes([0, protocol, 0, 0]) + bytes(packet))


def inner_packets(version):
    """(packet, its traffic class, its hash), from the smallest to the largest that fits."""
    src, dst = CLIENT[version], VIP[version]
    for number in range(12):
        port, tos = 20000 + 977 * number, (0, 0xb8, 0x03)[number % 3]
        ip = (IP(src=src, dst=dst, tos=tos, id=number, ttl=3 + number) if version == 4
              else IPv6(src=src, dst=dst, tc=tos, fl=number * 4711, hlim=3 + number))
        size = (0, 1, 33, 536, 1300, 1379)[number % 6]
        l4 = (TCP(sport=port, dport=7000, flags="S", seq=number, options=[("MSS", 1460)])
              if number % 2 else UDP(sport=port, dport=7000))
        protocol = 6 if number % 2 else 17
        data = bytes((number + n) & 255 for n in range(size))
        yield ip / l4 / Raw(data), tos, flow_hash(src, dst, port, 7000, protocol)
    ip = IP(src=src, dst=dst) if version == 4 else IPv6(src=src, dst=dst)
    yield ip / GRE() / Raw(b"x" * 40), 0, flow_hash(src, dst, 0, 0, 47)  # any protocol, no ports


def config(vlan):
    result = basic_config()
    result["ports"][0].update(vlan=vlan, addresses=[
        f"{OWN[4]}/24", f"{OWN[6]}/64", f"{VIP[4]}/24", f"{VIP[6]}/64"])
    result["services"] = []
    return result


def service(kind, outer, inner, prefixed):
    result = {"name": f"out{outer}in{inner}", "kind": "flow", "address": VIP[inner],
              "protocol": "any", "port": 0, "mode": kind, "probe": "none",
              "health": {"warmup": 0},
              "nodes": [{"name": f"n{outer}{inner}", "id": outer * 10 + inner,
                         "address": NODE[outer, inner]}]}
    if prefixed:
        result["outer_source"] = OUTER_SOURCE[outer]
    return result


class Peer:
    """Scapy in the client's namespace: sends frames, gives those that come to the nodes."""

    def __init__(self, lab):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", lab.ns("client"), sys.executable, __file__, "peer"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        equal(self.process.stdout.readline(), "ready\n", "scapy")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(20)

    def exchange(self, sent):
        self.process.stdin.write(sent.hex() + "\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], 20)
        check(ready, f"nothing came of {sent.hex()}")
        return bytes.fromhex(json.loads(self.process.stdout.readline()))


def answer_for(packet):
    """What a node answers to a question for its MAC address; None: it is none."""
    if ARP in packet and packet[ARP].op == 1 and packet[ARP].pdst in NODE.values():
        q = packet[ARP]
        return ARP(op=2, hwsrc=NODE_MAC, psrc=q.pdst, hwdst=q.hwsrc, pdst=q.psrc)
    if ICMPv6ND_NS in packet and packet[ICMPv6ND_NS].tgt in NODE.values():
        target = packet[ICMPv6ND_NS].tgt
        return (IPv6(src=target, dst=packet[IPv6].src, hlim=255)
                / ICMPv6ND_NA(R=0, S=1, O=1, tgt=target) / ICMPv6NDOptDstLLAddr(lladdr=NODE_MAC))
    return None


def peer():
    link = conf.L2socket(iface="eth0", type=ETH_P_ALL, promisc=True)
    print("ready", flush=True)
    while True:
        for ready in select.select([link, sys.stdin], [], [])[0]:
            if ready is sys.stdin:
                line = sys.stdin.readline()
                if not line:
                    return
                link.send(Raw(bytes.fromhex(line)))
                continue
            packet = link.recv()
            if packet is None or packet.src != OUR_MAC:
                continue
            answer = answer_for(packet)
            if answer is not None:
                vlan = packet[Dot1Q].vlan if Dot1Q in packet else 0
                link.send(Raw(frame(OUR_MAC, NODE_MAC, vlan, answer)))
            elif packet.dst == NODE_MAC and ARP not in packet and ICMPv6ND_NS not in packet:
                print(json.dumps(bytes(packet.original).hex()), flush=True)


def byte_exact(name, kind):
    if conf is None:
        raise Skip("scapy is not installed")
    with Lab(name, nodes=0) as lab, Peer(lab) as peer_:
        for vlan in (0, 9):
            for outer in (4, 6):
                for prefixed in (False, True):
                    settings = config(vlan)
                    settings["services"] = [service(kind, outer, 4, prefixed),
                                            service(kind, outer, 6, prefixed)]
                    lab.start_daemon(settings)
                    lab.wait_for("the nodes' MAC addresses", lab.nodes_resolved)
                    for inner in (4, 6):
                        compare(lab, peer_, kind, vlan, outer, inner, prefixed)
                    lab.daemon.stop()


def compare(lab, peer_, kind, vlan, outer, inner, prefixed):
    for number, (packet, tos, h) in enumerate(inner_packets(inner)):
        got = peer_.exchange(frame(OUR_MAC, CLIENT_MAC, vlan, packet))
        wanted = frame(NODE_MAC, OUR_MAC, vlan,
                       encapsulated(kind, outer, packet, tos, prefixed, h))
        equal(got.hex(), wanted.hex(), f"{kind}, VLAN {vlan}, IPv{inner} in IPv{outer}, "
              f"source {OUTER_SOURCE[outer] if prefixed else 'own'}, packet {number}")


def test_ipip_is_byte_exact():
    byte_exact("lfe1", "ipip")


def test_gue_is_byte_exact():
    byte_exact("lfe2", "gue")


if __name__ == "__main__":
    if sys.argv[1:] == ["peer"]:
        peer()
    else:
        main(globals())
