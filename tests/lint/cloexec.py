# SPDX-License-Identifier: Apache-2.0
"""Descriptors: each is made so that no program that is started inherits it."""

import re

import rules
import source

NAMES = "|".join(rules.MAKE_DESCRIPTORS)
CALL = re.compile(rf"(?<![\w.>])({NAMES})(?=\()|\bsyscall\((?:SYS_|__NR_)({NAMES})(?=,)")
FUNCTION = re.compile(r"^\w[^;{}]*\)\n\{\n.*?^\}", re.MULTILINE | re.DOTALL)
VARIABLE = re.compile(r"\b(?:flags|mode|how)\b")
REQUEST = re.compile(r"\bKVM_(?:REALM_)?CREATE_\w+|\bKVM_GET_STATS_FD\b")


def arguments(code, start):
    """Up to the parenthesis that ends the call whose arguments begin at start."""
    depth = 0
    for position in range(start, len(code)):
        depth += {"(": 1, ")": -1}.get(code[position], 0)
        if depth < 0 or (depth == 0 and code[position] == ")"):
            return code[start:position]
    return code[start:]


def function_around(code, position):
    for match in FUNCTION.finditer(code):
        if match.start() <= position < match.end():
            return match[0]
    return ""


def is_marked(code, text, name, start):
    """Whether a call's flags, or the variable that they are in, have what makes it CLOEXEC."""
    wanted = rules.MAKE_DESCRIPTORS[name]
    given = arguments(text, start)  # with the contents of literals: the mode of fopen()
    if re.search(wanted, given):
        return True
    around = function_around(code, start)
    return any(
        re.search(rf"\b{variable}\b[^;]*=[^;]*{wanted}", around)
        for variable in VARIABLE.findall(given)
    )


def check_calls(path, code, text):
    kept = rules.KEEPS_DESCRIPTORS.get(path, ())
    used = set()
    for match in CALL.finditer(code):
        name = match[1] or match[2]
        # What begins in the first column is the function's own definition.
        if not code[code.rfind("\n", 0, match.start()) + 1].isspace():
            continue
        line = source.line_of(code, match.start())
        if name in kept:
            used.add(name)
        elif not rules.MAKE_DESCRIPTORS[name]:
            yield f"{path}:{line}: {name}() makes what programs inherit; another call does not"
        elif not is_marked(code, text, name, match.end()):
            yield f"{path}:{line}: {name}() without {rules.MAKE_DESCRIPTORS[name]}"
    for name in sorted(set(kept) - used):
        yield f"{path}: does not call {name}(); take that out of tests/lint/rules.py"


def check():
    for path in source.files(("src", "arch"), ".c"):
        text = source.without_comments(source.read(path))
        code = source.code_only(text)
        yield from check_calls(path, code, text)
        for match in REQUEST.finditer(code):
            if match[0] not in rules.KERNEL_SETS_CLOEXEC:
                line = source.line_of(code, match.start())
                yield f"{path}:{line}: {match[0]}: who sets CLOEXEC? Tell tests/lint/rules.py"


source.main(check)
