# SPDX-License-Identifier: Apache-2.0
"""Documentation/system-calls.md: its table is what the filters are made of.

    filters.py PROJECT -u    writes the table anew
"""

import re
import sys
from pathlib import Path

import source

AWK = Path("src/sandbox/syscalls.awk")
TEXT = Path("Documentation/system-calls.md")
BEGIN, END = "<!-- made by tests/lint/filters.py -u -->\n", "<!-- until here -->\n"

RULE = re.compile(r"^\t\{__NR_(\w+), \w+, (?:0|\(uint32_t\)(\w+)), ([^}]*)\},$", re.MULTILINE)
# What x86-64's C library uses instead, for the tests there.
TWIN = re.compile(r'twin\["\w+"\] = "(\w+)"')
KINDS = ("loop", "vcpu", "worker", "build", "broker", "share")


def rules_of(paths):
    """{(call, value): kinds of threads} from the comments beside the code, as awk reads them."""
    status, made = source.run(["awk", "-f", str(AWK), *paths])
    if status:
        raise RuntimeError(made)
    twins = set(TWIN.findall(source.read(AWK)))
    return {
        (call, value): {kind.lower() for kind in re.findall(r"SANDBOX_(\w+)", kinds)}
        for call, value, kinds in RULE.findall(made)
        if call not in twins
    }


def row(name, kinds):
    return f"| {name} | " + " | ".join("x" if kind in kinds else "" for kind in KINDS) + " |\n"


def table_of(allowed):
    """A row for each call, and one for each value of an argument; a row of sums at the end."""
    text = f"| | {' | '.join(KINDS)} |\n|---" + "|:-:" * len(KINDS) + "|\n"
    calls = {}
    for (call, value), kinds in allowed.items():
        calls.setdefault(call, {})[value] = kinds
    for call in sorted(calls):
        for value, kinds in sorted(calls[call].items()):
            text += row(f"`{call}`" + (f" `{value}`" if value else ""), kinds)
    sums = [
        sum(any(kind in kinds for kinds in values.values()) for values in calls.values())
        for kind in KINDS
    ]
    return text + f"| system calls | {' | '.join(map(str, sums))} |\n"


def check():
    if not TEXT.is_file():
        raise source.Skip(f"no {TEXT}")
    text = source.read(TEXT)
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        yield f"{TEXT}: no table between the marks"
        return
    table = table_of(rules_of(source.files(("src", "arch"), ".c")))
    made = f"{before}{begin}\n{table}\n{end}{after}"
    if "-u" in sys.argv[2:]:
        TEXT.write_text(made, encoding="utf-8")
    elif made != text:
        yield f"{TEXT}: is not what the comments say: python3 tests/lint/filters.py . -u"


source.main(check)
