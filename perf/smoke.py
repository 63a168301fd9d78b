# SPDX-License-Identifier: Apache-2.0
"""The bench-smoke suite: every benchmark program runs and gives numbers, and the pipeline forwards
every frame of its benchmark. rfc2544.py finds the throughput of a made-up device, and measures the
daemon (as root) with books that balance. Instruction counts a packet (callgrind, repeatable) are compared with
perf/instructions.json, with a margin. No timing is a pass or a failure here."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from search import Goal, Search

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
STORED = ROOT / "perf" / "instructions.json"
FRAMES = 2048
MARGIN = 0.15
CASES = {"pipeline.command.auth": ["--auth", "1"], "pipeline.command.noauth": ["--auth", "0"],
         "pipeline.command.noauth.offloaded": ["--auth", "0", "--offloaded"],
         "pipeline.command.noauth.tagged": ["--auth", "0", "--vlan", "5", "--size", "132"],
         "pipeline.command.noauth.ipv6": ["--auth", "0", "--ipv6", "--size", "148"],
         # Each command and its reply. Under valgrind most would be late.
         "pipeline.both.auth": ["--auth", "1", "--replies", "--timeout-ms", "60000"],
         "pipeline.both.noauth": ["--auth", "0", "--replies", "--timeout-ms", "60000"]}


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
    wanted = "replied" if "--replies" in options else "forwarded"
    return report(list(verdicts) == [wanted], name + ".runs", str(verdicts))


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


def per_packet(options):
    # Two runs, so that what happens once (first touch of tables) cancels out.
    return (instructions(options, 3) - instructions(options, 1)) / (2 * FRAMES)


def counted(name, options, stored):
    try:
        count = per_packet(options)
    except RuntimeError as error:
        return report(False, name + ".instructions", str(error)), None
    old = stored.get(name)
    if old is None:
        return report(False, name + ".instructions", "no stored count"), count
    ok = count <= old * (1 + MARGIN)
    return report(ok, name + ".instructions",
                  f"{count:.0f} a packet, {old:.0f} stored, margin {MARGIN:.0%}"), count


def search_finds():
    """Of a device that forwards a fixed rate, but for every third trial, which is disturbed."""
    capacity, made = 300_000, []

    def measure(load):
        made.append(load)
        forwarded = min(load, capacity) * (0.7 if len(made) % 3 == 0 else 1)
        return {"loss": 1 - forwarded / load, "forwarded": forwarded}

    found = Search(measure, width=0.02).run([Goal("none", 0), Goal("some", 0.1)], hint=50_000)
    wanted = {"none": capacity, "some": capacity / 0.9}
    ok = all(found[g]["load"] <= wanted[g] <= found[g]["upper"] <= found[g]["load"] * 1.02
             for g in wanted)
    return report(ok, "search.finds", f"{found} after {len(made)} trials")


def rfc2544():
    name = "rfc2544.books"
    if os.geteuid() != 0:
        print(f"skip {name}: needs root, for network namespaces", flush=True)
        return True
    with tempfile.TemporaryDirectory() as directory:
        out = subprocess.run([sys.executable, ROOT / "perf" / "rfc2544.py", "--quick", "--out",
                              directory], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, check=False)
        if out.returncode != 0:
            return report(False, name, out.stdout[-500:])
        result = json.loads(pathlib.Path(directory, "rfc2544-memif.json").read_text())
    books = result["books"]
    ok = (books["given"] == books["received"]
          and books["received"] == sum(books["verdicts"].values()) + books["parked"]
          and books["sent"] == books["came_back"] > 0)
    return report(ok, name, str({k: v for k, v in books.items() if k != "verdicts"}))


def main():
    stored = json.loads(STORED.read_text()) if STORED.exists() else {}
    ok, seen = search_finds(), {}
    ok &= rfc2544()
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
