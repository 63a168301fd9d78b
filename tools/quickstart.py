# SPDX-License-Identifier: Apache-2.0
"""What tools/quickstart runs: a client and three nodes in network namespaces, the daemon between
them on veth, real commands, a live table, a node that goes away and comes back, a summary."""

import argparse
import json
import os
import pathlib
import shutil
import signal
import sys
import time

import provision
from lab import VIP4, Lab, LabError, basic_config, require_root, run

STATE = pathlib.Path("/run/latticeforge-quickstart.json")
NODE_DOWN = 2  # the node that is taken away
BARS = " ▏▎▍▌▋▊▉█"


def config(port):
    """The lab's configuration with times short enough to see a node come back."""
    settings = basic_config(port)
    service = settings["services"][0]
    service["timeout"] = "200ms"
    service["health"] = {"warmup": "6s"}
    service["breaker"] = {"open": "2s"}
    return settings


def bar(share, width=20):
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (BARS[rest] if rest else "")).ljust(width)


def table(lab, second, seconds, event):
    lines = [f"second {second:2d}/{seconds}   {event}", "",
             f"  {'node':6} {'state':9} {'breaker':10} {'health':>6} {'weight':>7} "
             f"{'':20} {'sent':>9} {'replies':>9} {'timeouts':>8}"]
    for node in lab.rpc("nodes.list"):
        health = "-" if node["health"] is None else f"{node['health']:.2f}"
        lines.append(f"  {node['name']:6} {node['state']:9} {node['breaker']:10} {health:>6} "
                     f"{node['weight'] * 100:6.1f}% {bar(node['weight'])} {node['sent']:9d} "
                     f"{node['replies']:9d} {node['timeouts']:8d}")
    verdicts = lab.rpc("stats")["verdicts"]
    shown = sorted(((n, v) for name, n in verdicts.items() if n for v in [name]), reverse=True)
    lines += ["", "  verdicts: " + "  ".join(f"{name} {count}" for count, name in shown)]
    return lines


class Screen:
    """Draws over the last table on a terminal; prints one line a second elsewhere."""

    def __init__(self):
        self.live, self.height = sys.stdout.isatty(), 0

    def show(self, lines):
        if self.live:
            if self.height:
                sys.stdout.write(f"\x1b[{self.height}A\x1b[J")
            self.height = len(lines)
            print("\n".join(lines), flush=True)
        else:
            print(lines[0] + "   " + "  ".join(" ".join(x.split()[:5]) for x in lines[3:6]),
                  flush=True)


def start_node(lab, number, name):
    return lab.start_node(number, "--report-to", f"{VIP4}:7171", name=name)


def traffic(lab, args, node, screen):
    """Runs the client for args.seconds; takes a node down at 40 % and brings it back at 60 %."""
    send = lab.start_send("--org", "1,2", "--rate", args.rate, "--seconds", args.seconds,
                          "--retries", 12, "--timeout-ms", 250, "--want-reply")
    start, event = time.monotonic(), "three nodes share the commands"
    down, up = args.seconds * 0.4, args.seconds * 0.6
    names = [f"node{n}" for n in range(1, 4)]
    while send.alive():
        now = time.monotonic() - start
        if now >= down and node[NODE_DOWN] is not None and down is not None:
            node[NODE_DOWN].stop()
            node[NODE_DOWN], event = None, f"node n{NODE_DOWN} was taken down"
            down = float("inf")
        if now >= up:
            names.append(f"node{NODE_DOWN}-again")
            node[NODE_DOWN] = start_node(lab, NODE_DOWN, names[-1])
            up, event = float("inf"), f"node n{NODE_DOWN} is back and warms up"
        screen.show(table(lab, min(int(now), args.seconds), args.seconds, event))
        time.sleep(max(0.05, 1 - (time.monotonic() - start) % 1))
        if now > args.seconds + 60:
            raise LabError("the client did not end:\n" + send.output()[-2000:])
    screen.show(table(lab, args.seconds, args.seconds, event))
    if send.popen.returncode != 0:
        raise LabError("the client failed:\n" + send.output()[-2000:])
    return names


def summarise(lab, args, names, seconds):
    verdicts = {name: n for name, n in lab.rpc("stats")["verdicts"].items() if n}
    sent = lab.report("send")
    if not args.keep:
        for process in lab.processes:
            if process.name.startswith("node"):
                process.stop()
    reached = lab.deliveries(names)
    twice = sum(count > 1 for count in reached.values())
    summary = {"sent": sent["sent"], "unique": sent["unique"], "answered": sent["answered"],
               "lost": sent["lost"], "delivered_twice": twice, "reached_nodes": len(reached),
               "seconds": round(seconds, 1), "latency_us": sent["latency_us"],
               "port": args.port, "verdicts": verdicts}
    share = sent["answered"] / max(1, sent["unique"])
    print(f"\n{sent['unique']} commands sent, {sent['answered']} answered ({share:.2%}), "
          f"{sent['lost']} lost, {twice} reached nodes more than once; "
          f"half of the answers within {sent['latency_us']['p50']} us, "
          f"99 % within {sent['latency_us']['p99']} us")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(summary, indent=1) + "\n")
    return 0 if sent["answered"] > 0 else 1


def stop_kept():
    """Ends what a run with --keep left behind."""
    if not STATE.exists():
        return
    state = json.loads(STATE.read_text())
    for pid in state["pids"]:
        try:
            if "lf-" in pathlib.Path(f"/proc/{pid}/cmdline").read_text() or \
                    "latticeforge" in pathlib.Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGTERM)
        except OSError:
            pass
    time.sleep(1)
    for namespace in state["namespaces"]:
        run("ip", "netns", "del", namespace, check=False)
    shutil.rmtree(state["directory"], ignore_errors=True)
    STATE.unlink()


def main():
    parser = argparse.ArgumentParser(prog="tools/quickstart", description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="how long to send (default 20)")
    parser.add_argument("--rate", type=int, default=2000, help="commands a second (default 2000)")
    parser.add_argument("--port", choices=["af_packet", "af_xdp"], default="af_packet")
    parser.add_argument("--keep", action="store_true", help="leave everything running")
    parser.add_argument("--stop", action="store_true", help="end what --keep left running")
    parser.add_argument("--json", metavar="FILE", help="write the summary there")
    args = parser.parse_args()
    try:
        require_root()
        stop_kept()
        if args.stop:
            return 0
        provision.install("run")
        print("building (some minutes the first time) …", flush=True)
        provision.build(targets=["latticeforge", "lfctl", "lf-send", "lf-node"])
        with Lab("lfq") as lab:
            node = {n: start_node(lab, n, f"node{n}") for n in range(1, 4)}
            lab.start_daemon(config(args.port))
            print(f"the daemon runs; ask it with: build/lfctl --socket {lab.socket} status\n")
            start = time.monotonic()
            lab.wait_for("the nodes' MAC addresses", lab.nodes_resolved)
            names = traffic(lab, args, node, Screen())
            status = summarise(lab, args, names, time.monotonic() - start)
            if args.keep:
                STATE.write_text(json.dumps({
                    "pids": [p.pid for p in lab.processes if p.alive()],
                    "namespaces": lab.namespaces, "directory": str(lab.directory)}))
                lab.processes, lab.namespaces = [], []
                print(f"left running: build/lfctl --socket {lab.socket} nodes --watch\n"
                      "to end it:    sudo tools/quickstart --stop")
            return status
    except (LabError, provision.ProvisionError) as error:
        return provision.main_error(error)


if __name__ == "__main__":
    sys.exit(main())
