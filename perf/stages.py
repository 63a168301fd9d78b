#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where a command's instructions go: callgrind counts of the pipeline benchmark, a stage a row.

    perf/stages.py [--auth 0|1] [--audit 0|1] [--orgs N]

Counts repeat for the same build, whatever else the machine does; they are not time. valgrind has no
VAES, so tags are counted on the AES-NI path."""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import provision  # noqa: E402  (needs the path above)

FRAMES, PASSES, WARM_UP = 2048, 3, 2
# In the order of the pipeline: function, row.
STAGES = [
    ("lf::parse::part", "parse"),
    ("lf::dedup::expect", "dedup: hash, fetch buckets"),
    ("lf::authenticate::run", "authenticate"),
    ("lf::dedup::run", "dedup: look up, enter"),
    ("lf::identity::run", "identity"),
    ("lf::policy::run", "policy"),
    ("lf::audit::admit", "audit: room"),
    ("lf::quota::expect", "quota: fetch limits, counts"),
    ("lf::quota::run", "quota"),
    ("lf::choose::run", "choose node"),
    ("lf::rewrite::to_nodes", "rewrite"),
    ("lf::match::record_sent", "record flight, watch time-out"),
    ("lf::audit::append", "audit: append"),
]


def counts(options):
    """{function: inclusive instructions} and the total."""
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "callgrind.out"
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--collect-atstart=no",
             "--toggle-collect=lf::pipeline::Pipeline::run(*",
             str(ROOT / "build" / "perf" / "pipeline_bench"), "--passes", str(PASSES), "--frames",
             str(FRAMES), "--entries", "65536", "--no-huge", *options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        total = re.search(r"Collected : (\d+)", run.stdout)
        if run.returncode != 0 or not total:
            raise RuntimeError(run.stdout[-1000:])
        listed = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100", str(out)],
                                capture_output=True, text=True, check=False)
        if listed.returncode != 0:  # else it only warns, of lines that it cannot attribute
            raise RuntimeError(listed.stderr[-1000:])
    found = {}
    for line in listed.stdout.splitlines():
        match = re.match(r"\s*([\d,]+) \([^)]*\)\s+\S+?:((?:lf::)[\w:]+)\(", line)
        if match:
            value = int(match[1].replace(",", ""))
            found[match[2]] = max(value, found.get(match[2], 0))
    return found, int(total[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in (("auth", 1), ("audit", 0), ("orgs", 1)):
        parser.add_argument(f"--{option}", type=int, default=default)
    args = parser.parse_args()
    provision.install("run", "test")
    provision.build(targets=["perf/pipeline_bench"])
    found, total = counts([part for name, value in vars(args).items()
                           for part in (f"--{name}", str(value))])
    packets = FRAMES * (PASSES + WARM_UP)
    print("| stage | instructions a packet |\n|---|---:|")
    rest = total
    for function, row in STAGES:
        if found.get(function, 0) >= packets:  # what costs less than one is not worth a row
            print(f"| {row} | {found[function] / packets:.0f} |")
            rest -= found[function]
    print(f"| between the stages, validate | {rest / packets:.0f} |")
    print(f"| **all** | **{total / packets:.0f}** |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
