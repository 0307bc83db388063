#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the harness makes of logs: JUnit XML (junit.py), and the comparison of two hosts
(parity.py). Reports in TAP."""

import fnmatch
import subprocess
import sys
import tempfile
from functools import partial
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

from session import run_tests

# What a step leaves behind: programs side by side, one of which was cut off.
STEP = {
    "unit.sum": "2 1 1\n1 2 0\n",
    "unit/test_a.sum": "2 1 1\n",
    "unit/test_a.log": (
        "1..4\nok 1 - a\nok 2 - <b> & \"c\"\nnot ok 3 - d (7 s)\n# x < y\n# it\x1b[31m is\r\n"
        "# SKIP is no result\nnot ok 4 # SKIP e\n"
    ),
    "unit/test_b.sum": "1 2 0\n",
    "unit/test_b.log": "1..3\nok 1 - alone (12 s)\nSegmentation fault\n",
    "boot.sum": "1 0 0\n0 0 2\n",
    "boot.tap": "1..1\nok 1 - host_has_kvm (0 s)\n",
    "build.sum": "0 1 0\n",
}


def report(files, *options):
    with tempfile.TemporaryDirectory() as directory:
        for name, text in files.items():
            path = Path(directory, name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
        command = ["tests/harness/junit.py", *options, directory]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def junit(files):
    return ElementTree.fromstring(report(files))


def cases(root, suite):
    """{name: (outcome, words, time)}"""
    found = {}
    for case in root.find(f"testsuite[@name='{suite}']"):
        child = next(iter(case), None)
        outcome = "passed" if child is None else child.tag
        words = "" if child is None else child.text or child.get("message")
        found[case.get("name")] = (outcome, words, case.get("time"))
    return found


def junit_has_the_results():
    wanted = {
        "a": ("passed", "", None),
        '<b> & "c"': ("passed", "", None),
        "d": ("failure", "x < y\nit?[31m is\nSKIP is no result", "7"),
        "e": ("skipped", "e", None),
    }
    found = cases(junit(STEP), "unit.test_a")
    return None if found == wanted else f"found {found}"


def junit_counts_what_is_missing():
    """A program that ended early, skipped tests of another host, a step without TAP."""
    root = junit(STEP)
    found = [outcome for outcome, _, _ in cases(root, "unit.test_b").values()]
    if found != ["passed", "failure", "failure"]:
        return f"cut off: {found}"
    found = [outcome for outcome, _, _ in cases(root, "boot").values()]
    if found != ["passed", "skipped", "skipped"]:
        return f"skipped: {found}"
    return None if list(cases(root, "build").values())[0][0] == "failure" else "build: no failure"


def junit_has_the_sums():
    root = junit(STEP)
    found = [root.get(name) for name in ("tests", "failures", "skipped")]
    if found != ["11", "4", "3"]:
        return f"found {found}"
    for suite in root:
        results = [next((child.tag for child in case), "passed") for case in suite]
        counted = [len(results), results.count("failure"), results.count("skipped")]
        claimed = [int(suite.get(name)) for name in ("tests", "failures", "skipped")]
        if claimed != counted:
            return f"{suite.get('name')} does not count its cases"
    return None


def junit_of_nothing():
    root = junit({})
    return None if root.get("tests") == "0" and len(root) == 0 else "has results"


def failures_have_their_reasons():
    said = report(STEP, "--failed").splitlines()
    heads = [line for line in said if line.startswith("failed: ")]
    if len(heads) != 4 or "failed: unit.test_a: d" not in heads:
        return f"found {heads}"
    where = said.index("failed: unit.test_a: d") + 1
    wanted = ["        x < y", "        it?[31m is"]
    return None if said[where : where + 2] == wanted else f"reasons: {said[where:]}"


KEPT = Path("tests/harness/parity")


def parity(a, b):
    command = ["tests/harness/parity.py", str(a), str(b)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def parity_of_kept_logs():
    """Hosts that were recorded differ in what is known, and in nothing else."""
    logs = sorted(KEPT.glob("*.log"))
    for a, b in combinations(logs, 2):
        status, said = parity(a, b)
        if status or "\n0 differ, and no rule says why." not in said:
            return f"{a.name}, {b.name}: exit status {status}: {said}"
        if "\n0 differ as expected" in said:
            return f"{a.name}, {b.name}: nothing differs at all"
    return None if len(logs) > 1 else "there are no two logs"


def parity_needs_each_rule():
    """Each rule is there for a difference of the kept logs."""
    rules = Path("tests/harness/parity.rules").read_text(encoding="ascii")
    pairs = combinations(sorted(KEPT.glob("*.log")), 2)
    said = "".join(parity(a, b)[1] for a, b in pairs).splitlines()
    for line in rules.splitlines():
        if line and not line.startswith("#"):
            _, fact, reason = (part.strip() for part in line.split("|"))
            if not fnmatch.filter(said, f"    {fact}: * | *"):
                return f"no difference fits {fact}: {reason}"
    return None


def parity_with_itself():
    status, said = parity(KEPT / "emulated.log", KEPT / "emulated.log")
    wanted = "\n0 differ as expected:\n\n0 differ, and no rule says why.\n"
    return None if status == 0 and wanted in said else f"exit status {status}: {said}"


def parity_finds(old, new, wanted, status=1):
    """One line of a kept log changed: the report names the fact, with both values."""
    text = (KEPT / "emulated.log").read_text(encoding="utf-8")
    if old not in text:
        return f"the kept log has no '{old}'"
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as changed:
        changed.write(text.replace(old, new, 1))
        changed.flush()
        got, said = parity(KEPT / "emulated.log", changed.name)
    return None if got == status and wanted in said else f"exit status {got}: {said}"


def parity_refuses(text, wanted):
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as log:
        log.write(text)
        log.flush()
        status, said = parity(log.name, KEPT / "emulated.log")
    return None if status == 2 and wanted in said else f"exit status {status}: {said}"


TESTS = {
    "junit_has_the_results": junit_has_the_results,
    "junit_counts_what_is_missing": junit_counts_what_is_missing,
    "junit_has_the_sums": junit_has_the_sums,
    "junit_of_nothing": junit_of_nothing,
    "failures_have_their_reasons": failures_have_their_reasons,
    "parity_of_kept_logs": parity_of_kept_logs,
    "parity_needs_each_rule": parity_needs_each_rule,
    "parity_with_itself": parity_with_itself,
    "parity_finds_a_failure": partial(
        parity_finds,
        "PARITY rsi ok 2 - ",
        "PARITY rsi not ok 2 - ",
        "rsi version: 1.0 is supported: ok | not ok",
    ),
    "parity_finds_a_feature": partial(
        parity_finds,
        "PARITY linux cpu features fp ",
        "PARITY linux cpu features ",
        "linux feature-fp: yes | (none)",
    ),
    "parity_refuses_a_short_log": partial(
        parity_refuses, "PARITY run realm kvm\n", "did not come to its end"
    ),
    "parity_refuses_another_file": partial(parity_refuses, "TAP version 13\n", "no log of"),
    "parity_refuses_a_later_version": partial(
        parity_refuses,
        "PARITY run realm kvm\nPARITY colour red\nPARITY end\n",
        "not of this version",
    ),
}

sys.exit(run_tests(TESTS))
