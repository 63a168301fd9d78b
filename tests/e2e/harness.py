# SPDX-License-Identifier: Apache-2.0
"""Runs the test_* functions of an end-to-end script and prints one line each: ok, not ok or skip.
Every script makes its own lab (tools/lab.py) and leaves nothing behind."""

import pathlib
import sys
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))


class Skip(Exception):
    """The machine lacks something; the message says what."""


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def equal(got, wanted, what):
    check(got == wanted, f"{what}: got {got!r}, wanted {wanted!r}")


def conserved(lab):
    """received + replays = sum of all verdicts + parked, once nothing moves any more."""
    def balanced():
        stats = lab.rpc("stats")
        replay = lab.rpc("replay.status")
        return (stats["received"] + replay["replayed"] + replay["refused"]
                == sum(stats["verdicts"].values()) + stats["parked"])
    lab.wait_for("received + replays = sum of verdicts + parked", balanced, 5)


def main(namespace):
    failed = 0
    only = sys.argv[1:]
    for name, function in list(namespace.items()):
        if not name.startswith("test_") or (only and name not in only):
            continue
        start = time.monotonic()
        try:
            function()
            print(f"ok {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except Skip as why:
            print(f"skip {name}: {why}", flush=True)
        except Exception as error:  # every failure is one line, then where
            failed += 1
            print(f"not ok {name}: {error}", flush=True)
            traceback.print_exc(file=sys.stdout)
    sys.exit(1 if failed else 0)
