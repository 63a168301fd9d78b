# SPDX-License-Identifier: Apache-2.0
"""What a report says about where and when it was measured, and who else ran meanwhile."""

import os
import pathlib
import platform
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                if line.startswith("model name")), "?")
    commit = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                            check=False).stdout.strip()
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(), "commit": commit,
            "load_before": os.getloadavg()[0],
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


class Meanwhile:
    """Load and stolen time from its making to done()."""

    def __init__(self):
        self.start, self.load, self.ticks = time.monotonic(), os.getloadavg()[0], self._ticks()

    @staticmethod
    def _ticks():
        values = [int(x) for x in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        return {"all": sum(values), "idle": values[3] + values[4], "steal": values[7]}

    def done(self):
        now = self._ticks()
        ticks = max(1, now["all"] - self.ticks["all"])
        return {"seconds": round(time.monotonic() - self.start, 1), "load_before": self.load,
                "load_after": os.getloadavg()[0],
                "steal_percent": round(100 * (now["steal"] - self.ticks["steal"]) / ticks, 2),
                "idle_percent": round(100 * (now["idle"] - self.ticks["idle"]) / ticks, 2)}
