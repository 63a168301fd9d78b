# SPDX-License-Identifier: Apache-2.0
"""Turns a result of rfc2544.py into JSON, a Markdown page and SVG plots, side by side in a directory."""

import json

import plots

SHORT = {"memif": "memif", "veth-af_xdp": "veth with AF_XDP", "veth-af_packet": "veth with AF_PACKET"}


def table(head, rows, align=None):
    line = "|" + "|".join((align or "---:" for _ in head)) + "|"
    return ["| " + " | ".join(head) + " |", line,
            *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows), ""]


def kpps(rate):
    return f"{rate / 1e3:,.0f}"


def us(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def throughput_rows(result):
    baseline = {row["size"]: row for row in result.get("testpmd", [])}
    for row in result["throughput"]:
        cells = [row["size"]]
        for goal in ("zero_loss", "loss_0.5_percent"):
            ours, other = row[goal], baseline.get(row["size"], {}).get(goal)
            cells += [kpps(ours["forwarded"]), kpps(ours["load"])]
            if baseline:
                there = other["forwarded"] if other else 0
                cells += [kpps(there), f"{ours['forwarded'] / there:.2f}" if there else "-"]
        yield cells + [kpps(row["flat_out"]["forwarded"])]


def throughput(result):
    head = ["bytes"]
    for goal in ("no loss", "0.5 %"):
        head += [goal, "load"] + (["testpmd", "ratio"] if result.get("testpmd") else [])
    return ["## Throughput (26.1)", "",
            "Thousand a second from the client to a node and, unless one-way, back: the daemon handles two "
            "frames for each. "
            "What was forwarded at the highest load at which the majority of trials met the goal, and that "
            "load (more, where the generator was kept from running: what it could not send was not lost); "
            "what testpmd forwarded, and ours over its.", "",
            *table(head + ["flat out"], throughput_rows(result)), "![](" + name(result, "rate") + ")",
            ""]


def loss(result):
    if not result["loss_curve"]:
        return []
    lines = ["## Frame loss rate (26.3)", ""]
    for curve in result["loss_curve"]:
        lines += [f"{curve['size']} bytes:", "", *table(
            ["offered, thousand a second", "lost"],
            [(kpps(p["offered"]), f"{p['loss']:.2%}" if p["loss"] >= 1e-4 or not p["loss"]
              else f"{p['loss']:.1e}") for p in curve["points"]])]
    return lines + ["![](" + name(result, "loss") + ")", ""]


def back_to_back(result):
    return ["## Back-to-back (RFC 9004)", "", *table(
        ["bytes", "frames, mean", "shortest", "longest", "of", "burst rate, thousand a second",
         "buffer, implied, µs", "corrected, µs"],
        [(b["size"], f"{b['frames']:.0f}", b["frames_min"], b["frames_max"], b["repetitions"],
          kpps(b["burst_rate"]), us(b["implied_buffer_us"]), us(b["corrected_buffer_us"]))
         for b in result["back_to_back"]])] if result["back_to_back"] else []


def latency(result):
    lines = ["## Latency (26.2)", "",
             "Microseconds from making a frame to its answer, every one timed. The shares are of "
             "the rate without loss (of that at 0.5 % where that is none).", ""]
    rows = []
    for who, key in (("daemon", "latency"), ("testpmd", "testpmd_latency")):
        for part in result.get(key, []):
            for r in part["rows"]:
                q = r["latency_us"]
                rows.append((who, part["size"], f"{r['share']:.0%}", kpps(r["offered"]),
                             f"{r['loss']:.1e}" if r["loss"] else "0",
                             *(us(q[x]) for x in ("p50", "p90", "p99", "p99_9", "p99_99", "max"))))
    head = ["", "bytes", "load", "thousand a second", "loss", "50 %", "90 %", "99 %", "99.9 %",
            "99.99 %", "longest"]
    return [*lines, *table(head, rows), "![](" + name(result, "latency") + ")", ""] if rows else []


def reconfiguration(result):
    if not result["reconfiguration"]:
        return []
    rows = []
    for r in result["reconfiguration"]:
        for when in ("still", "swapping"):
            rows.append((r["size"], kpps(r["rate"]), "no" if when == "still" else
                         f"{r['changes_per_second']:.0f} changes, {r['swaps_per_second']:.0f} swaps"
                         if "swaps_per_second" in r else "yes",
                         r["lost"][when], us(r["blocked_us"][when]),
                         us(r["latency_us"][when]["p99"]), us(r["latency_us"][when]["max"])))
    return ["## Tables swapped under load", "",
            "`node.set_weight` over the control socket, each change a snapshot of its own, at half of the rate "
            "above. Blocked time is what was lost, as time at this rate.", "",
            *table(["bytes", "thousand a second", "a second", "lost", "blocked, µs", "p99, µs",
                    "longest, µs"], rows)]


def soak(result):
    s = result.get("soak")
    if not s:
        return []
    worst = max(s["pieces"], key=lambda p: p["latency_us"]["p99"])
    return ["## Soak", "", f"{s['size']} bytes, {kpps(s['rate'])} thousand a second for "
            f"{s['seconds']:.0f} s: {s['due']:,} sent, {s['lost']:,} lost "
            f"({s['lost'] / max(1, s['due']):.1e}); p99 in the worst of {len(s['pieces'])} pieces "
            f"{us(worst['latency_us']['p99'])} µs.", "", "![](" + name(result, "soak") + ")", ""]


def books(result):
    b = result["books"]
    verdicts = ", ".join(f"{k} {v:,}" for k, v in b["verdicts"].items() if v)
    return ["## Books", "", f"The generator gave {b['given']:,} frames, the daemon received "
            f"{b['received']:,}; its verdicts: {verdicts}. It sent {b['sent']:,}, "
            f"{b['came_back']:,} came back. {result['trials']['made']} trials; in "
            f"{result['trials']['disturbed']} of them the generator was kept from running and could not send "
            "more than 2 % of the frames in time.",
            ""]


def head(result):
    m, w, a = result["machine"], result["meanwhile"], result["arguments"]
    ring = f"Rings of {1 << a['ring']:,} frames. " if result["kind"] == "memif" else ""
    return [f"# RFC 2544 over {SHORT[result['kind']]}", "",
            f"Written by `perf/rfc2544.py` on {m['time']}, commit {m['commit']}.", "",
            f"{m['cpu']}, {m['cores']} CPUs, Linux {m['kernel']}. In the {w['seconds']:.0f} s that it "
            f"took: load average {w['load_before']:.1f} before and {w['load_after']:.1f} after (its own two "
            f"threads make 2), {w['steal_percent']} % stolen, {w['idle_percent']} % idle. The worker had one "
            "CPU; generator, nodes and control thread shared the other.", "",
            f"{traffic(a)} {ring}Trials of {a['seconds']} s, bracket {a['width']:.0%}, {a['votes']} votes a load. How to read it: "
            "[docs/benchmarking.md](../../docs/benchmarking.md).", ""]


def traffic(arguments):
    a = arguments
    if a["flows"]:
        return (f"{a['flows']:,} flows of plain UDP to a flow service with 4 nodes, "
                f"{'answered past the daemon (dsr-l2)' if a['one_way'] else 'answered through it (NAT)'}.")
    return (f"Commands {'signed' if a['auth'] else 'without tags'}, audit {'on' if a['audit'] else 'off'}, "
            f"{a['orgs']} organisations, 4 nodes, ledger of 2^20 entries; "
            f"{'commands only (dsr-l2)' if a['one_way'] else 'each answered through the daemon (proxy)'}. "
            "126 bytes is the smallest frame that holds a command.")


def stem(result):
    a = result["arguments"]
    return (f"rfc2544-{'flows-' if a['flows'] else ''}{'one-way-' if a['one_way'] else ''}"
            f"{result['kind']}")


def name(result, what):
    return f"{stem(result)}-{what}.svg"


def all_plots(result, directory):
    m = result["machine"]
    note = f"{m['commit']}, {m['time'][:10]}, load {result['meanwhile']['load_before']:.1f}"

    def plot(what, title, x, y, series, **more):
        return {"file": str(directory / name(result, what)), "title": title, "x": x, "y": y,
                "series": series, "note": note, **more}

    rates = [{"name": f"{who}, {label}", "x": [r["size"] for r in result[key]],
              "y": [r[goal]["forwarded"] / 1e3 for r in result[key]]}
             for who, key in (("daemon", "throughput"), ("testpmd 5tswap", "testpmd"))
             if result.get(key)
             for label, goal in (("no loss", "zero_loss"), ("0.5 %", "loss_0.5_percent"))]
    out = [plot("rate", f"Throughput over {SHORT[result['kind']]}", "bytes of a frame",
                "thousand a second", rates)]
    if result["loss_curve"]:
        out.append(plot("loss", "Frame loss", "offered, thousand a second", "lost, %",
                        [{"name": f"{c['size']} bytes", "x": [p["offered"] / 1e3 for p in c["points"]],
                          "y": [100 * p["loss"] for p in c["points"]]} for c in result["loss_curve"]]))
    series = [percentiles(f"{part['size']} bytes, {r['share']:.0%}", r["buckets"])
              for part in result["latency"] for r in part["rows"]]
    if series:
        out.append(plot("latency", "Latency of the daemon by percentile", "share of the frames",
                        "µs", series, percentiles=True, log_y=True))
    if result.get("soak"):
        pieces = result["soak"]["pieces"]
        out.append(plot("soak", "Soak: latency", "seconds", "µs", [
            {"name": q, "x": [p["at_s"] for p in pieces],
             "y": [p["latency_us"][q] for p in pieces]} for q in ("p50", "p99", "max")], log_y=True))
    return out


def percentiles(label, buckets):
    total, seen, xs, ys = sum(n for _, n in buckets), 0, [], []
    for floor_ns, count in buckets:
        seen += count
        xs.append(round(min(seen / total, 1 - 0.5 / total), 7))
        ys.append(floor_ns / 1e3)
    return {"name": label, "x": xs, "y": ys}


def markdown(result):
    parts = (head, throughput, loss, back_to_back, latency, reconfiguration, soak, books)
    return "\n".join(line for part in parts for line in part(result))


def write(result, directory, with_plots):
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / stem(result)
    small = json.loads(json.dumps(result))
    for part in small["latency"] + small.get("testpmd_latency", []):
        for row in part["rows"]:
            del row["buckets"]
    for row in small["throughput"] + small.get("testpmd", []):
        row["trials"] = [{k: t[k] for k in ("rate", "offered", "loss", "slipped")}
                         for t in row["trials"]]
    path.with_suffix(".json").write_text(json.dumps(small, indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown(result))
    if with_plots:
        plots.draw(all_plots(result, directory))
