# SPDX-License-Identifier: Apache-2.0
"""What only a few files may do: see guest memory, open things, end the program."""

import re

import rules
import source

OPENING = re.compile(r"(?<![\w.>])(" + "|".join(rules.HOST_RESOURCES) + r")\s*\(")


def check_resources(path, code):
    allowed = set(rules.HOST_RESOURCE_USERS.get(path, "").split())
    used = set()
    for match in OPENING.finditer(code):
        # What begins in the first column is the function's own definition.
        if not code[code.rfind("\n", 0, match.start()) + 1].isspace():
            continue
        used.add(match[1])
        if match[1] not in allowed:
            line = source.line_of(code, match.start())
            yield f"{path}:{line}: {match[1]}() opens a host resource; this file may not"
    for name in sorted(allowed - used):
        yield f"{path}: does not call {name}(); take that out of tests/lint/rules.py"


def check():
    for path in source.files(("src", "arch", "include"), ".c", ".h"):
        code = source.code_only(source.read(path))
        for denial in rules.DENIALS:
            if path.startswith(denial.users) or not path.startswith(denial.within):
                continue
            for match in denial.pattern.finditer(code):
                line = source.line_of(code, match.start())
                yield f"{path}:{line}: {' '.join(match[0].split())}: {denial.what}"
        # Headers declare these functions; only calls count.
        if path.endswith(".c"):
            yield from check_resources(path, code)


source.main(check)
