# SPDX-License-Identifier: Apache-2.0
"""How a packet's cost grows with what there is: organisations, operators, rules, nodes, ledger entries, payload,
burst, workers, flows. Each axis varies one option of pipeline_bench and leaves the others alone. Points
are visited in rounds, so that a minute in which the machine was slow does not fall on one of them, and
the lower quartile of the passes stands for a point: what else runs only ever adds.

Where an axis grows by more than LIMIT, callgrind says why, for its cheapest and its dearest point: more
instructions, or more cache lines that come from beyond the first and the second level."""

import pathlib
import random
import re
import subprocess
import tempfile

BENCH = pathlib.Path(__file__).resolve().parent.parent / "build" / "perf" / "pipeline_bench"
LIMIT = 1.5  # times the first point
AIMED_AT = ("orgs", "rules", "nodes", "ledger")  # what the limit is an aim for

# axis: (title, option, values, further options)
AXES = {
    "orgs": ("organisations", "--orgs", [1, 10, 100, 1000, 10_000, 100_000], []),
    "operators": ("operators", "--operators", [1, 1000, 100_000, 1_000_000], []),
    "rules": ("rules", "--policy", [64, 1000, 10_000], ["--orgs", "1000"]),
    "nodes": ("nodes", "--nodes", [3, 30, 100, 1000], []),
    "ledger": ("ledger entries", "--entries", [1 << n for n in (10, 14, 18, 20, 22, 24)], []),
    "size": ("bytes of a frame", "--size", [128, 256, 512, 1024, 1514], []),
    "burst": ("packets in a burst", "--burst", [1, 4, 8, 16, 32, 64], []),
    "workers": ("workers", "--workers", [1, 2], ["--orgs", "1000"]),
    "flows": ("flows", "--flows", [100, 10_000, 100_000, 1_000_000], ["--nodes", "64"]),
}


def rules_file(directory, count):
    """`count` rules of which none matches the benchmark's commands (risk 0) but the last."""
    draw = random.Random(count)
    lines = ["description: benchmark", "rules:"]
    for n in range(count - 1):
        low = draw.randrange(1, 90)
        when = [f'risk: "{low}..{low + draw.randrange(1, 10)}"']
        if draw.random() < 0.8:
            when.append(f"org: org{draw.randrange(1, 1001)}")
        if draw.random() < 0.7:
            when.append(f"intent: {draw.choice(['status-refresh', 'replay-window', 'orbit-adjust'])}")
        if draw.random() < 0.5:
            when.append(f'clearance: "<= {draw.randrange(5)}"')
        outcome = draw.choice(["deny", "hold"])
        lines.append(f"  - {{id: r{n}, priority: {n}, outcome: {outcome}, when: {{{', '.join(when)}}}}}")
    lines.append(f"  - {{id: rest, priority: {count}, outcome: allow}}")
    path = pathlib.Path(directory) / f"rules-{count}.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def quartile(samples):
    return sorted(samples)[len(samples) // 4]


def options_of(axis, value, directory):
    _, option, _, more = AXES[axis]
    return [option, str(rules_file(directory, value) if axis == "rules" else value), *more]


def measure(run, axes, rounds, log, failed):
    """`run(options)` gives samples in ns, `failed(name, error)` notes a point without. Yields a result
    for each point of each axis."""
    with tempfile.TemporaryDirectory() as directory:
        for axis in axes:
            title, _, values, _ = AXES[axis]
            samples = {value: [] for value in values}
            for _ in range(rounds):
                for value in values:
                    try:
                        samples[value] += run(options_of(axis, value, directory))
                    except RuntimeError as error:
                        failed(f"scaling.{axis}.{value}", error)
            first = quartile(samples[values[0]] or [0])
            for value in values:
                if not samples[value]:
                    continue
                ns = quartile(samples[value])
                log(f"{f'scaling.{axis}.{value}':40} {ns:10.1f} ns   "
                    f"{ns / first if first else 0:.2f} times {title} {values[0]:,}")
                yield {"name": f"scaling.{axis}.{value}", "value": ns, "unit": "ns",
                       "baseline": first, "ratio": first / ns, "samples": samples[value]}


def by_axis(results):
    """{axis: [(value, ns)]} out of the results of a report."""
    found = {}
    for r in results:
        parts = r["name"].split(".")
        if parts[0] == "scaling":
            found.setdefault(parts[1], []).append((int(parts[2]), r["value"]))
    return {axis: sorted(points) for axis, points in found.items()}


def above_limit(results):
    """{axis: (cheapest value, dearest value)} of those that grow by more than LIMIT."""
    found = {}
    for axis, points in by_axis(results).items():
        dearest = max(points, key=lambda p: p[1])
        if dearest[1] > LIMIT * points[0][1]:
            found[axis] = (min(points, key=lambda p: p[1])[0], dearest[0])
    return found


def level2():
    """Size, ways and line of the second-level cache, as callgrind takes them."""
    cache = pathlib.Path("/sys/devices/system/cpu/cpu0/cache/index2")
    try:
        size, ways, line = ((cache / name).read_text().strip()
                            for name in ("size", "ways_of_associativity", "coherency_line_size"))
        return f"{int(size.removesuffix('K')) * 1024},{ways},{line}"
    except (OSError, ValueError):
        return "1048576,16,64"


def simulated(options, passes):
    """Instructions, and reads and writes that miss the first and the second level, over all passes."""
    out = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no",
         "--cache-sim=yes", f"--LL={level2()}", "--toggle-collect=lf::pipeline::Pipeline::run*",
         str(BENCH), "--passes", str(passes), "--no-huge", *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    names, counts = (re.search(rf"{what} *: (.+)", out.stdout) for what in ("Events", "Collected"))
    if out.returncode != 0 or not names or not counts:
        raise RuntimeError(out.stdout[-500:])
    seen = dict(zip(names.group(1).split(), map(int, counts.group(1).split())))
    return [seen["Ir"], seen["D1mr"] + seen["D1mw"], seen["DLmr"] + seen["DLmw"]]


def causes(axis, value, frames=8192):
    """A packet's instructions and cache lines; two runs, so that first touches cancel out."""
    with tempfile.TemporaryDirectory() as directory:
        options = [*options_of(axis, value, directory), "--frames", str(frames)]
        once, thrice = simulated(options, 1), simulated(options, 3)
    return {name: round((b - a) / (2 * frames), 1)
            for name, a, b in zip(("instructions", "beyond_l1", "beyond_l2"), once, thrice)}


def explain(results, log, failed):
    """[{"axis", "value", "instructions", "beyond_l1", "beyond_l2"}] for what grows too much."""
    rows = []
    for axis, ends in above_limit(results).items():
        for value in ends:
            try:
                rows.append({"axis": axis, "value": value, **causes(axis, value)})
                log(f"{f'scaling.{axis}.{value}':40} {rows[-1]['instructions']:.0f} instructions, lines "
                    f"from beyond L1 {rows[-1]['beyond_l1']}, beyond L2 {rows[-1]['beyond_l2']}")
            except RuntimeError as error:
                failed(f"scaling.{axis}.{value}.why", error)
    return rows
