# SPDX-License-Identifier: Apache-2.0
"""Plain TCP and UDP through flow services: unmodified programs at both ends, in every mode."""

import collections
import json
import pathlib
import shutil
import subprocess
import sys

from harness import Skip, check, conserved, equal, main
from lab import Lab, basic_config, node_address, run

PEER = pathlib.Path(__file__).parent / "flow_peer.py"
VIP4, VIP6 = "10.71.0.100", "fd71::100"
MEGABYTES = 100


def vip(version):
    return VIP4 if version == 4 else VIP6


def flow_config(*services, nodes=3, workers=1, **flows):
    """Services: (name, version, protocol, port, mode)."""
    config = basic_config(workers=workers)
    config["dataplane"]["mbufs"] = 32768
    config["ports"][0]["addresses"] += [f"{VIP4}/24", f"{VIP6}/64"]
    config["flows"] = flows
    config["services"] = []
    for number, (name, version, protocol, port, mode) in enumerate(services):
        service = {"name": name, "kind": "flow", "address": vip(version), "protocol": protocol,
                   "port": port, "mode": mode, "probe": "none", "health": {"warmup": 0},
                   "nodes": [{"name": f"{name}-n{n}", "id": 100 * number + n,
                              "address": node_address(n, version)} for n in range(1, nodes + 1)]}
        config["services"].append(service)
    return config


def give_vip(lab, node):
    """The node answers for the service's address itself, but not to ARP or ND."""
    lab.inside(node, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1",
               "net.ipv4.conf.all.arp_announce=2", "net.ipv4.conf.all.rp_filter=0",
               "net.ipv4.conf.eth0.rp_filter=0")
    lab.inside(node, "ip", "address", "add", f"{VIP4}/32", "dev", "lo")
    lab.inside(node, "ip", "address", "add", f"{VIP6}/128", "dev", "lo", "nodad")


def start_peers(lab, address_of, port):
    for n in range(1, lab.node_count + 1):
        address = address_of(n)
        lab.spawn(f"n{n}", f"peer{n}-{port}", sys.executable, PEER, "serve", address, port, f"n{n}")
        wait_listening(lab, f"n{n}", port)


def wait_listening(lab, node, port):
    lab.wait_for(f"a listener on port {port} of {node}", lambda: f":{port} " in lab.inside(
        node, "ss", "-Hltn", check=False), 20)


def start(lab, config):
    lab.start_daemon(config)
    lab.wait_for("the nodes' MAC addresses", lab.nodes_resolved)


def client(lab, what, version, port, count, timeout=120):
    process = lab.spawn("client", f"{what}{version}-{port}", sys.executable, PEER, what,
                        vip(version), port, count)
    process.wait(timeout)
    return json.loads(process.output().splitlines()[-1])


def expect_all(report, count, what):
    equal(report["errors"], {}, f"{what}: errors")
    equal(report["ok"], count, f"{what}: flows")
    equal(report["moved"], 0, f"{what}: flows that changed their node")


def expect_nothing_lost(lab):
    conserved(lab)
    stats = lab.rpc("stats")
    lost = {name: n for name, n in stats["verdicts"].items()
            if n and name not in ("flow_forwarded", "flow_returned", "to_control", "answered_arp",
                                  "answered_nd", "not_ours")}
    equal(lost, {}, "packets that the data plane lost")


class Held:
    """Connections that stay open, asked for a line each from time to time."""

    def __init__(self, lab, port, count):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", lab.ns("client"), sys.executable, str(PEER), "hold", VIP4,
             str(port), str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        equal(self.process.stdout.readline(), "open\n", "held connections")

    def ask(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)


