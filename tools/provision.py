# SPDX-License-Identifier: Apache-2.0
"""Gets a Debian 12 machine ready and builds LatticeForge: what tools/quickstart and
tests/run_all.py share. Standard library only. The package list is tools/packages.txt."""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SYSTEM_PYTHON = "/usr/bin/python3"  # the one that Debian's python3-* packages belong to


class ProvisionError(Exception):
    """Something that the user must know of; the message says what to do."""


def packages(*sections):
    """Names listed in tools/packages.txt under [section]."""
    names, current = [], None
    for line in (ROOT / "tools" / "packages.txt").read_text().splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("["):
            current = line.strip("[]")
        elif line and current in sections:
            names.append(line)
    return names


def missing_packages(names):
    out = subprocess.run(
        ["dpkg-query", "-W", "-f=${Package} ${db:Status-Abbrev}\n", *names],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    installed = {line.split()[0] for line in out.splitlines() if " ii" in line}
    return [name for name in names if name not in installed]


def install(*sections):
    """Installs what is missing through apt. Needs root only when something is missing."""
    missing = missing_packages(packages(*sections))
    if not missing:
        return
    if os.geteuid() != 0:
        raise ProvisionError("missing packages (run as root, or install them): " + " ".join(missing))
    print(f"installing {len(missing)} packages: {' '.join(missing)}", flush=True)
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for command in (["apt-get", "update", "-q"],
                    ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]):
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        if done.returncode != 0:
            raise ProvisionError(f"{' '.join(command[:2])} failed:\n{done.stdout[-2000:]}")


def build(directory="build", options=(), targets=(), compiler=None):
    """Configures (once) and builds; returns the build directory. Prints only when it fails."""
    path = ROOT / directory
    env = dict(os.environ, CCACHE_NOHASHDIR="1")
    if compiler:
        env["CXX"] = f"ccache {compiler}" if shutil.which("ccache") else compiler
    if not (path / "build.ninja").exists():
        _run(["meson", "setup", str(path), str(ROOT), *options], env)
        _note_packages(path)
    elif _packages_changed(path):
        # meson remembers what it did not find: a build directory that tools/quickstart made
        # would never see the libraries that the tests install afterwards.
        _run(["meson", "configure", "--clearcache", str(path)], env)
        _run(["meson", "setup", "--reconfigure", str(path), str(ROOT)], env)
        _note_packages(path)
    _run(["ninja", "-C", str(path), *targets], env)
    return path


def _absent():
    return "\n".join(missing_packages(packages("run", "test")))


def _note_packages(build_directory):
    """Remembers which packages were absent when the build directory was configured."""
    (build_directory / "absent-packages.txt").write_text(_absent())


def _packages_changed(build_directory):
    note = build_directory / "absent-packages.txt"
    return not note.exists() or note.read_text() != _absent()


def _run(command, env):
    done = subprocess.run(command, env=env, cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise ProvisionError(f"{' '.join(command)} failed:\n{done.stdout[-6000:]}")


def reserve_hugepages(count=512):
    """Reserves 2 MiB huge pages and mounts hugetlbfs. True when at least `count` are free or
    could be reserved. Needs root."""
    knob = pathlib.Path("/proc/sys/vm/nr_hugepages")
    try:
        if int(knob.read_text()) < count:
            knob.write_text(str(count))
        if int(knob.read_text()) < count:
            return False
        mounts = pathlib.Path("/proc/mounts").read_text()
        if " hugetlbfs " not in mounts:
            pathlib.Path("/dev/hugepages").mkdir(exist_ok=True)
            subprocess.run(["mount", "-t", "hugetlbfs", "none", "/dev/hugepages"], check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def main_error(error):
    print(f"error: {error}", file=sys.stderr, flush=True)
    return 1
