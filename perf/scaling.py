# SPDX-License-Identifier: Apache-2.0
"""How a packet's cost grows with what there is: organisations, operators, rules, nodes, ledger entries, payload,
burst, workers, flows. Each axis varies one option of pipeline_bench and leaves the others alone. Points
are visited in rounds, so that a minute in which the machine was slow does not fall on one of them, and
the lower quartile of the passes stands for a point: what else runs only ever adds."""

import pathlib
import random
import tempfile

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


def measure(run, axes, rounds, log):
    """`run(options)` gives samples in ns. Yields a result for each point of each axis."""
    with tempfile.TemporaryDirectory() as directory:
        for axis in axes:
            title, option, values, more = AXES[axis]
            samples = {value: [] for value in values}
            for _ in range(rounds):
                for value in values:
                    argument = rules_file(directory, value) if axis == "rules" else value
                    try:
                        samples[value] += run([option, str(argument), *more])
                    except RuntimeError as error:
                        log(f"scaling.{axis}.{value}: {error}")
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
