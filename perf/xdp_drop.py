#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What XDP drops on a wire: lf-gen floods an af_xdp port of the daemon over a veth pair with plain UDP
of 16 source addresses, of which none, half or all are on the deny list.

    sudo perf/xdp_drop.py [--seconds 3] [--repeat 3] [--size 64] [--denied 0 8 16]

A line of JSON for each trial: packets a second sent, dropped in the driver, steered to the worker;
and nanoseconds of the XDP program for each packet, in a further trial with the kernel's statistics
of BPF programs on, which cost some themselves. Exit 0 only if the books balance: what came in =
dropped + steered, and the worker received no more than was steered (less when its socket overflows).
The drop runs on the generator's CPU (veth hands over where the sender is): together they are one
core's work, and most of it is the sender's."""

import argparse
import contextlib
import json
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "perf")]
import provision  # noqa: E402  (needs the path above)
from lab import LabError, require_root  # noqa: E402
from machine import machine  # noqa: E402
from rig import Rig  # noqa: E402

SOURCES = 16
FLOWS_A_SOURCE = 32768  # lf-gen's ports of a source address
BPF_STATISTICS = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")


@contextlib.contextmanager
def bpf_statistics():
    before = BPF_STATISTICS.read_text()
    BPF_STATISTICS.write_text("1")
    try:
        yield
    finally:
        BPF_STATISTICS.write_text(before)


def program_times(rig, program):
    """(nanoseconds, runs) of the daemon's XDP program, as the kernel counts while it is told to."""
    for info in pathlib.Path(f"/proc/{rig.daemon.pid}/fdinfo").iterdir():
        with contextlib.suppress(OSError):
            fields = dict(line.split(":", 1) for line in info.read_text().splitlines())
            if int(fields.get("prog_id", -1)) == program and "run_cnt" in fields:
                return int(fields["run_time_ns"]), int(fields["run_cnt"])
    raise LabError(f"no descriptor of program {program}")


def counters(rig):
    port = next(p for p in rig.rpc("xdp.list")["ports"] if p["port"] == "clients")
    stats = rig.rpc("stats")
    return {"arrived": int(rig.inside("dp", "cat", "/sys/class/net/d0/statistics/rx_packets")),
            "denied": port["denied"], "steered": port["steered"], "passed": port["passed"],
            "no_socket": port["no_socket"],
            "received": sum(w["rx"] for w in stats["workers"]),
            "program": port["program"]}


def settled(rig):
    """Counters when nothing moves any more."""
    seen = [counters(rig)]

    def still():
        seen.append(counters(rig))
        return seen[-1] == seen[-2]
    rig.wait_for("the worker is through", still, 20)
    return seen[-1]


def trial(rig, seconds, size):
    before = settled(rig)
    sent = rig.generator.trial(0, seconds, size)
    after = settled(rig)
    moved = {name: after[name] - before[name] for name in before if name != "program"}
    moved["balanced"] = (moved["arrived"] == moved["denied"] + moved["steered"] + moved["passed"]
                         + moved["no_socket"] and moved["received"] <= moved["steered"])
    return {"sent": sent["sent"], "seconds": sent["seconds"], **moved,
            "sent_pps": round(sent["sent"] / sent["seconds"]),
            "denied_pps": round(moved["denied"] / sent["seconds"]),
            "steered_pps": round(moved["steered"] / sent["seconds"])}


def program_ns(rig, seconds, size):
    with bpf_statistics():
        number = counters(rig)["program"]
        before = program_times(rig, number)
        trial(rig, seconds, size)
        after = program_times(rig, number)
    return round((after[0] - before[0]) / max(1, after[1] - before[1]), 1)


def one_case(denied, args):
    """Every second source first, so that half of them is every other one."""
    order = [*range(0, SOURCES, 2), *range(1, SOURCES, 2)]
    with Rig(f"lfxd{os.getpid() % 1000}", "veth-af_xdp", nice=args.nice) as rig:
        rig.start_daemon(rig.config(orgs=1, nodes=2, mode="dsr-flow"))
        rig.start_generator(orgs=1, answer=False, sign=False, flows=SOURCES * FLOWS_A_SOURCE)
        for source in order[:denied]:
            rig.rpc("xdp.deny", {"prefix": f"{rig.client_address(2 + source)}/32"})
        case = {"denied_of_16": denied, "size": args.size}
        trial(rig, 0.2, args.size)  # first touch
        for _ in range(args.repeat):
            yield case | trial(rig, args.seconds, args.size)
        yield case | {"program_ns": program_ns(rig, args.seconds, args.size)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--size", type=int, default=64, help="with check sequence")
    parser.add_argument("--denied", type=int, nargs="+", default=[0, 8, 16], metavar="SOURCES")
    parser.add_argument("--nice", type=int, default=-20, help="of daemon and generator")
    args = parser.parse_args()
    balanced = True
    try:
        require_root()
        provision.build(targets=["latticeforge", "lf-gen"])
        print(json.dumps({"machine": machine()}), flush=True)
        for denied in args.denied:
            for row in one_case(denied, args):
                print(json.dumps(row), flush=True)
                balanced &= row.get("balanced", True)
    except (LabError, provision.ProvisionError) as error:
        return provision.main_error(error)
    return 0 if balanced else 1


if __name__ == "__main__":
    sys.exit(main())
