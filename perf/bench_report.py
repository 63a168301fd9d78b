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


def growth_part(report):
    """Which axes grow by more than the limit, and why."""
    results = report["results"]
    points = scaling.by_axis(results)
    aimed = [axis for axis in scaling.AIMED_AT if axis in points]
    if not aimed:
        return []
    above = scaling.above_limit(results)
    kept = [scaling.AXES[axis][0] for axis in aimed if axis not in above]
    lines = [f"The aim: at most {scaling.LIMIT} times by {', '.join(scaling.AXES[a][0] for a in aimed)}, from the first "
             "point to any other. "
             + (f"Kept by {', '.join(kept)}." if kept else "Kept by none of them."), ""]
    rows = [(c, dict(points[c["axis"]])[c["value"]]) for c in report.get("causes", [])]
    if not rows:
        return lines
    return lines + [
        f"What grows by more than {scaling.LIMIT} times, its cheapest and its dearest point, with a packet's "
        "instructions and the cache lines that it gets from beyond the first level and from beyond the second "
        "(callgrind, which has no VAES, no third level and no prefetch: lines asked for in time count as well). Where instructions stay "
        "and lines grow, it is cache misses.", "",
        "| | ns a packet | instructions | lines from beyond L1 | from beyond L2 |", "|---|---:|---:|---:|---:|",
        *(f"| {scaling.AXES[c['axis']][0]}: {c['value']:,} | {number(ns)} | {c['instructions']:,.0f} | "
          f"{c['beyond_l1']} | {c['beyond_l2']} |" for c, ns in rows), ""]


def scaling_part(report):
    results, lines = report["results"], []
    for axis, points in scaling.by_axis(results).items():
        title, first = scaling.AXES[axis][0], points[0][1]
        lines += [f"### {title.capitalize()}", "", f"| {title} | ns a packet | times the first |",
                  "|---:|---:|---:|",
                  *(f"| {value:,} | {number(ns)} | {ns / first:.2f} |" for value, ns in points), "",
                  f"![](bench-{axis}.svg)", ""]
    return ["## Scaling", "", "One option varied, all else as in `pipeline.command.auth` (`pipeline.flow` for "
            "flows, with 64 nodes; `scaling.AXES` has the details); the lower quartile of some dozens of passes, taken in turn. With two workers the time is "
            "that of both together: half of one worker's is twice as fast.", "", *growth_part(report),
            *lines] if lines else []


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
        *results_table(plain), *scaling_part(report),
        *([f"Failed: {', '.join(f['name'] for f in report['failures'])}", ""]
          if report["failures"] else [])])


def curves(axis, points):
    xs = [value for value, _ in points]
    limit = [{"name": f"{scaling.LIMIT} times the first", "x": xs,
              "y": [scaling.LIMIT * points[0][1]] * len(xs)}] if axis in scaling.AIMED_AT else []
    return [{"name": "measured", "x": xs, "y": [ns for _, ns in points]}, *limit]


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
                 "series": curves(axis, points)}
                for axis, points in scaling.by_axis(report["results"]).items()])