def start_nginx(lab, node, address, port):
    directory = lab.directory / f"nginx-{node}"
    directory.mkdir()
    (directory / "index.html").write_text(f"this is {node}\n")
    with open(directory / "big", "wb") as big:
        big.truncate(MEGABYTES << 20)
    listen = f"[{address}]" if ":" in address else address
    (directory / "nginx.conf").write_text(
        f"daemon off; master_process off; user root; pid {directory}/pid;\n"
        f"error_log {directory}/error.log;\nevents {{}}\n"
        f"http {{ access_log off; server {{ listen {listen}:{port}; root {directory}; }} }}\n")
    lab.spawn(node, f"nginx-{node}", "/usr/sbin/nginx", "-c", directory / "nginx.conf", "-p",
              directory)
    wait_listening(lab, node, port)


def fetch(lab, version, path, *options):
    host = f"[{VIP6}]" if version == 6 else VIP4
    return lab.inside("client", "curl", "-sS", "--fail", "-m", "120", *options,
                      f"http://{host}:80{path}")


def nginx_through(name, version):
    if not pathlib.Path("/usr/sbin/nginx").exists():
        raise Skip("nginx is not installed")
    with Lab(name) as lab:
        start(lab, flow_config(("web", version, "tcp", 80, "nat")))
        for n in range(1, 4):
            start_nginx(lab, f"n{n}", node_address(n, version), 80)
        check("this is n" in fetch(lab, version, "/index.html"), "the page")
        size = fetch(lab, version, "/big", "-o", "/dev/null", "-w", "%{size_download}")
        equal(int(size), MEGABYTES << 20, "bytes downloaded")
        # Keep-alive: one connection, so one node, for all of these.
        host = f"[{VIP6}]" if version == 6 else VIP4
        pages = lab.inside("client", "curl", "-sS", "-m", "60",
                           f"http://{host}/index.html?[1-100]")
        equal(len(set(pages.splitlines())), 1, "nodes behind one connection")
        equal(len(pages.splitlines()), 100, "pages over one connection")
        expect_nothing_lost(lab)


def test_curl_and_nginx_over_ipv4():
    nginx_through("lfo1", 4)


def test_curl_and_nginx_over_ipv6():
    nginx_through("lfo2", 6)


def need(program):
    if shutil.which(program) is None:
        raise Skip(f"{program} is not installed")


def start_dns(lab, node, *addresses):
    """A DNS server that says which node it is."""
    listen = [f"--listen-address={a}" for a in addresses]
    lab.spawn(node, f"dns-{node}", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
              "--no-resolv", "--no-hosts", "--user=root", "--pid-file=", "--bind-interfaces",
              f"--txt-record=who.test,{node}", *listen)
    wait_listening(lab, node, 53)


def dig(lab, version, *options):
    out = lab.inside("client", "dig", f"@{vip(version)}", "who.test", "TXT", "+short", "+tries=1",
                     "+time=10", *options)
    return out.strip().strip('"')


def dns_through(name, mode):
    need("dig")
    need("dnsmasq")
    with Lab(name) as lab:
        start(lab, flow_config(*((f"{protocol}{version}", version, protocol, 53, mode)
                                 for protocol in ("udp", "tcp") for version in (4, 6))))
        for n in range(1, 4):
            if mode == "nat":
                start_dns(lab, f"n{n}", node_address(n, 4), node_address(n, 6))
            else:
                give_vip(lab, f"n{n}")
                start_dns(lab, f"n{n}", VIP4, VIP6)
        for version in (4, 6):
            nodes = collections.Counter(dig(lab, version) for _ in range(40))
            equal(sum(nodes.values()), 40, "answers")
            equal(set(nodes), {"n1", "n2", "n3"}, f"nodes that answered: {nodes}")
            check(dig(lab, version, "+tcp").startswith("n"), "an answer over TCP")
        expect_nothing_lost(lab)


def test_dig_and_a_dns_server_by_nat():
    dns_through("lfo10", "nat")


def test_dig_and_a_dns_server_that_answers_directly():
    dns_through("lfo11", "dsr-l2")


