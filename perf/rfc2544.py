#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""RFC 2544 / RFC 9004 measurements of the daemon, with lf-gen at both of its sides: throughput without
loss and at 0.5 %, frame loss curve, back-to-back, latency, tables swapped under load, a soak.

    perf/rfc2544.py --out DIR                    over memif, and over veth with AF_XDP
    perf/rfc2544.py --kind memif --sizes 128     one of them, one size
    perf/rfc2544.py --flows 10000 --out DIR      a flow service (NAT) instead of commands
    perf/rfc2544.py --quick                      under a minute: does it work?

Writes DIR/rfc2544-KIND.json, .md and SVG plots. dpdk-testpmd (5tswap) takes the daemon's place on the
same ports in the same run: on a shared machine only the ratio means something. Needs root and two
CPUs: the worker has CPU 1, generator and control thread CPU 0. docs/benchmarking.md."""

import argparse
import contextlib
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "perf")]
import phases  # noqa: E402  (need the path above)
import provision  # noqa: E402
import rfc2544_report  # noqa: E402
from lab import LabError, require_root  # noqa: E402
from machine import Meanwhile, machine  # noqa: E402
from rig import KINDS, Rig  # noqa: E402

SIZES = [64, 128, 256, 512, 1024, 1518]
SMALLEST = {4: 126, 6: 146}  # an LCP frame without payload, with its check sequence
SMALLEST_PLAIN = {4: 62, 6: 82}  # and what lf-gen marks a plain one with
VLAN_TAG = 4
NODES = 4


def log(text):
    print(text, flush=True)


@contextlib.contextmanager
def running(args, kind, what):
    """A Bench of the daemon, or of testpmd in its place."""
    with Rig(f"lfrf{os.getpid() % 1000}", kind, nice=args.nice, ring_log2=args.ring,
             ip_version=args.ip, vlan=args.vlan) as rig:
        if what == "testpmd":
            rig.start_testpmd()
        else:
            modes = ("nat", "dsr-flow") if args.flows else ("proxy", "dsr-l2")
            rig.start_daemon(rig.config(
                orgs=args.orgs, nodes=NODES, mode=modes[args.one_way],
                authentication="required" if args.auth else "off", audit=args.audit))
        rig.start_generator(orgs=args.orgs, answer=not args.one_way, sign=args.auth,
                            flows=args.flows)
        bench = phases.Bench(rig, not args.one_way, args.seconds, log)
        bench.trial(20_000, args.sizes[0])  # first touch of tables and rings
        yield bench


def books(bench, size):
    """Every frame that the generator gave is in the daemon's verdicts, and what those say came back."""
    for _ in range(20):  # until nothing is on its way any more
        if bench.trial(100, size, 0.05)["strays"] == 0:
            break
    stats = bench.rig.rpc("stats")
    ours = bench.books
    given = ours["sent"] + (ours["nodes"] - ours["unanswered"] if bench.answer else 0)
    return {"given": given, "received": stats["received"], "verdicts": stats["verdicts"],
            "parked": stats["parked"],
            "sent": sum(w["tx"] for w in stats["workers"]),
            "came_back": ours["nodes"] + ours["answers"] + ours["strays"]}


def measure_daemon(args, kind, result):
    with running(args, kind, "daemon") as bench:
        result["throughput"] = [phases.throughput(bench, size, args.width, args.votes)
                                for size in args.sizes]
        rates = {row["size"]: row for row in result["throughput"]}
        for size in args.detail_sizes:
            row = rates[size]
            rate = row["zero_loss"]["forwarded"] or row["loss_0.5_percent"]["forwarded"]
            flat_out = max(row["flat_out"]["offered"], row["loss_0.5_percent"]["load"] * 1.2)
            log(f"{size} bytes: loss curve, back-to-back, latency, tables swapped …")
            result["loss_curve"].append(
                {"size": size, "points": phases.loss_curve(bench, size, flat_out)})
            result["back_to_back"].append(
                phases.back_to_back(bench, size, rate, args.repetitions))
            result["latency"].append({"size": size, "rate": rate, "rows": phases.latency(
                bench, size, rate, args.latency_seconds)})
            result["reconfiguration"].append(phases.reconfiguration(
                bench, size, rate * 0.5, args.latency_seconds, args.swaps, NODES))
        if args.soak:
            size = args.detail_sizes[0]
            row = rates[size]
            rate = row["zero_loss"]["forwarded"] or row["loss_0.5_percent"]["forwarded"]
            result["soak"] = phases.soak(bench, size, rate * 0.5, args.soak)
        result["books"] = books(bench, args.sizes[0])
        result["trials"] = {"made": bench.trials, "disturbed": bench.disturbed}


