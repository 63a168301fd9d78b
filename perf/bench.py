#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmarks, each beside its baseline in the same run, and writes one JSON file.

    perf/bench.py --json FILE            everything, some minutes
    perf/bench.py --quick --json FILE    fewer samples, the same names
    perf/bench.py --scaling --report DIR   how costs grow, too; Markdown and SVG plots

FILE: {"machine": {…}, "results": [{"name", "value", "unit", "baseline", "ratio", "samples"}]}.
For pipeline.* the value is nanoseconds a packet on one core, the baseline what dpdk-testpmd 5tswap
needs for the same frames (net_pcap with infinite_rx), and the ratio our throughput over testpmd's.
Those of commands are measured in turns with it, a few rounds, as a shared host may change its speed
from one second to the next. Machines are noisy: quote medians and ratios of one run.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "perf")]
import bench_report  # noqa: E402  (need the path above)
import provision  # noqa: E402
import scaling  # noqa: E402
import smoke  # noqa: E402
from machine import Meanwhile, machine  # noqa: E402

# name, options of pipeline_bench
PIPELINE = [
    ("pipeline.command.auth", ["--auth", "1"]),
    ("pipeline.command.noauth", ["--auth", "0"]),
    ("pipeline.command.auth.audit", ["--auth", "1", "--audit", "1"]),
    # The port has checked the checksums, as nearly all NICs do.
    ("pipeline.command.noauth.offloaded", ["--auth", "0", "--offloaded"]),
    ("pipeline.command.auth.audit.offloaded", ["--auth", "1", "--audit", "1", "--offloaded"]),
    # A tag, and IPv6's longer header, are added to 128 bytes.
    ("pipeline.command.noauth.tagged", ["--auth", "0", "--vlan", "5", "--size", "132"]),
    ("pipeline.command.noauth.ipv6", ["--auth", "0", "--ipv6", "--size", "148"]),
    # The nodes' replies to all those commands, 138 bytes, in the order of the commands.
    ("pipeline.reply.auth", ["--auth", "1", "--replies"]),
    ("pipeline.reply.noauth", ["--auth", "0", "--replies"]),
    ("pipeline.command.auth.orgs64", ["--auth", "1", "--orgs", "64"]),
    ("pipeline.command.auth.orgs1000", ["--auth", "1", "--orgs", "1000"]),
    ("pipeline.command.auth.duplicates50", ["--auth", "1", "--duplicates", "50"]),
    ("pipeline.command.auth.ledger2e10", ["--auth", "1", "--entries", str(1 << 10)]),
    ("pipeline.command.auth.ledger2e24", ["--auth", "1", "--entries", str(1 << 24)]),
    ("pipeline.command.auth.nodes1000", ["--auth", "1", "--nodes", "1000"]),
    # All others reuse 8,192 frames, some five times the second-level cache: as from a NIC that
    # writes into the third. These 32,768 mostly come from memory.
    ("pipeline.command.auth.frames32768", ["--auth", "1", "--frames", "32768"]),
]
# 64-byte UDP (60 without the FCS), every flow known; beside testpmd with those frames.
FLOWS = [
    ("pipeline.flow", ["--flows", "10000"]),
    # Three nodes have ports for 147,000 flows by NAT.
    ("pipeline.flow.1m", ["--flows", "1000000", "--nodes", "64"]),
    ("pipeline.flow.dsr", ["--flows", "10000", "--mode", "dsr-l2"]),
    ("pipeline.flow.ipip", ["--flows", "10000", "--mode", "ipip"]),
    ("pipeline.flow.dsr.frames32768", ["--flows", "10000", "--mode", "dsr-l2", "--frames", "32768"]),
]
# Google Benchmark programs: program, name in it, name in the JSON, plain variant of the same in it
MICRO = [
    ("ledger_bench", "ledger.burst_insert", "ledger.burst_insert", None),
    ("quota_bench", "quota.check", "quota.check", None),
    ("policy_bench", "policy.evaluate/64", "policy.evaluate.64", "policy.scan/64"),
    ("policy_bench", "policy.evaluate/10000", "policy.evaluate.10000", "policy.scan/10000"),
    ("audit_bench", "audit.append", "audit.append", None),
    ("stage_bench", "parse_software_checksums/4/128", "stage.parse", None),
    ("stage_bench", "parse_offloaded_checksums/4", "stage.parse.offloaded", None),
    ("stage_bench", "parse_tagged/4", "stage.parse.tagged", None),
    ("stage_bench", "parse_software_checksums/6/148", "stage.parse.ipv6", None),
    ("auth_bench", "stage/orgs:1000/payload:0", "stage.authenticate.1000", None),
    ("auth_bench", "lanes/path:0/payload:6", "cmac.aesni", "lanes/path:-1/payload:6"),
    ("auth_bench", "lanes/path:1/payload:6", "cmac.vaes512", "lanes/path:-1/payload:6"),
    ("auth_bench", "lanes/path:2/payload:6", "cmac.vaes256", "lanes/path:-1/payload:6"),
    ("identity_bench", "identity.look_up/100000", "identity.look_up.100000", None),
    ("forward_bench", "choose/weighted/1000", "stage.choose.1000", "baseline/linear/1000"),
    ("stage_bench", "rewrite_to_nodes/4", "stage.rewrite", None),
]