def test_iperf3():
    """One node: iperf3 wants all its connections at one place."""
    need("iperf3")
    with Lab("lfo12", nodes=1) as lab:
        start(lab, flow_config(*((f"{protocol}{version}", version, protocol, 5201, "nat")
                                 for protocol in ("tcp", "udp") for version in (4, 6)), nodes=1))
        lab.spawn("n1", "iperf3", "iperf3", "--server", "--port", 5201)
        wait_listening(lab, "n1", 5201)
        for version in (4, 6):
            for options in (["--parallel", 4], ["--reverse"], ["--udp", "--bitrate", "20M"]):
                out = json.loads(lab.inside("client", "iperf3", "--client", vip(version), "--json",
                                            "--time", 2, *options))
                check("error" not in out, f"{options}: {out.get('error')}")
                end = out["end"].get("sum_received") or out["end"]["sum"]
                check(end["bytes"] > 2_000_000, f"{options}: {end}")
                if "--udp" in options:
                    equal(end["lost_packets"], 0, "datagrams lost")
        conserved(lab)


def test_nat_ten_thousand_connections_and_udp():
    with Lab("lfo3") as lab:
        start(lab, flow_config(("tcp4", 4, "tcp", 7000, "nat"), ("udp4", 4, "udp", 7000, "nat"),
                               ("tcp6", 6, "tcp", 7000, "nat"), ("udp6", 6, "udp", 7000, "nat")))
        start_peers(lab, lambda n: node_address(n, 4), 7000)
        report = client(lab, "tcp", 4, 7000, 10000, 300)
        expect_all(report, 10000, "TCP over IPv4")
        check(min(report["nodes"].values()) > 2500, f"every node takes its part: {report}")
        expect_all(client(lab, "udp", 4, 7000, 2000), 2000, "UDP over IPv4")
        flows = {n["name"]: n["flows_opened"] for n in lab.rpc("nodes.list")}
        equal(sum(v for k, v in flows.items() if k.startswith("tcp4")), 10000, "flows counted")
        expect_nothing_lost(lab)


def test_nat_over_ipv6():
    with Lab("lfo4") as lab:
        start(lab, flow_config(("tcp6", 6, "tcp", 7000, "nat"), ("udp6", 6, "udp", 7000, "nat")))
        start_peers(lab, lambda n: node_address(n, 6), 7000)
        expect_all(client(lab, "tcp", 6, 7000, 500), 500, "TCP over IPv6")
        expect_all(client(lab, "udp", 6, 7000, 500), 500, "UDP over IPv6")
        expect_nothing_lost(lab)


def test_nat_over_two_workers():
    with Lab("lfo5", queues=2) as lab:
        start(lab, flow_config(("tcp4", 4, "tcp", 7000, "nat"), ("udp4", 4, "udp", 7000, "nat"),
                               workers=2))
        start_peers(lab, lambda n: node_address(n, 4), 7000)
        expect_all(client(lab, "tcp", 4, 7000, 1000), 1000, "TCP over two workers")
        expect_all(client(lab, "udp", 4, 7000, 1000), 1000, "UDP over two workers")
        workers = [w["rx"] for w in lab.rpc("stats")["workers"]]
        check(all(rx > 1000 for rx in workers), f"both workers had packets: {workers}")
        expect_nothing_lost(lab)


def test_dsr():
    with Lab("lfo6") as lab:
        start(lab, flow_config(("tcp4", 4, "tcp", 7000, "dsr-l2"), ("udp4", 4, "udp", 7000, "dsr-l2"),
                               ("tcp6", 6, "tcp", 7000, "dsr-l2")))
        for n in range(1, 4):
            give_vip(lab, f"n{n}")
        start_peers(lab, lambda n: f"{VIP4},{VIP6}", 7000)
        expect_all(client(lab, "tcp", 4, 7000, 2000), 2000, "TCP over IPv4")
        expect_all(client(lab, "udp", 4, 7000, 500), 500, "UDP over IPv4")
        expect_all(client(lab, "tcp", 6, 7000, 500), 500, "TCP over IPv6")
        equal(lab.rpc("stats")["verdicts"]["flow_returned"], 0, "answers that came through us")
        expect_nothing_lost(lab)


