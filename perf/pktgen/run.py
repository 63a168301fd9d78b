#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the scripts of this directory with a real Pktgen-DPDK against the daemon over memif, and with
dpdk-testpmd in the daemon's place; writes OUT/pktgen.json and .md.

    perf/pktgen/run.py --pktgen PATH/build/app/pktgen --out perf/results

Commands are not signed (README.md), and nobody answers them: the service is dsr-l2 without
authentication. Needs root."""

import argparse
import json
import os
import pathlib
import shlex
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "perf")]
import provision  # noqa: E402  (need the path above)
from lab import LabError, require_root  # noqa: E402
from machine import Meanwhile, machine  # noqa: E402
from rig import Rig  # noqa: E402


def pktgen(rig, args, size):
    """Packets a second that Pktgen sent and that came out at the other side, as the script says."""
    report = rig.directory / "pktgen.json"
    report.unlink(missing_ok=True)
    command = [args.pktgen, "--lcores", "0@0,1@0", "--no-pci", "--no-huge", "--no-shconf", "-m", "3072",
               "--vdev", rig.device(0, False), "--vdev", rig.device(1, False), "--", "-P", "-m", "1.0-1",
               "-f", ROOT / "perf" / "pktgen" / "lcp.lua"]
    env = {"LCP_SIZE": size, "LCP_SECONDS": args.seconds, "LCP_REPORT": report}
    line = shlex.join(["env", *(f"{k}={v}" for k, v in env.items()), *map(str, command)])
    # Pktgen wants a terminal, and its own directory for its Lua files.
    process = rig.spawn("gen", "pktgen", "sh", "-c",
                        f"cd {shlex.quote(str(args.pktgen.parent.parent.parent))} && "
                        f"exec script -qec {shlex.quote(line)} {rig.directory}/terminal")
    process.wait(args.seconds + 60)
    if not report.exists():
        raise LabError("Pktgen wrote no report:\n" + process.output()[-1500:])
    return json.loads(report.read_text())


def measure(args, what, size):
    with Rig(f"lfpk{os.getpid() % 1000}", "memif", nice=args.nice) as rig:
        if what == "testpmd":
            rig.start_testpmd("mac")
        else:
            rig.start_daemon(rig.config(mode="dsr-l2", authentication="off"))
        t = pktgen(rig, args, size)
        row = {"what": what, "size": size, "sent_pps": t["port0"]["tx_pps"],
               "forwarded_pps": t["port1"]["rx_pps"]}
        # The daemon may not outlive its memif client: what it counted is asked for if it did.
        if what == "daemon" and rig.daemon.alive():
            row["verdicts"] = {k: v for k, v in rig.rpc("stats")["verdicts"].items() if v}
        print(row, flush=True)
        return row


def markdown(result):
    m, w = result["machine"], result["meanwhile"]
    rows = {(r["what"], r["size"]): r for r in result["rows"]}
    lines = ["# Pktgen-DPDK over memif", "",
             f"Written by `perf/pktgen/run.py` on {m['time']}, commit {m['commit']}. {m['cpu']}, "
             f"{m['cores']} CPUs, load average {w['load_before']:.1f} before and {w['load_after']:.1f} after, "
             f"{w['steal_percent']} % stolen.", "",
             "Thousand unsigned commands a second through one worker to the node's side (dsr-l2, no "
             "authentication), and what testpmd (mac) forwards in its place. Pktgen's two lcores share the "
             "other CPU.", "",
             "| bytes | offered | daemon | offered | testpmd | ratio |", "|---:|---:|---:|---:|---:|---:|"]
    for size in sorted({size for _, size in rows}):
        ours, other = rows["daemon", size], rows["testpmd", size]
        lines.append("| " + " | ".join([
            str(size), *(f"{r[k] / 1e3:,.0f}" for r in (ours, other)
                         for k in ("sent_pps", "forwarded_pps")),
            f"{ours['forwarded_pps'] / max(1, other['forwarded_pps']):.2f}"]) + " |")
    return "\n".join([*lines, ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pktgen", type=pathlib.Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 512, 1518])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--nice", type=int, default=-20)
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR")
    args = parser.parse_args()
    args.pktgen = args.pktgen.resolve()
    try:
        require_root()
        provision.build(targets=["latticeforge"])
        meanwhile = Meanwhile()
        result = {"machine": machine(), "rows": [measure(args, what, size) for size in args.sizes
                                                 for what in ("daemon", "testpmd")]}
        result["meanwhile"] = meanwhile.done()
    except (LabError, provision.ProvisionError) as error:
        return provision.main_error(error)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "pktgen.json").write_text(json.dumps(result, indent=1) + "\n")
        (args.out / "pktgen.md").write_text(markdown(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
