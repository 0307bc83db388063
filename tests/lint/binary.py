# SPDX-License-Identifier: Apache-2.0
"""The programs as built: what the loader and the CPU can do against exploits is switched on."""

import re
from pathlib import Path

import source

# On arm64 this is a link to the other.
NATIVE = Path("build/native/ccr-run")
ARM64 = Path("build/arm64/ccr-run")

# The program for tests with a guest's way in (tests/hook), and what tells it from the others.
HOOKED = Path("build/hook/ccr-run")
HOOK_MARK = b"planted hook"
WRAPPED = re.compile(r"\b__wrap_(?!main\b)\w+")  # that one is the C library's own

# Debug information says how each source was compiled.
UNIT = re.compile(r"DW_AT_producer\s*:(.*)\n(?:(?!DW_TAG).*\n)*?.*DW_AT_name.*\): (\S+)")
OURS = ("src/", "arch/", "build/")
WANTED_OPTIONS = (
    "-fPIE",
    "-fstack-protector-strong",
    "-fstack-clash-protection",
    "-ftrivial-auto-var-init=zero",
)

# It copies into memory from malloc(), whose size FORTIFY sees from level 3 on.
WITNESS = "elf_flatten"


def readelf(path, *options):
    return source.run(["readelf", "--wide", *options, str(path)])[1]


def disassembly(path, function):
    tools = ["objdump"] if path == NATIVE else ["aarch64-linux-gnu-objdump", "objdump"]
    return source.run([source.tool(*tools), "-d", f"--disassemble={function}", str(path)])[1]


def objects_of(path):
    return sorted(path.parent.rglob("*.o"))


def check_program(path):
    header = readelf(path, "--file-header")
    segments = readelf(path, "--program-headers")
    dynamic = readelf(path, "--dynamic")
    if not re.search(r"Type:\s+DYN", header):
        yield f"{path}: not a position-independent executable: link with -pie or -static-pie"
    if "GNU_RELRO" not in segments:
        yield f"{path}: no RELRO: link with -Wl,-z,relro"
    if not re.search(r"\((?:FLAGS_1|FLAGS)\).*\b(?:NOW|BIND_NOW)\b", dynamic):
        yield f"{path}: symbols are bound lazily: link with -Wl,-z,now"
    if not re.search(r"GNU_STACK(?:\s+0x\w+){5}\s+RW\s", segments):
        yield f"{path}: the stack can be executed: link with -Wl,-z,noexecstack"
    if re.search(r"LOAD(?:\s+0x\w+){5}\s+RWE\s", segments):
        yield f"{path}: a segment is both writable and executable"
    if re.search(r"\((?:RPATH|RUNPATH)\)", dynamic):
        yield f"{path}: looks for libraries in a directory of its own: RPATH"
    if "(TEXTREL)" in dynamic:
        yield f"{path}: has text relocations: compile with -fPIE"


def check_units(path):
    """How each source was compiled, as the program itself has it."""
    wanted = [*WANTED_OPTIONS, *(["-mbranch-protection=standard"] if path == ARM64 else [])]
    text = readelf(path, "--debug-dump=info", "--dwarf-depth=1")
    units = [(name, how.split()) for how, name in UNIT.findall(text) if name.startswith(OURS)]
    if not units:
        print(f"note: {path} has no debug information: how it was compiled is not checked")
    for name, how in units:
        missing = [option for option in wanted if option not in how]
        if missing:
            yield f"{path}: {name} was compiled without {' '.join(missing)}"


def check_witness(path):
    code = disassembly(path, WITNESS)
    if f"<{WITNESS}>:" not in code:
        yield f"{path}: no {WITNESS}(), by which FORTIFY is known: name another in binary.py"
        return
    if "__memcpy_chk" not in code:
        yield f"{path}: fortified below level 3: compile with -D_FORTIFY_SOURCE=3"
    if path == ARM64 and not re.search(r"\b(?:paciasp|bti)\b", code):
        yield f"{path}: no branch protection: compile with -mbranch-protection=standard"


def check_hook(path):
    if HOOK_MARK in path.read_bytes():
        yield f"{path}: has the planted hook of tests/hook"
    for name in sorted(set(WRAPPED.findall(readelf(path, "--symbols")))):
        yield f"{path}: {name}: something stands between its parts, as in tests/hook"


def check_calls(path):
    """A dynamic program imports what protects it; of a static one, ask our own object files."""
    if path == NATIVE:
        symbols = readelf(path, "--dyn-syms")
    else:
        symbols = "".join(readelf(made, "--symbols") for made in objects_of(path))
    imported = set(re.findall(r"\bUND (\w+)", symbols))
    if not imported:
        print(f"note: no object files of {path}: stack protector and FORTIFY not checked")
        return
    if "__stack_chk_fail" not in imported:
        yield f"{path}: no stack protector: compile with -fstack-protector-strong"
    if not any(name.endswith("_chk") for name in imported):
        yield f"{path}: no fortified call: compile with -O2 -D_FORTIFY_SOURCE=3"


def check_branch_protection(path):
    """Ours must be protected. The linker marks the program only if all of libc is, too."""
    wanted = re.compile(r"AArch64 feature:(?=.*\bBTI\b)(?=.*\bPAC\b)")
    for made in objects_of(path):
        if not wanted.search(readelf(made, "--notes")):
            yield f"{made}: without PAC and BTI: compile with -mbranch-protection=standard"
    if not wanted.search(readelf(path, "--notes")):
        print(f"note: {path} is not marked as protected by BTI: the static libraries are not")


def check():
    source.tool("readelf")
    missing = [str(path) for path in (NATIVE, ARM64) if not path.is_file()]
    if missing and Path("Makefile").is_file():
        source.run(["make", "-sk", "NO_DEPS=1", *missing])
    built = [path for path in (NATIVE, ARM64) if path.is_file() and not path.is_symlink()]
    if not built:
        raise source.Skip("ccr-run is not built")
    for path in built:
        yield from check_program(path)
        yield from check_units(path)
        yield from check_calls(path)
        yield from check_witness(path)
        yield from check_hook(path)
    if ARM64 in built:
        yield from check_branch_protection(ARM64)
    if HOOKED.is_file() and HOOK_MARK not in HOOKED.read_bytes():
        yield f"{HOOKED}: without {HOOK_MARK.decode()!r}, by which the others are cleared"
    for path in (NATIVE, ARM64):
        if not path.is_file():
            print(f"note: {path} is not built, so not checked")


source.main(check)
