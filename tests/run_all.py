#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every test suite. On a fresh Debian 12, as root, it installs what is missing by itself.

    python3 tests/run_all.py                 all suites but those under ON_DEMAND
    python3 tests/run_all.py --suite unit    one of them (may be repeated)
    python3 tests/run_all.py --list          their names

The last line is "N passed, N failed, N skipped"; the exit status is 0 only if nothing failed.
Suites that need root or hugepages say so when they are skipped without.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import provision  # noqa: E402  (needs the path above)

FUZZ_SECONDS = 10
PROGRAM_TIMEOUT = 900


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, name, passed, failed, skipped, seconds, detail=""):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        state = "FAIL" if failed else ("skip" if skipped and not passed else "ok")
        print(f"  {state:4} {name}: {passed} passed"
              + (f", {failed} failed" if failed else "")
              + (f", {skipped} skipped" if skipped else "") + f" ({seconds:.1f} s)", flush=True)
        if detail and (failed or skipped):
            print("       " + detail.strip().replace("\n", "\n       "), flush=True)


def run(command, timeout=PROGRAM_TIMEOUT, env=None, cwd=ROOT):
    """(exit status or None on time-out, output)"""
    try:
        done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                              text=True, errors="replace", check=False)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        out = late.stdout or b""
        return None, (out.decode(errors="replace") if isinstance(out, bytes) else out)


def run_gtest(tally, kind, command, env=None):
    """Runs one GoogleTest program, a path and its arguments, and counts its cases from its own JSON
    report."""
    program, *arguments = command
    label = " ".join([f"{kind}/{program.name}", *arguments])
    report = program.parent / (program.name + ".json")
    report.unlink(missing_ok=True)
    start = time.monotonic()
    status, out = run([str(program), *arguments, f"--gtest_output=json:{report}",
                       "--gtest_brief=1"], env=env)
    seconds = time.monotonic() - start
    passed = failed = skipped = 0
    try:
        for suite in json.loads(report.read_text())["testsuites"]:
            for case in suite["testsuite"]:
                if case.get("result") == "SKIPPED" or case.get("status") == "NOTRUN":
                    skipped += 1
                elif case.get("failures"):
                    failed += 1
                else:
                    passed += 1
    except (OSError, ValueError, KeyError):
        pass
    if status != 0 and failed == 0:  # crashed, sanitizer report, time-out
        failed = 1
    if status == 0 and passed + skipped == 0:
        failed, out = 1, "the program ran no test\n" + out
    tally.add(label, passed, failed, skipped, seconds, out[-4000:])


def gtest_programs(directory, kinds):
    """Test programs that meson knows of, by suite, each a path and its arguments."""
    status, out = run(["meson", "introspect", "--tests", str(directory)])
    if status != 0:
        raise provision.ProvisionError(out)
    programs = []
    for test in json.loads(out):
        if any(suite.split(":")[-1] in kinds for suite in test["suite"]):
            programs.append([pathlib.Path(test["cmd"][0]), *test["cmd"][1:]])
    return sorted(programs)


def suite_gtest(tally, kind):
    directory = provision.build()
    programs = gtest_programs(directory, {kind})
    for program in programs:
        run_gtest(tally, kind, program)
    if not programs:
        tally.add(kind, 0, 1, 0, 0, "no test program: is libgtest-dev there?")


def suite_unit(tally):
    suite_gtest(tally, "unit")


def suite_packet(tally):
    suite_gtest(tally, "packet")


def suite_e2e(tally):
    scripts = sorted((ROOT / "tests" / "e2e").glob("test_*.py"))
    if os.geteuid() != 0:
        tally.add("e2e", 0, 0, len(scripts), 0, "skipped: needs root for network namespaces")
        return
    provision.build()
    for script in scripts:
        start = time.monotonic()
        status, out = run([provision.SYSTEM_PYTHON, str(script)], timeout=600)
        lines = [line for line in out.splitlines() if line.startswith(("ok ", "not ok ", "skip "))]
        passed = sum(line.startswith("ok ") for line in lines)
        failed = sum(line.startswith("not ok ") for line in lines)
        skipped = sum(line.startswith("skip ") for line in lines)
        if (status != 0 and failed == 0) or passed + failed + skipped == 0:
            failed += 1
        tally.add(f"e2e/{script.stem}", passed, failed, skipped, time.monotonic() - start,
                  out[-6000:] if failed else "\n".join(x for x in lines if x.startswith("skip ")))


