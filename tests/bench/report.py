#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The log of the bench's host as a table, and as JSON.

report.py LOG... [--json FILE] - lines of figures in a log are
    CCR-BENCH section=SECTION vmm=VMM at=WHERE NAME=VALUE...
where BEGIN and JOB stand around a job of a guest's, and the rest is said once a launch. Status 1 if
a row has no figures, or a test of the log has failed.
"""

import argparse
import json
import re
import statistics
import sys
from collections import defaultdict
from pathlib import Path

PEERS = ("qemu", "lkvm")
# Less than that is no difference.
EVEN = 0.03
# What a realm may cost beyond its bounce buffer.
REALM = 0.10

NAMES = {
    "boot": "start: 1 vCPU, 256 MiB",
    "block": "disk: a RAM disk of the host, O_DIRECT",
    "network": "network: a tap",
    "memory": "memory beyond the guest's RAM",
    "idle": "50 idle machines",
}
TRANSFERS = {"seq": "128 KiB sequential", "rand": "4 KiB random"}


class Row:
    """One figure: what it is, and its values by candidate."""

    def __init__(self, section, text, unit, more_is_better=False):
        self.section, self.text, self.unit = section, text, unit
        self.more_is_better = more_is_better
        self.values = defaultdict(list)

    def median(self, vmm):
        return statistics.median(self.values[vmm])

    def spread(self, vmm):
        """Half of what lies between the extremes, of the median."""
        values = self.values[vmm]
        return (max(values) - min(values)) / 2 / (self.median(vmm) or 1)

    def ratio(self, ours, theirs):
        return self.median(ours) / self.median(theirs) if self.median(theirs) else None

    def verdict(self, ours, theirs):
        ratio = self.ratio(ours, theirs)
        if ratio is None:
            return "even" if self.median(ours) == 0 else "behind"
        gain = (ratio - 1) * (1 if self.more_is_better else -1)
        if ours == "realm":
            return "within" if gain >= -REALM else "beyond"
        return "even" if abs(gain) <= EVEN else "ahead" if gain > 0 else "behind"


class Table:
    """Rows in the order in which they were first heard of."""

    def __init__(self):
        self.rows = {}

    def add(self, vmm, value, *what, **how):
        row = self.rows.setdefault(what, None) or Row(*what, **how)
        self.rows[what] = row
        row.values[vmm].append(value)


def job_text(job):
    kind, _, rest = job.partition("_")
    if kind not in TRANSFERS:
        return None
    direction, depth = rest.split("_")
    return f"{TRANSFERS[kind]} {direction}, depth {depth}"


def add_block(table, vmm, job, figures, cpu_us, exits):
    text = job_text(job)
    if not text:
        return
    if job.startswith("seq"):
        table.add(vmm, figures["kib_s"] / 1024, "block", text, "MiB/s", more_is_better=True)
    else:
        table.add(vmm, figures["iops"], "block", text, "IO/s", more_is_better=True)
    ios = figures["ios"] or 1
    table.add(vmm, cpu_us / ios, "block", text + ": CPU time", "us an I/O")
    table.add(vmm, exits / ios, "block", text + ": exits", "an I/O")


def add_network(table, vmm, job, figures, cpu_us, exits):
    if job == "rtt":
        table.add(vmm, figures["us"], "network", "answer to a ping", "us")
        table.add(vmm, cpu_us / figures["ios"], "network", "ping: CPU time", "us a ping")
        return
    text = {"tx": "guest to host", "rx": "host to guest"}[job]
    table.add(vmm, figures["kib_s"] / 1024, "network", text, "MiB/s", more_is_better=True)
    mib = figures["ios"] / 1024
    table.add(vmm, cpu_us / mib, "network", text + ": CPU time", "us a MiB")
    table.add(vmm, exits / mib, "network", text + ": exits", "a MiB")


JOBS = {"block": add_block, "network": add_network}


def add_once(table, section, vmm, where, figures):
    """What is said once a launch."""
    sizes = {"small": "1 vCPU, 128 MiB", "large": "8 vCPUs, 2 GiB"}
    if where == "FIRST":
        ms = figures["first_us"] / 1000
        table.add(vmm, ms, "boot", "exec to first instruction", "ms")
    elif section == "boot" and where == "USERSPACE":
        table.add(vmm, figures["host_us"] / 1000, "boot", "exec to first process", "ms")
    elif section in sizes and where == "READY":
        table.add(vmm, figures["pss_kib"], "memory", sizes[section], "KiB")
    elif where == "IDLE":
        cpu_us = figures["after_cpu_us"] - figures["before_cpu_us"]
        table.add(vmm, figures["pss_kib"] / 50, "idle", "memory of the VMM", "KiB each")
        table.add(vmm, figures["host_kib"], "idle", "memory of the host", "KiB each")
        table.add(vmm, cpu_us / 10000, "idle", "CPU time, all of them", "ms a second")


def read(text):
    table = Table()
    begun = {}
    for line in text.splitlines():
        match = re.search(r"CCR-BENCH section=(\w+) vmm=(\w+) at=(\w+) ?(.*)", line)
        if not match:
            continue
        section, vmm, where, rest = match.groups()
        words = dict(word.split("=", 1) for word in rest.split() if "=" in word)
        job = words.pop("job", None)
        figures = {name: int(value) for name, value in words.items()}
        if where == "BEGIN":
            begun = figures
        elif where == "JOB":
            cpu_us = figures["cpu_us"] - begun["cpu_us"]
            exits = figures["exits"] - begun["exits"]
            JOBS[section](table, vmm, job, figures, cpu_us, exits)
        else:
            add_once(table, section, vmm, where, figures)
    return list(table.rows.values())


def pairs(row):
    """Whom is compared with whom."""
    ours = [("ccr", peer) for peer in PEERS if row.values.get("ccr") and row.values.get(peer)]
    if row.values.get("realm") and row.values.get("bounced"):
        ours.append(("realm", "bounced"))
    return ours


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(row, vmm):
    return f"{number(row.median(vmm))} +-{100 * row.spread(vmm):.0f}%"


def show(rows):
    section = None
    for row in rows:
        if row.section != section:
            section = row.section
            print(f"\n{NAMES[section]}")
        text = f"{row.text}, {row.unit}"
        for ours, theirs in pairs(row):
            ratio = row.ratio(ours, theirs)
            print(
                f"  {text:<46} {ours:>5} {cell(row, ours):>12} {theirs:>8}"
                f" {cell(row, theirs):>12}  {'-' if ratio is None else f'{ratio:.2f}':>5}"
                f"  {row.verdict(ours, theirs)}"
            )
            text = ""
        if text and not pairs(row):
            cells = "  ".join(f"{vmm} {cell(row, vmm)}" for vmm in row.values)
            print(f"  {text:<46} {cells}")


def as_json(rows):
    return [
        {
            "section": row.section,
            "what": row.text,
            "unit": row.unit,
            "better": "more" if row.more_is_better else "less",
            "values": row.values,
            "median": {vmm: row.median(vmm) for vmm in row.values},
            "compared": [
                {
                    "ours": ours,
                    "theirs": theirs,
                    "ratio": row.ratio(ours, theirs),
                    "verdict": row.verdict(ours, theirs),
                }
                for ours, theirs in pairs(row)
            ],
        }
        for row in rows
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("logs", nargs="+", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    text = "\n".join(log.read_text(errors="replace") for log in options.logs)
    rows = read(text)
    show(rows)
    if options.json:
        options.json.write_text(json.dumps(as_json(rows), indent=1) + "\n")
    failed = re.findall(r"^not ok.*", text, re.M)
    for line in failed:
        print(line.strip())
    if failed or not rows:
        print("not everything gave figures")
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
