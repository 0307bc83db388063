# SPDX-License-Identifier: Apache-2.0
"""Documentation/limits.md: each constant is where the table says, with the number that it says."""

import re
from pathlib import Path

import source

TABLE = Path("Documentation/limits.md")
DEFINE = re.compile(r"^#define[ \t]+(\w+)[ \t]+([^\n]+)$", re.MULTILINE)


def value_of(name, path):
    """The number that a header or a source defines a name as; None if it does not."""
    text = source.without_comments(source.read(path))
    defined = dict(DEFINE.findall(text))
    words = defined.get(name)
    for _ in range(8):
        if words is None:
            return None
        words = re.sub(r"\((?:size_t|uint\d+_t)\)", "", words)
        words = re.sub(r"\b(\d+|0x[0-9a-fA-F]+)[uUlL]+\b", r"\1", words)
        known = re.search(r"\b([A-Z_]\w*)\b", words)
        if not known:
            break
        words = words.replace(known[1], f"({defined.get(known[1], 'unknown')})")
    if not re.fullmatch(r"[\s\dxa-fA-F()+*/<-]+", words):
        return None
    return eval(words)  # pylint: disable=eval-used  # digits and operators only


def check():
    if not TABLE.is_file():
        raise source.Skip(f"no {TABLE}")
    rows = 0
    for number, line in enumerate(source.read(TABLE).splitlines(), 1):
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) != 6 or "`" not in cells[3]:
            continue
        rows += 1
        path = cells[4].strip("`")
        names = re.findall(r"`(\w+)`", cells[3])
        values = [int(value) for value in cells[2].split(",")]
        for name, value in zip(names, values, strict=True):
            found = value_of(name, path) if Path(path).is_file() else None
            if found != value:
                yield f"{TABLE}:{number}: {name} is {found} in {path}, not {value}"
    if rows == 0:
        yield f"{TABLE}: no rows"


source.main(check)
