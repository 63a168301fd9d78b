# SPDX-License-Identifier: Apache-2.0
"""Draws the SVG plots of the reports. draw() is for the reports' scripts, which may run under another
Python than the one that Debian's matplotlib belongs to; the drawing itself is this file as a program.

A plot: {"file", "title", "x", "y", "series": [{"name", "x": […], "y": […]}], optional "log_x",
"log_y", "percentiles" (x is a quantile 0..1, drawn as an HdrHistogram plot is), "note"}."""

import json
import pathlib
import subprocess
import sys

SYSTEM_PYTHON = "/usr/bin/python3"


def draw(plots):
    subprocess.run([SYSTEM_PYTHON, __file__], input=json.dumps(plots), text=True, check=True)


def draw_one(pyplot, plot):
    figure, axes = pyplot.subplots(figsize=(7, 4))
    for series in plot["series"]:
        xs = series["x"]
        if plot.get("percentiles"):  # equal distances between 90 %, 99 %, 99.9 % …
            xs = [1 / max(1 - x, 1e-7) for x in xs]
        axes.plot(xs, series["y"], marker=None if len(xs) > 40 else "o", markersize=3,
                  label=series["name"])
    if plot.get("log_x") or plot.get("percentiles"):
        axes.set_xscale("log")
    if plot.get("log_y"):
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    if plot.get("percentiles"):
        ticks = [2, 10, 100, 1000, 10000, 100000]
        axes.set_xticks(ticks, ["50 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"])
        axes.minorticks_off()
    axes.set_title(plot["title"], fontsize=10)
    axes.set_xlabel(plot["x"])
    axes.set_ylabel(plot["y"])
    axes.grid(True, alpha=0.3)
    if len(plot["series"]) > 1:
        axes.legend(fontsize=8)
    figure.text(0.99, 0.01, plot.get("note", ""), ha="right", fontsize=6)
    figure.tight_layout()
    figure.savefig(plot["file"], metadata={"Date": None})
    pyplot.close(figure)


def main():
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "latticeforge",
                                "font.family": "sans-serif"})
    from matplotlib import pyplot
    for plot in json.load(sys.stdin):
        pathlib.Path(plot["file"]).parent.mkdir(parents=True, exist_ok=True)
        draw_one(pyplot, plot)


if __name__ == "__main__":
    main()
