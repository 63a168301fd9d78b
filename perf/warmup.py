# SPDX-License-Identifier: Apache-2.0
"""A warm-up in real time: one of two equal nodes comes back from maintenance under load, and its
share of the commands, counted by the nodes themselves, is compared each second with what the ramp
0.1 * 10^(t/T) asks for. Needs root. A line a second, then the largest difference as JSON."""

import argparse
import json
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from lab import Lab, basic_config  # noqa: E402


def received(lab):
    return [json.loads(lab.node_command(n, "get"))["received"] for n in (1, 2)]


def wanted_share(t, warmup_s):
    ramp = 1 if t >= warmup_s else 0.1 * 10 ** (t / warmup_s)
    return ramp / (1 + ramp)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=4000)
    parser.add_argument("--warmup", type=int, default=60, help="seconds")
    options = parser.parse_args()
    with Lab("lfp2", nodes=2) as lab:
        config = basic_config(nodes=2)
        config["services"][0]["health"] = {"warmup": f"{options.warmup}s"}
        lab.start_all(config)
        lab.rpc("node.drain", {"node": "n1"})
        lab.start_send("--seconds", options.warmup + 10, "--rate", options.rate)
        time.sleep(3)
        lab.rpc("node.undrain", {"node": "n1"})
        start = time.monotonic()
        before, worst = received(lab), (0, 0)
        for second in range(options.warmup + 3):
            time.sleep(max(0, start + second + 1 - time.monotonic()))
            now = received(lab)
            got = [b - a for a, b in zip(before, now)]
            before = now
            share = got[0] / max(1, sum(got))
            wanted = wanted_share(second + 0.5, options.warmup)  # in the middle of the second
            worst = max(worst, (abs(share - wanted), second))
            print(f"{second:3d} s  {sum(got):6d} commands  share {share:.4f}  wanted {wanted:.4f}  "
                  f"{share - wanted:+.4f}", flush=True)
        print(json.dumps({"warmup_s": options.warmup, "rate": options.rate,
                          "largest_difference": round(worst[0], 4), "at_s": worst[1]}))


if __name__ == "__main__":
    main()