def start_tunnel(lab, node, kind, version):
    number = int(node[1:])
    name = f"tunnel-{node}-{kind}{version}"
    tun = f"lf{kind}{version}"
    process = lab.spawn(node, name, sys.executable, "-u", PEER, "tunnel", kind,
                        node_address(number, version), tun)
    lab.wait_for("the tunnel", lambda: "ready" in process.output(), 20)
    lab.inside(node, "ip", "link", "set", tun, "up")
    lab.inside(node, "sysctl", "-qw", f"net.ipv4.conf.{tun}.rp_filter=0")


def tunnels(name, mode):
    with Lab(name) as lab:
        config = flow_config(("in4", 4, "tcp", 7000, mode), ("in6", 6, "tcp", 7000, mode),
                             ("mix4", 4, "tcp", 7001, mode), ("mix6", 6, "tcp", 7001, mode))
        for service, version in ((2, 6), (3, 4)):  # the other family outside
            for n, node in enumerate(config["services"][service]["nodes"], 1):
                node["address"] = node_address(n, version)
        config["services"][0]["outer_source"] = "10.71.0.128/25"
        start(lab, config)
        for n in range(1, 4):
            give_vip(lab, f"n{n}")
            start_tunnel(lab, f"n{n}", mode, 4)
            start_tunnel(lab, f"n{n}", mode, 6)
        start_peers(lab, lambda n: f"{VIP4},{VIP6}", 7000)
        start_peers(lab, lambda n: f"{VIP4},{VIP6}", 7001)
        for version in (4, 6):
            for port in (7000, 7001):
                what = f"{mode}, IPv{version}, port {port}"
                expect_all(client(lab, "tcp", version, port, 300), 300, what)
                # Full segments do not fit behind the outer header: path MTU discovery finds out.
                expect_all(client(lab, "bulk", version, port, 20), 20, f"{what}, full segments")
        verdicts = lab.rpc("stats")["verdicts"]
        check(verdicts["too_big"] > 0, "packets too big for the tunnel were refused")
        equal(verdicts["flow_returned"], 0, "answers that came through us")
        conserved(lab)


def test_ipip():
    tunnels("lfo8", "ipip")


def test_gue():
    tunnels("lfo9", "gue")


def test_drained_and_removed_nodes():
    with Lab("lfo7") as lab:
        config = flow_config(("tcp4", 4, "tcp", 7000, "nat"))
        start(lab, config)
        start_peers(lab, lambda n: node_address(n, 4), 7000)
        held = Held(lab, 7000, 300)
        before = held.ask("before")
        equal(before["ok"], 300, "connections")
        check(before["nodes"].get("n1", 0) > 50, f"n1 has its part: {before}")
        lab.rpc("node.drain", {"node": "tcp4-n1"})
        during = held.ask("drained")
        equal((during["ok"], during["errors"], during["moved"]), (300, {}, 0), "while n1 drains")
        fresh = client(lab, "tcp", 4, 7000, 300)
        expect_all(fresh, 300, "new connections while n1 drains")
        check("n1" not in fresh["nodes"], f"none of them at n1: {fresh}")
        lab.rpc("node.undrain", {"node": "tcp4-n1"})
        # Taken out of the configuration: its connections are over, nobody else's are.
        del config["services"][0]["nodes"][0]
        (lab.directory / "latticeforge.yaml").write_text(json.dumps(config))
        lab.rpc("config.reload")
        after = held.ask("removed")
        gone = before["nodes"]["n1"]
        check(after["ok"] >= 300 - gone, f"{gone} were at n1: {after}")
        equal(after["moved"], 0, "connections that moved")
        held.close()


if __name__ == "__main__":
    main(globals())
