# SPDX-License-Identifier: Apache-2.0
"""The bench-smoke suite: every benchmark program runs and gives numbers, and the pipeline forwards
every frame of its benchmark. Instruction counts a packet (callgrind, repeatable) are compared with
perf/instructions.json, with a margin. No timing is a pass or a failure here."""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
STORED = ROOT / "perf" / "instructions.json"
FRAMES = 2048
MARGIN = 0.15
CASES = {"pipeline.command.auth": ["--auth", "1"], "pipeline.command.noauth": ["--auth", "0"]}


def report(ok, name, detail=""):
    print(f"{'ok' if ok else 'not ok'} {name}{': ' + detail if detail else ''}", flush=True)
    return ok


def runs(name, options):
    out = subprocess.run([BUILD / "perf" / "pipeline_bench", "--passes", "1", "--frames", str(FRAMES),
                          "--entries", "65536", *options], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, check=False)
    if out.returncode != 0:
        return report(False, name + ".runs", out.stdout[-300:])
    verdicts = json.loads(out.stdout.splitlines()[-1])["verdicts"]
    return report(list(verdicts) == ["forwarded"], name + ".runs", str(verdicts))


def instructions(options, passes):
    """Instructions inside Pipeline::run, over all passes."""
    out = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no",
         "--toggle-collect=lf::pipeline::Pipeline::run*", str(BUILD / "perf" / "pipeline_bench"),
         "--passes", str(passes), "--frames", str(FRAMES), "--entries", "65536",
         "--no-huge", *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    found = re.search(r"Collected : (\d+)", out.stdout)
    if out.returncode != 0 or not found:
        raise RuntimeError(out.stdout[-500:])
    return int(found.group(1))


def counted(name, options, stored):
    # Two runs, so that what happens once (first touch of tables) cancels out.
    try:
        per_packet = (instructions(options, 3) - instructions(options, 1)) / (2 * FRAMES)
    except RuntimeError as error:
        return report(False, name + ".instructions", str(error)), None
    old = stored.get(name)
    if old is None:
        return report(False, name + ".instructions", "no stored count"), per_packet
    ok = per_packet <= old * (1 + MARGIN)
    return report(ok, name + ".instructions",
                  f"{per_packet:.0f} a packet, {old:.0f} stored, margin {MARGIN:.0%}"), per_packet


def main():
    stored = json.loads(STORED.read_text()) if STORED.exists() else {}
    ok, seen = True, {}
    for name, options in CASES.items():
        ok &= runs(name, options)
        good, seen[name] = counted(name, options, stored)
        ok &= good
    if "--store" in sys.argv:
        STORED.write_text(json.dumps({k: round(v) for k, v in seen.items() if v}, indent=1) + "\n")
        return 0
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
