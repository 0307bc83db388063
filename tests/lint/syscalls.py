# SPDX-License-Identifier: Apache-2.0
"""System calls: what a function calls is in the comment above it, and nothing else is.

The comments are what the filters are made of (src/sandbox/syscalls.awk). A call that every thread
may make needs none; neither do files that only work before a process is confined.
"""

import re

import rules
import source

COMMENT = re.compile(r"syscalls\(([a-z ]*)\):((?:[^\n*]|\*(?!/)|\n \*(?!/| syscalls)(?!\n))*)")
FUNCTION = re.compile(
    r"^(?:[A-Za-z_][\w *\n]*?[ *])?(\w+)\((?:[^;{}]*)\)\n\{\n(.*?)^\}", re.MULTILINE | re.DOTALL
)
CALL = re.compile(r"(?<![\w.>])(" + "|".join(rules.SYSTEM_CALLS) + r")\s*\(")
REQUEST = re.compile(r"\b((?:KVM_[A-Z]|TIOC|TC[GS]|BLK)\w+|[A-Z]\w*)\b")


def lists_in(comment):
    """(threads, words) of each list of a comment."""
    for match in COMMENT.finditer(comment):
        words = re.sub(r"\n \*", " ", match[2]).split()
        yield match[1].split(), words


def comment_above(text, position):
    """All comments that touch each other and what is at position."""
    start = position
    while True:
        before = text[:start]
        match = re.search(r"/\*(?:(?!\*/).)*\*/\n\Z", before, re.DOTALL)
        if not match:
            return text[start:position]
        start = match.start()


def for_all(paths):
    words = set()
    for path in paths:
        for threads, names in lists_in(source.read(path)):
            if "all" in threads:
                words.update(names)
    return words


def needed(body):
    """(function, system call, values to choose from where it matters) of each call in a body."""
    for match in CALL.finditer(body):
        name = rules.SYSTEM_CALLS[match[1]]
        if name not in rules.CALLS_WITH_VALUES:
            yield match[1], name, None
            continue
        end = body.find(";", match.end())
        values = {value[1] for value in REQUEST.finditer(body[match.end() : end])}
        yield match[1], name, values


def check_function(path, line, name, body, words, everybody):
    code = source.code_only(source.read(path))
    own = {match[1] for match in FUNCTION.finditer(code)}
    used = set()
    for call, system, values in needed(body):
        if call in own and call not in ("ioctl_number", "kvm_sys_ioctl"):
            continue
        mine = {word for word in words if word.split(":")[0] == system}
        if values is not None:
            fitting = {word for word in mine if word.split(":")[1] in values}
            if not fitting and (path, name) not in rules.PASSES_REQUESTS:
                fitting = {word for word in mine if word.split(":")[1] in code}
            mine = fitting
        used |= mine
        optional = rules.DONE_BEFORE | {word.split(":")[0] for word in everybody}
        if not mine and system not in optional and (path, name) not in rules.PASSES_REQUESTS:
            yield f"{path}:{line}: {name}() calls {call}(): name {system} in a syscalls() comment"
    for word in sorted(set(words) - used):
        if (path, name) not in rules.CALLS_WITHIN and not re.search(
            rf"\b{word.split(':')[0]}\b", body
        ):
            yield f"{path}:{line}: {name}() does not call {word}, which its comment names"


def check_file(path, everybody, known):
    text = source.read(path)
    code = source.code_only(text)
    heads = {}
    for match in FUNCTION.finditer(code):
        line = source.line_of(text, match.start(1))
        comment = comment_above(text, match.start())
        words = []
        for threads, names in lists_in(comment):
            if threads != ["all"]:
                words += names
        heads[match.start()] = comment
        yield from check_function(path, line, match[1], match[2], words, everybody)
    for threads, words in lists_in(text):
        for word in words:
            if word.split(":")[0] not in known:
                yield f"{path}: {word}: neither arm64 nor x86-64 has this system call"
    beside = sum(len(list(lists_in(comment))) for comment in heads.values())
    if beside != len(list(lists_in(text))):
        yield f"{path}: a syscalls() comment that is not directly above a function"


def known_calls():
    names = set()
    for path in rules.SYSTEM_CALL_NUMBERS:
        try:
            names.update(re.findall(r"#define __NR_(\w+)", source.read(path)))
        except OSError:
            continue
    if not names:
        raise source.Skip("no kernel headers")
    return names | {"newfstatat", "lseek", "fcntl", "mmap", "ftruncate", "fadvise64"}


def check():
    known = known_calls()
    paths = source.files(("src", "arch"), ".c")
    everybody = for_all(paths)
    for path in paths:
        if not path.startswith(rules.BEFORE_CONFINEMENT):
            yield from check_file(path, everybody, known)


source.main(check)
