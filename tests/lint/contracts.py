# SPDX-License-Identifier: Apache-2.0
"""Every function declared in include/ccr has a contract, and contracts are about what they head.

A contract is a kernel-doc comment directly above the declaration. Neighbours without a blank line
between them share one: "a(), b() - ..." above a's and b's prototypes, or x_done() below x_init().
"""

import re
from typing import NamedTuple

import source


class Item(NamedTuple):
    """A comment, a preprocessor line or a declaration at file scope."""

    kind: str  # "contract", "comment", "directive", "type", "function", "object", "inline"
    name: str  # "struct x" for a type
    text: str  # without literals and inner comments, unless it is a comment
    line: int
    adjacent: bool  # no blank line between it and what is above


def declaration_end(code, start):
    """Position behind the declaration that starts there."""
    depth = 0
    has_parameters = False
    for at in range(start, len(code)):
        char = code[at]
        if char in "([{":
            if char == "{" and depth == 0:
                has_parameters = code[start:at].rstrip().endswith(")")
            depth += 1
        elif char in ")]}":
            depth -= 1
            if char == "}" and depth == 0 and has_parameters:
                return at + 1
        elif char == ";" and depth == 0:
            return at + 1
    return len(code)


def classify(text):
    """(kind, name) of a declaration."""
    text = re.sub(r"__attribute__\s*\(\(.*?\)\)(?!\s*\))", " ", text, flags=re.DOTALL)
    text = " ".join(text.split())
    head = text.split("{")[0]
    match = re.match(r"(?:typedef )?((?:struct|union|enum) \w+) ?(?:\{|;)", text)
    if match:
        return "type", match[1]
    called = re.search(r"(\w+) ?\(", head)
    if text.startswith("typedef"):
        return "type", called[1] if called else re.search(r"(\w+) ?;$", text)[1]
    if called:
        return ("function" if text.endswith(";") else "inline"), called[1]
    last = re.search(r"(\w+)(?: ?\[.*\])* ?(?:=.*)?;$", text)
    return "object", last[1] if last else "?"


def items(text):
    code = source.code_only(text)
    at = end = 0
    while True:
        match = re.compile(r"\s*").match(text, at)
        start = match.end()
        if start == len(text):
            return
        if text.startswith("/*", start):
            at = text.index("*/", start) + 2
            comment = text[start:at]
            kind, name = ("contract" if comment.startswith("/**") else "comment"), ""
            body = comment
        elif text[start] == "#":
            at = re.compile(r"(?:\\\n|[^\n])*").match(text, start).end()
            body = text[start:at]
            define = re.match(r"#\s*define\s+(\w+)", body)
            kind, name = "directive", define[1] if define else ""
        else:
            at = declaration_end(code, start)
            body = code[start:at]
            kind, name = classify(body)
        yield Item(kind, name, body, source.line_of(text, start), text.count("\n", end, start) < 2)
        end = at


def subject(comment):
    """Names that a contract's first line is about."""
    first = re.sub(r"^/\*\*\s*(?:\*\s*)?|\s*\*/$", "", comment).split("\n")[0]
    match = re.match(r"((?:(?:struct|union|enum) )?\w+(?:\(\))?(?:, \w+(?:\(\))?)*) - \S", first)
    return match[1].split(", ") if match else None


def described(comment):
    """Names behind "@" at the start of a line: parameters or members."""
    for match in re.finditer(r"^\s*\* ((?:@\w+(?:, )?)+):", comment, re.MULTILINE):
        yield from re.findall(r"@(\w+)", match[1])


def check_contract(path, contract, group):
    """A contract and the declarations that it is directly above."""
    here = f"{path}:{contract.line}"
    names = subject(contract.text)
    if names is None:
        yield f'{here}: a contract begins with "name() - what it does"'
        return
    if not group:
        yield f"{here}: the contract of {names[0]} is above nothing"
        return
    is_function = group[0].kind in ("function", "inline")
    wanted = group[0].name + ("()" if is_function else "")
    if names[0] != wanted:
        yield f"{here}: the contract of {names[0]} is above {wanted}"
        return
    declared = {item.name + ("()" if is_function else "") for item in group}
    for name in names[1:]:
        if name not in declared:
            yield f"{here}: {name} is not declared below its contract"
    words = {word for item in group for word in re.findall(r"\w+", item.text)}
    for name in described(contract.text):
        if name not in words:
            yield f"{here}: {names[0]} has no @{name}"


def check_header(path, must_have):
    contract, group = None, []
    for item in [*items(source.read(path)), Item("end", "", "", 0, False)]:
        belongs = item.adjacent and (contract or group)
        if belongs and item.kind in ("function", "inline", "type", "object", "directive"):
            # A type is a group of its own: what is below it needs a contract of its own.
            same = not group or (item.kind == group[0].kind and item.kind != "type")
            if same and (item.name or item.kind != "directive"):
                group.append(item)
                continue
        if contract:
            yield from check_contract(path, contract, group)
        contract, group = None, []
        if item.kind == "contract":
            contract = item
        elif item.kind == "function" and must_have:
            yield f"{path}:{item.line}: {item.name}() has no contract directly above it"
            group = [item]


def check():
    for path in source.files(("include/ccr",), ".h"):
        yield from check_header(path, must_have=True)
    for path in source.files(("src", "arch", "include/uapi"), ".h"):
        yield from check_header(path, must_have=False)


if __name__ == "__main__":
    source.main(check)
