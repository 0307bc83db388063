#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""junit.py [--failed] DIR - the results that are in a directory of logs, as JUnit XML on stdout, or
what has failed, with the first words of why

DIR is build/log after `make check`, or after any of its parts. STEP.sum there has the sums of a
step, "passed failed skipped" a line; its results are TAP: STEP/NAME.log of programs that ran side
by side, each with a sum of its own in NAME.sum, or STEP*.tap of boot tests. The XML has the same
sums: what a sum counts and no line of TAP says, such as a program that ended early, becomes a test
case of its own."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

RESULT = re.compile(r"(not ok|ok) *\d* *(?:- )?(.*)")
SKIP = re.compile(r"# *skip *(.*)", re.IGNORECASE)
SECONDS = re.compile(r" \((\d+) s\)$")
# What XML 1.0 cannot hold, and what a terminal would act on.
UNPRINTABLE = re.compile(r"[^\t\n\x20-\x7e]")
# Lines of a failure's reasons that are shown again at the end.
MAX_DETAILS = 12


class Case:
    """One result: outcome is passed, failed or skipped; details are what was said about it."""

    def __init__(self, name, outcome, details=""):
        time = SECONDS.search(name)
        self.name = SECONDS.sub("", name)
        self.seconds = int(time[1]) if time else None
        self.outcome = outcome
        self.details = details

    def add_to(self, suite):
        element = ElementTree.SubElement(
            suite, "testcase", classname=suite.get("name"), name=self.name
        )
        if self.seconds is not None:
            element.set("time", str(self.seconds))
        if self.outcome == "failed":
            first = self.details.split("\n", 1)[0]
            ElementTree.SubElement(element, "failure", message=first).text = self.details
        elif self.outcome == "skipped":
            ElementTree.SubElement(element, "skipped", message=self.details)


def printable(text):
    return UNPRINTABLE.sub("?", text.replace("\r", ""))


def read_tap(path):
    """The cases of a file, in order; comments or indented lines after a failure are its details."""
    cases = []
    for line in printable(path.read_text(encoding="utf-8", errors="replace")).split("\n"):
        result = RESULT.match(line)
        if result:
            skip = SKIP.search(result[2])
            if skip:
                # cmocka says "not ok 8 # SKIP name".
                name = result[2][: skip.start()].strip() or skip[1]
                cases.append(Case(name, "skipped", skip[1]))
            else:
                cases.append(Case(result[2], "passed" if result[1] == "ok" else "failed"))
        elif line.startswith(("# ", "    ")) and cases and cases[-1].outcome == "failed":
            words = line[2:] if line.startswith("#") else line[4:]
            cases[-1].details += ("\n" if cases[-1].details else "") + words
    return cases


def read_sums(path):
    """(passed, failed, skipped) of a sum file, its lines added up."""
    if not path.exists():
        return None
    lines = [map(int, line.split()) for line in path.read_text(encoding="ascii").splitlines()]
    return tuple(map(sum, zip(*lines))) if lines else None


def count(cases):
    return tuple(
        sum(case.outcome == outcome for case in cases)
        for outcome in ("passed", "failed", "skipped")
    )


def complete(cases, sums, log):
    """Cases for what only the sums know."""
    if sums is None:
        return cases
    for outcome, have, want in zip(("passed", "failed", "skipped"), count(cases), sums):
        for nr in range(have, want):
            why = "" if outcome == "passed" else f"no result: see {log}"
            cases.append(Case(f"without a result of its own {nr - have + 1}", outcome, why))
    return cases


def suites_of(step, sum_file):
    """(name, cases) of each file with results of a step."""
    directory = sum_file.parent
    logs = sorted((directory / step).glob("*.log"))
    if logs:
        for log in logs:
            sums = read_sums(log.with_suffix(".sum"))
            yield f"{step}.{log.stem}", complete(read_tap(log), sums, log)
        return
    cases = []
    for tap in sorted(directory.glob(f"{step}*.tap")):
        cases += read_tap(tap)
    yield step, complete(cases, read_sums(sum_file), f"{directory}/{step}*.log")


def read_suites(directory):
    for sum_file in sorted(Path(directory).glob("*.sum")):
        yield from suites_of(sum_file.stem, sum_file)


def show_failed(directory):
    for name, cases in read_suites(directory):
        for case in cases:
            if case.outcome != "failed":
                continue
            print(f"failed: {name}: {case.name}")
            for line in case.details.splitlines()[:MAX_DETAILS]:
                print(f"        {line}")


def show_xml(directory):
    root = ElementTree.Element("testsuites", name="ccr-run")
    total = [0, 0, 0]
    for name, cases in read_suites(directory):
        passed, failed, skipped = counts = count(cases)
        total = [a + b for a, b in zip(total, counts)]
        suite = ElementTree.SubElement(root, "testsuite", name=name)
        suite.set("tests", str(passed + failed + skipped))
        suite.set("failures", str(failed))
        suite.set("skipped", str(skipped))
        for case in cases:
            case.add_to(suite)
    root.set("tests", str(sum(total)))
    root.set("failures", str(total[1]))
    root.set("skipped", str(total[2]))
    ElementTree.indent(root)
    sys.stdout.write('<?xml version="1.0" encoding="UTF-8"?>\n')
    sys.stdout.write(ElementTree.tostring(root, encoding="unicode") + "\n")


if sys.argv[1] == "--failed":
    show_failed(sys.argv[2])
else:
    show_xml(sys.argv[1])