class Skipped(Exception):
    """This machine cannot do it; the message says why."""


def pipeline(build, options, passes):
    out = subprocess.run([str(build / "perf" / "pipeline_bench"), "--passes", str(passes), *options],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if out.returncode != 0:
        raise RuntimeError(f"pipeline_bench {' '.join(options)}: {out.stderr.strip()[-500:]}")
    found = json.loads(out.stdout.splitlines()[-1])
    refused = {v: n for v, n in found["verdicts"].items()
               if v not in ("forwarded", "replied", "flow_forwarded")}
    if refused and "--duplicates" not in options:
        raise RuntimeError(f"pipeline_bench {' '.join(options)}: not all was forwarded: {refused}")
    return found


def testpmd(mode, pcap, seconds):
    """Million packets a second that dpdk-testpmd forwards on one core; a sample a second."""
    huge = provision.reserve_hugepages()
    memory = ["--in-memory", "--file-prefix", f"lfperf{os.getpid()}"] if huge else \
        ["--no-huge", "--no-shconf", "-m", "512"]
    process = subprocess.Popen(
        ["dpdk-testpmd", "-l", "0,1", "--no-pci", "--no-telemetry", *memory,
         f"--vdev=net_pcap0,rx_pcap={pcap},infinite_rx=1", "--", "--auto-start",
         "--total-num-mbufs=16384",
         f"--forward-mode={mode}", "--stats-period=1", "--no-lsc-interrupt"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    samples, deadline = [], time.monotonic() + seconds + 20
    try:
        for line in process.stdout:
            found = re.search(r"Rx-pps:\s+(\d+)", line)
            if found and int(found.group(1)) > 0:
                samples.append(int(found.group(1)) / 1e6)
            if len(samples) > seconds or time.monotonic() > deadline:
                break
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    return samples[1:]  # the first second is start-up


def micro(build, program, pattern, repetitions):
    path = build / "perf" / program
    if not path.exists():
        raise RuntimeError(f"{program} was not built")
    # Google Benchmark's regular expressions know fewer escapes than re.escape() makes.
    dots = pattern.replace(".", r"\.")
    out = subprocess.run([str(path), f"--benchmark_filter=^{dots}(/|$)",
                          "--benchmark_format=json", f"--benchmark_repetitions={repetitions}"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if out.returncode != 0:
        raise RuntimeError(f"{program}: {out.stderr.strip()[-500:]}")
    runs = [b for b in json.loads(out.stdout)["benchmarks"] if b["run_type"] == "iteration"]
    if not runs:
        raise RuntimeError(f"{program} has no benchmark {pattern}")
    if "error_message" in runs[0]:
        raise Skipped(runs[0]["error_message"])
    # Benchmarks of bursts report the time of a packet, in seconds; others their own time.
    return [b["time_per_packet"] * 1e9 if "time_per_packet" in b else b["cpu_time"] for b in runs]


def intake(build, samples, sizes):
    """Batches beside the plain reference, which the program itself runs."""
    out = subprocess.run([str(build / "perf" / "intake_bench"), "--samples", str(samples), "--memory",
                          "--sizes", *map(str, sizes)],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if out.returncode != 0:
        raise RuntimeError(f"intake_bench: {out.stderr.strip()[-500:]}")
    for row in json.loads(out.stdout):
        print(f"{row['name']:40} {row['value']:10.2f} ms   ratio {row['ratio']:.2f}   memory "
              f"{row['memory_ratio']:.2f} of the input", flush=True)
        yield row


def result(name, samples, unit, baseline=None, ratio=None):
    value = statistics.median(samples)
    print(f"{name:40} {value:10.1f} {unit}" + (f"   ratio {ratio(value):.2f}" if ratio else ""),
          flush=True)
    return {"name": name, "value": value, "unit": unit, "baseline": baseline,
            "ratio": ratio(value) if ratio else None, "samples": samples}


def of_pipeline(name, samples, swap):
    """`swap`: Mpps of testpmd 5tswap over the same frames; 0: not known."""
    if not swap:
        return result(name, samples, "ns")
    return result(name, samples, "ns", baseline=1e3 / swap, ratio=lambda ns: 1e3 / ns / swap)


class Run:
    """A run of everything; what fails is noted, and the rest goes on."""

    def __init__(self, build, quick):
        self.build, self.quick = build, quick
        self.passes, self.seconds, self.repetitions = (40, 3, 3) if quick else (160, 8, 7)
        self.rounds = 4
        self.results, self.failures, self.causes = [], [], []

    def failed(self, what, error):
        print(f"{what}: {error}", file=sys.stderr, flush=True)
        self.failures.append({"name": what, "error": str(error)})

    def attempt(self, what, function, *args):
        try:
            self.results.append(function(*args))
        except Skipped as why:
            print(f"{what:40} skipped: {why}", flush=True)
        except (RuntimeError, OSError, ValueError) as error:
            self.failed(what, error)

    def testpmd(self, mode, pcap, name):
        self.attempt(name, lambda: result(name, testpmd(mode, pcap, self.seconds), "Mpps"))
        return next((r["value"] for r in self.results if r["name"] == name), 0)

    def pipeline(self, name, options, swap):
        return of_pipeline(name, pipeline(self.build, options, self.passes)["samples"], swap)

    def in_turns(self, pcap):
        """PIPELINE, and testpmd 5tswap over its frames."""
        swaps, samples = [], {name: [] for name, _ in PIPELINE}
        for _ in range(self.rounds):
            try:
                swaps += testpmd("5tswap", pcap, max(1, self.seconds // self.rounds))
            except (RuntimeError, OSError, ValueError) as error:
                self.failed("testpmd.5tswap", error)
            for name, options in PIPELINE:
                try:
                    samples[name] += pipeline(self.build, options,
                                              self.passes // self.rounds)["samples"]
                except (RuntimeError, OSError, ValueError) as error:
                    self.failed(name, error)
        if swaps:
            self.results.append(result("testpmd.5tswap", swaps, "Mpps"))
        swap = statistics.median(swaps) if swaps else 0
        self.results += [of_pipeline(name, s, swap) for name, s in samples.items() if s]

    def pipelines(self):
        with tempfile.TemporaryDirectory() as directory:
            commands, flows = (pathlib.Path(directory) / f"{x}.pcap" for x in ("commands", "flows"))
            pipeline(self.build, ["--pcap", str(commands)], 1)
            pipeline(self.build, ["--flows", "10000", "--pcap", str(flows)], 1)
            for mode in ("io", "mac", "csum"):
                self.testpmd(mode, commands, f"testpmd.{mode}")
            self.in_turns(commands)
            small = self.testpmd("5tswap", flows, "testpmd.5tswap.64")
        for name, options in FLOWS:
            self.attempt(name, self.pipeline, name, options, small)

    def micro(self, program, pattern, name, plain):
        samples = micro(self.build, program, pattern, self.repetitions)
        if plain is None:
            return result(name, samples, "ns")
        other = statistics.median(micro(self.build, program, plain, self.repetitions))
        return result(name, samples, "ns", baseline=other, ratio=lambda ns: other / ns)

    def intake(self):
        try:
            self.results += intake(self.build, self.repetitions * 3, (100, 1000, 10_000) +
                                   (() if self.quick else (1_000_000,)))
        except (RuntimeError, OSError, ValueError) as error:
            self.failed("intake", error)

    def instructions(self, name, options, stored):
        """callgrind: repeats, whatever else the machine does."""
        count = smoke.per_packet(options)
        return result(name, [count], "instructions", baseline=stored,
                      ratio=(lambda now: stored / now) if stored else None)

    def everything(self):
        self.pipelines()
        stored = json.loads(smoke.STORED.read_text())
        for name, options in smoke.CASES.items():
            title = name.replace("pipeline", "instructions")
            self.attempt(title, self.instructions, title, options, stored.get(name))
        for entry in MICRO:
            self.attempt(entry[2], self.micro, *entry)
        self.intake()

    def scaling(self, axes):
        self.results += scaling.measure(
            lambda options: pipeline(self.build, options, 8 if self.quick else 24)["samples"],
            axes or scaling.AXES, 2 if self.quick else 4, self.log, self.failed)
        self.causes = scaling.explain(self.results, self.log, self.failed)

    @staticmethod
    def log(text):
        print(text, flush=True)


def compare(old_path, results):
    """What moved: beyond both runs' middle halves."""
    old = {r["name"]: r for r in json.loads(pathlib.Path(old_path).read_text())["results"]}

    def middle(r):
        ordered = sorted(r.get("samples") or [r["value"]])
        return ordered[len(ordered) // 4], ordered[3 * len(ordered) // 4]

    for r in results:
        before = old.get(r["name"])
        if before is None:
            continue
        (old_low, old_high), (low, high) = middle(before), middle(r)
        moved = "" if low <= old_high and old_low <= high else "   moved"
        print(f"{r['name']:40} {before['value']:10.1f} → {r['value']:10.1f} {r['unit']}"
              f" ({r['value'] / before['value'] - 1:+.0%}){moved}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    parser.add_argument("--json", metavar="FILE", help="write the results there")
    parser.add_argument("--compare", metavar="OLD.json", help="print what moved since")
    parser.add_argument("--scaling", nargs="*", metavar="AXIS",
                        help=f"vary {', '.join(scaling.AXES)}; without names: all of them")
    parser.add_argument("--only-scaling", action="store_true", help="nothing else")
    parser.add_argument("--report", type=pathlib.Path, metavar="DIR",
                        help="write bench.json, bench.md and plots there")
    args = parser.parse_args()
    unknown = set(args.scaling or []) - set(scaling.AXES)
    if unknown:
        parser.error(f"no axis {', '.join(sorted(unknown))}")
    provision.install("run", "test", *(["perf"] if args.report else []))
    provision.reserve_hugepages()
    run = Run(provision.build(targets=["perf-programs"]), args.quick)
    report, meanwhile = {"machine": machine()}, Meanwhile()
    if not args.only_scaling:
        run.everything()
    if args.scaling is not None or args.only_scaling:
        run.scaling(args.scaling)
    report |= {"meanwhile": meanwhile.done(), "results": run.results, "failures": run.failures,
               "causes": run.causes}
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(report, indent=1) + "\n")
    if args.report:
        bench_report.write(report, args.report)
    if args.compare:
        compare(args.compare, run.results)
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