def suite_fuzz(tally):
    directory = provision.build("build-fuzz", compiler="clang++", targets=["fuzzers"], options=[
        "-Dfuzz=true", "-Doptimization=1", "-Dwerror=false"])
    programs = [p for p in (directory / "tests" / "fuzz").glob("fuzz_*") if p.is_file()]
    for program in sorted(programs):
        corpus = directory / "corpus" / program.name
        corpus.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        # Inputs may be large from the beginning: those made of whole frames are.
        status, out = run([str(program), f"-max_total_time={FUZZ_SECONDS}", "-rss_limit_mb=4096",
                           "-timeout=20", "-len_control=0", "-print_final_stats=1", str(corpus)],
                          cwd=directory, env=sanitizer_env())
        tally.add(f"fuzz/{program.name}", int(status == 0), int(status != 0), 0,
                  time.monotonic() - start, out[-4000:])


def sanitizer_env():
    return dict(os.environ,
                ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:strict_string_checks=1",
                LSAN_OPTIONS=f"suppressions={ROOT}/tests/support/lsan.supp:print_suppressions=0",
                UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1",
                TSAN_OPTIONS=f"halt_on_error=1:suppressions={ROOT}/tests/support/tsan.supp",
                LF_TEST_QUICK="1")


def suite_sanitize(tally):
    """Unit and packet programs under ASan+UBSan; those with threads or lock-free structures (listed
    in tests/unit/meson.build) under TSan."""
    for name, sanitizers, kinds, target in (
            ("asan", "address,undefined", {"unit", "packet"}, "test-programs"),
            ("tsan", "thread", {"unit"}, "threaded-programs")):
        directory = provision.build(f"build-{name}", targets=[target], options=[
            f"-Db_sanitize={sanitizers}", "-Doptimization=1", "-Db_lundef=false",
            "-Ddebug=false",
            # Lines for the reports, no more: compiles faster. DPDK's RCU has fences, which
            # ThreadSanitizer does not know; GCC warns of that.
            "-Dcpp_args=-g1 -Wno-tsan" if name == "tsan" else "-Dcpp_args=-g1"])
        programs = [p for p in gtest_programs(directory, kinds) if p[0].exists()]
        for program in programs:
            run_gtest(tally, name, program, env=sanitizer_env())
        if not programs:
            tally.add(name, 0, 1, 0, 0, "no test program was built")


def suite_bench_smoke(tally):
    script = ROOT / "perf" / "smoke.py"
    if not script.exists():
        tally.add("bench-smoke", 0, 1, 0, 0, "perf/smoke.py is missing")
        return
    start = time.monotonic()
    provision.build()
    status, out = run([sys.executable, str(script)])
    lines = out.splitlines()
    passed = sum(line.startswith("ok ") for line in lines)
    failed = sum(line.startswith("not ok ") for line in lines)
    if status != 0 and failed == 0:
        failed = 1
    tally.add("bench-smoke", passed, failed, 0, time.monotonic() - start, out[-4000:])


SUITES = {
    "unit": suite_unit,
    "packet": suite_packet,
    "e2e": suite_e2e,
    "fuzz": suite_fuzz,
    "sanitize": suite_sanitize,
    "bench-smoke": suite_bench_smoke,
}


# Not part of a run without --suite, and counted as skipped there: building everything again with
# clang and under two sanitizers takes longer than all the rest.
ON_DEMAND = {"fuzz", "sanitize"}


def main():
    parser = argparse.ArgumentParser(description="Runs LatticeForge's test suites.")
    parser.add_argument("--suite", action="append", choices=SUITES, help="only this one")
    parser.add_argument("--list", action="store_true", help="print the suites' names")
    args = parser.parse_args()
    if args.list:
        print("\n".join(SUITES))
        return 0
    tally = Tally()
    try:
        provision.install("run", "test")
        for name in args.suite or SUITES:
            print(f"{name}:", flush=True)
            if not args.suite and name in ON_DEMAND:
                tally.add(name, 0, 0, 1, 0, f"skipped: run it with --suite {name}")
                continue
            SUITES[name](tally)
    except provision.ProvisionError as error:
        provision.main_error(error)
        tally.failed += 1
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped", flush=True)
    return 0 if tally.failed == 0 and tally.passed + tally.skipped > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