def measure_testpmd(args, kind, result):
    with running(args, kind, "testpmd") as bench:
        result["testpmd"] = [phases.throughput(bench, size, args.width, args.votes)
                             for size in args.sizes]
        result["testpmd_latency"] = []
        for row in result["latency"]:  # at the daemon's rates
            result["testpmd_latency"].append({"size": row["size"], "rate": row["rate"],
                                              "rows": phases.latency(bench, row["size"], row["rate"],
                                                                     args.latency_seconds)})


def measure(args, kind):
    log(f"== {kind}")
    meanwhile = Meanwhile()
    result = {"kind": kind, "machine": machine(), "arguments": {**vars(args), "out": str(args.out)},
              "loss_curve": [], "back_to_back": [], "latency": [], "reconfiguration": []}
    measure_daemon(args, kind, result)
    if args.baseline:
        log("testpmd in its place:")
        measure_testpmd(args, kind, result)
    result["meanwhile"] = meanwhile.done()
    return result


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=KINDS, action="append", help="default: memif, veth-af_xdp")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES,
                        help=f"bytes with check sequence; below {SMALLEST[4]} becomes {SMALLEST[4]}"
                             f" (IPv6: {SMALLEST[6]}; a tag: {VLAN_TAG} more)")
    parser.add_argument("--detail-sizes", type=int, nargs="+", default=[128, 1518],
                        help="for all but throughput")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a trial")
    parser.add_argument("--latency-seconds", type=float, default=5.0)
    parser.add_argument("--width", type=float, default=0.03, help="of the bracket, relative")
    parser.add_argument("--votes", type=int, default=3, help="trials that judge a load")
    parser.add_argument("--repetitions", type=int, default=5, help="of back-to-back")
    parser.add_argument("--swaps", type=int, default=1000, help="changes a second")
    parser.add_argument("--soak", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--orgs", type=int, default=16)
    parser.add_argument("--auth", type=int, choices=(0, 1), default=1)
    parser.add_argument("--audit", type=int, choices=(0, 1), default=0)
    parser.add_argument("--one-way", action="store_true",
                        help="dsr-l2: no answers through the daemon")
    parser.add_argument("--flows", type=int, default=0, metavar="N",
                        help="plain UDP of N flows to a flow service; 0: commands")
    parser.add_argument("--ip", type=int, choices=(4, 6), default=4, help="version of all packets")
    parser.add_argument("--vlan", type=int, default=0, help="tag of all frames; 0: none")
    parser.add_argument("--no-baseline", dest="baseline", action="store_false")
    parser.add_argument("--ring", type=int, default=11, help="log2 of memif's ring")
    parser.add_argument("--nice", type=int, default=-20, help="of daemon, testpmd and generator")
    parser.add_argument("--quick", action="store_true", help="short trials, two sizes, memif, no plots")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR")
    args = parser.parse_args()
    if args.quick:
        args.kind, args.sizes, args.detail_sizes = args.kind or ["memif"], [64, 1518], [64]
        args.seconds, args.latency_seconds, args.width, args.votes = 0.1, 0.3, 0.3, 1
        args.repetitions, args.baseline = 1, False
    args.kind = args.kind or ["memif", "veth-af_xdp"]
    args.plots = args.out is not None and not args.quick
    smallest = (SMALLEST_PLAIN if args.flows else SMALLEST)[args.ip]
    smallest = max(64, smallest + (VLAN_TAG if args.vlan else 0))
    args.sizes = sorted({max(smallest, s) for s in args.sizes + args.detail_sizes})
    args.detail_sizes = sorted({max(smallest, s) for s in args.detail_sizes})
    return args


def main():
    args = parse()
    try:
        require_root()
        provision.install("run", "test", *(["perf"] if args.plots else []))
        provision.build(targets=["latticeforge", "lf-gen"])
        for kind in args.kind:
            result = measure(args, kind)
            if args.out:
                rfc2544_report.write(result, args.out, args.plots)
    except (LabError, provision.ProvisionError) as error:
        return provision.main_error(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
