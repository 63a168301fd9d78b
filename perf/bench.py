#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmarks, each beside its baseline in the same run, and writes one JSON file.

    perf/bench.py --json FILE            everything, some minutes
    perf/bench.py --quick --json FILE    fewer samples, the same names

FILE: {"machine": {…}, "results": [{"name", "value", "unit", "baseline", "ratio", "samples"}]}.
For pipeline.* the value is nanoseconds a packet on one core, the baseline what dpdk-testpmd 5tswap
needs for the same frames (net_pcap with infinite_rx), and the ratio our throughput over testpmd's.
Machines are shared and noisy: quote medians and ratios of one run.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import provision  # noqa: E402  (needs the path above)

# name, options of pipeline_bench
PIPELINE = [
    ("pipeline.command.auth", ["--auth", "1"]),
    ("pipeline.command.noauth", ["--auth", "0"]),
    ("pipeline.command.auth.audit", ["--auth", "1", "--audit", "1"]),
    ("pipeline.command.auth.orgs64", ["--auth", "1", "--orgs", "64"]),
    ("pipeline.command.auth.orgs1000", ["--auth", "1", "--orgs", "1000"]),
    ("pipeline.command.auth.duplicates50", ["--auth", "1", "--duplicates", "50"]),
    ("pipeline.command.auth.ledger2e10", ["--auth", "1", "--entries", str(1 << 10)]),
    ("pipeline.command.auth.ledger2e24", ["--auth", "1", "--entries", str(1 << 24)]),
    ("pipeline.command.auth.nodes1000", ["--auth", "1", "--nodes", "1000"]),
]
# 64-byte UDP (60 without the FCS), every flow known; beside testpmd with those frames.
FLOWS = [
    ("pipeline.flow", ["--flows", "10000"]),
    ("pipeline.flow.1m", ["--flows", "1000000"]),
    ("pipeline.flow.dsr", ["--flows", "10000", "--mode", "dsr-l2"]),
    ("pipeline.flow.ipip", ["--flows", "10000", "--mode", "ipip"]),
]
# Google Benchmark programs: program, name in it, name in the JSON
MICRO = [
    ("ledger_bench", "ledger.burst_insert", "ledger.burst_insert"),
    ("quota_bench", "quota.check", "quota.check"),
    ("policy_bench", "policy.evaluate/64", "policy.evaluate.64"),
    ("policy_bench", "policy.evaluate/10000", "policy.evaluate.10000"),
    ("audit_bench", "audit.append", "audit.append"),
]


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                if line.startswith("model name")), "?")
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"],
                            stdout=subprocess.PIPE, text=True, check=False).stdout.strip()
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(), "commit": commit,
            "load_before": os.getloadavg()[0], "time": time.strftime("%Y-%m-%dT%H:%M:%SZ",
                                                                      time.gmtime())}


def pipeline(build, options, passes):
    out = subprocess.run([str(build / "perf" / "pipeline_bench"), "--passes", str(passes), *options],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if out.returncode != 0:
        raise RuntimeError(f"pipeline_bench {' '.join(options)}: {out.stderr.strip()[-500:]}")
    return json.loads(out.stdout.splitlines()[-1])


def testpmd(mode, pcap, seconds):
    """Million packets a second that dpdk-testpmd forwards on one core; a sample a second."""
    huge = provision.reserve_hugepages()
    memory = ["--in-memory", "--file-prefix", f"lfperf{os.getpid()}"] if huge else \
        ["--no-huge", "--no-shconf", "-m", "512"]
    process = subprocess.Popen(
        ["dpdk-testpmd", "-l", "0,1", "--no-pci", "--no-telemetry", *memory,
         f"--vdev=net_pcap0,rx_pcap={pcap},infinite_rx=1", "--", "--auto-start",
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
    out = subprocess.run([str(path), f"--benchmark_filter=^{re.escape(pattern)}(/|$)",
                          "--benchmark_format=json", f"--benchmark_repetitions={repetitions}"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if out.returncode != 0:
        raise RuntimeError(f"{program}: {out.stderr.strip()[-500:]}")
    runs = [b for b in json.loads(out.stdout)["benchmarks"] if b["run_type"] == "iteration"]
    if not runs:
        raise RuntimeError(f"{program} has no benchmark {pattern}")
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


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    parser.add_argument("--json", metavar="FILE", help="write the results there")
    parser.add_argument("--compare", metavar="OLD.json", help="print what moved since")
    args = parser.parse_args()
    provision.install("run", "test")
    provision.reserve_hugepages()
    build = provision.build(targets=["perf-programs"])
    passes, seconds, repetitions = (10, 3, 3) if args.quick else (40, 8, 7)
    report = {"machine": machine(), "results": [], "failures": []}

    def attempt(what, function):
        try:
            report["results"].append(function())
        except (RuntimeError, OSError, ValueError) as error:
            print(f"{what}: {error}", file=sys.stderr, flush=True)
            report["failures"].append({"name": what, "error": str(error)})

    with tempfile.TemporaryDirectory() as directory:
        pcap = pathlib.Path(directory) / "frames.pcap"
        pipeline(build, ["--frames", "4096", "--pcap", str(pcap)], 1)
        baselines = {}
        for mode in ("io", "mac", "5tswap", "csum"):
            def run(mode=mode):
                baselines[mode] = testpmd(mode, pcap, seconds)
                return result(f"testpmd.{mode}", baselines[mode], "Mpps")
            attempt(f"testpmd.{mode}", run)
        small = pathlib.Path(directory) / "flows.pcap"
        pipeline(build, ["--passes", "1", "--frames", "4096", "--flows", "10000", "--pcap",
                         str(small)], 1)

        def run_small():
            baselines["small"] = testpmd("5tswap", small, seconds)
            return result("testpmd.5tswap.64", baselines["small"], "Mpps")
        attempt("testpmd.5tswap.64", run_small)
        for mode, entries in (("5tswap", PIPELINE), ("small", FLOWS)):
            swap = statistics.median(baselines.get(mode) or [0])
            for name, options in entries:
                def run(name=name, options=options, swap=swap):
                    samples = pipeline(build, options, passes)["samples"]
                    if not swap:
                        return result(name, samples, "ns")
                    return result(name, samples, "ns", baseline=1e3 / swap,
                                  ratio=lambda ns: 1e3 / ns / swap)
                attempt(name, run)
    for program, pattern, name in MICRO:
        attempt(name, lambda p=program, n=pattern, to=name:
                result(to, micro(build, p, n, repetitions), "ns"))
    try:
        report["results"] += intake(
            build, repetitions * 3, (100, 1000, 10_000) + (() if args.quick else (1_000_000,)))
    except (RuntimeError, OSError, ValueError) as error:
        print(f"intake: {error}", file=sys.stderr, flush=True)
        report["failures"].append({"name": "intake", "error": str(error)})
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(report, indent=1) + "\n")
    if args.compare:
        old = {r["name"]: r for r in json.loads(pathlib.Path(args.compare).read_text())["results"]}
        for r in report["results"]:
            if r["name"] in old:
                print(f"{r['name']:40} {old[r['name']]['value']:10.1f} → {r['value']:10.1f} {r['unit']}"
                      f" ({r['value'] / old[r['name']]['value'] - 1:+.0%})")
    return 1 if report["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
