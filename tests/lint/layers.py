# SPDX-License-Identifier: Apache-2.0
"""Modules include what is below them, never what is above."""

import re

import rules
import source

RANK = {module: rank for rank, module in enumerate(rules.MODULES)}
HEADER_MODULE = {
    f"include/ccr/{name}.h": module for module, names in rules.HEADERS.items() for name in names
}


def module_of(path):
    if path.startswith("include/uapi/"):
        return "kvm"
    if path.startswith("include/"):
        return HEADER_MODULE.get(path)
    prefix = max((p for p in rules.SOURCES if path.startswith(p)), key=len, default=None)
    return rules.SOURCES.get(prefix)


def check_layered(path):
    module = module_of(path)
    if module is None:
        yield f"{path}: belongs to no module: add it to a table of tests/lint/rules.py"
        return
    last_quoted = False
    for line, name, quoted in source.includes(path):
        here = f"{path}:{line}"
        if not quoted:
            if last_quoted:
                yield f"{here}: <{name}> comes after the project's own headers"
            if re.match(r"ccr/|uapi/", name):
                yield f'{here}: <{name}> is the project\'s own: write "{name}"'
            continue
        last_quoted = True
        header = source.resolve(path, name)
        if header is None:
            yield f'{here}: there is no "{name}"'
            continue
        if not header.startswith("include/"):
            if source.Path(header).parent != source.Path(path).parent:
                yield f'{here}: "{name}" is private to another directory'
            continue
        owner = module_of(header)
        if owner is None:
            yield f'{here}: "{name}" belongs to no module (tests/lint/rules.py)'
        elif RANK[owner] > RANK[module]:
            yield f'{here}: {module} must not include "{name}" of {owner}, which comes after it'


def check():
    for path in source.files(("src", "arch", "include"), ".c", ".h"):
        yield from check_layered(path)
    for path in source.files(source.CODE_DIRS, ".c", ".h", ".S"):
        if path.startswith(rules.KVM_HEADER_USERS):
            continue
        for line, name, _ in source.includes(path):
            if rules.KVM_HEADERS.fullmatch(name):
                yield f"{path}:{line}: only src/kvm and arch/arm64/kvm include {name}"


source.main(check)
