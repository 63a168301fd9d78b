# SPDX-License-Identifier: Apache-2.0
"""Turns a report of bench.py into Markdown and SVG plots, side by side in a directory."""

import json

import plots
import scaling


def number(value):
    return f"{value:,.1f}" if value < 1000 else f"{value:,.0f}"


def spread(samples):
    """Quarter and three quarters."""
    ordered = sorted(samples)
    return (f"{number(ordered[len(ordered) // 4])} – {number(ordered[3 * len(ordered) // 4])}"
            if len(ordered) > 3 else "")


def results_table(results):
    if not results:
        return []
    lines = ["| | median | unit | middle half | baseline | ratio |", "|---|---:|---|---|---:|---:|"]
    for r in results:
        baseline = number(r["baseline"]) if r.get("baseline") else ""
        ratio = f"{r['ratio']:.2f}" if r.get("ratio") else ""
        lines.append(f"| `{r['name']}` | {number(r['value'])} | {r['unit']} | "
                     f"{spread(r.get('samples') or [])} | {baseline} | {ratio} |")
    return lines + [""]


def scaling_part(results):
    lines = []
    for axis, points in scaling.by_axis(results).items():
        title, first = scaling.AXES[axis][0], points[0][1]
        lines += [f"### {title.capitalize()}", "", f"| {title} | ns a packet | times the first |",
                  "|---:|---:|---:|",
                  *(f"| {value:,} | {number(ns)} | {ns / first:.2f} |" for value, ns in points), "",
                  f"![](bench-{axis}.svg)", ""]
    return ["## Scaling", "", "One option varied, all else as in `pipeline.command.auth` (`pipeline.flow` for "
            "flows, with 64 nodes; `scaling.AXES` has the details); the lower quartile of some dozens of passes, taken in turn. With two workers the time is "
            "that of both together: half of one worker's is twice as fast.", "", *lines] if lines else []


def markdown(report):
    m, w = report["machine"], report["meanwhile"]
    plain = [r for r in report["results"] if not r["name"].startswith("scaling.")]
    return "\n".join([
        "# Benchmarks", "", f"Written by `perf/bench.py` on {m['time']}, commit {m['commit']}.", "",
        f"{m['cpu']}, {m['cores']} CPUs, Linux {m['kernel']}. In the {w['seconds']:.0f} s that it took: load "
        f"average {w['load_before']:.1f} before and {w['load_after']:.1f} after, {w['steal_percent']} % "
        f"stolen, {w['idle_percent']} % idle.", "",
        "The baseline of `pipeline.*` is what dpdk-testpmd 5tswap needs for the same frames in the same "
        "run, and the ratio our throughput over its. What it means: "
        "[docs/performance.md](../../docs/performance.md).", "",
        *results_table(plain), *scaling_part(report["results"]),
        *([f"Failed: {', '.join(f['name'] for f in report['failures'])}", ""]
          if report["failures"] else [])])


def write(report, directory):
    directory.mkdir(parents=True, exist_ok=True)
    small = {**report, "results": [
        {**r, "samples": [round(s, 2) for s in r.get("samples") or []][:40]}
        for r in report["results"]]}
    (directory / "bench.json").write_text(json.dumps(small, indent=None) + "\n")
    (directory / "bench.md").write_text(markdown(report))
    note = f"{report['machine']['commit']}, {report['machine']['time'][:10]}"
    plots.draw([{"file": str(directory / f"bench-{axis}.svg"), "note": note,
                 "title": f"A packet's cost by {scaling.AXES[axis][0]}",
                 "x": scaling.AXES[axis][0], "y": "ns a packet",
                 "log_x": axis not in ("size", "workers"),
                 "series": [{"name": axis, "x": [p[0] for p in points], "y": [p[1] for p in points]}]}
                for axis, points in scaling.by_axis(report["results"]).items()])
