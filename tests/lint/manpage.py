# SPDX-License-Identifier: Apache-2.0
"""What the documents say can be found: the manual page and README name exactly the options that
the program's help names, exit statuses are those of the code, formatting is clean, links lead
somewhere.

A subsection of the page's OPTIONS ends in the commands that know its options: "(run, measure)".
"""

import re
import shutil
import subprocess
from pathlib import Path

import source

PROGRAM = Path("build/native/ccr-run")
PAGE = Path("Documentation/ccr-run.1")
README = Path("README.md")
COMPLETION = Path("Documentation/ccr-run.bash-completion")
WIDTH = 120

HELP_OPTION = re.compile(r"^  (?:(-\w),|   ) --([a-z0-9-]+)(?:(\[?)[ =]([A-Z]+))?")
PAGE_OPTION = re.compile(r"^\.It (?:Fl (\w) , )?Fl -([a-z0-9-]+)(.*)")


def help_of(*command):
    run = subprocess.run(
        [PROGRAM.resolve(), *command, "--help"], capture_output=True, text=True, timeout=10
    )
    return run.stdout


def commands():
    listing = re.search(r"^Commands:\n(.*?)\n\n", help_of(), re.MULTILINE | re.DOTALL)
    return re.findall(r"^  ([a-z]+) ", listing[1], re.MULTILINE) if listing else []


def options_of(command):
    """{long name: (letter, argument, whether that may be missing)}"""
    found = {}
    for line in help_of(command).splitlines():
        match = HELP_OPTION.match(line)
        if match:
            letter, name, optional, argument = match.groups()
            found[name] = (letter or "", argument or "", bool(optional))
    return found


def page_options(text):
    """(line, long name, (letter, argument, whether that may be missing), commands)"""
    section, known_by = "", []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(".Sh "):
            section = line[4:]
        elif line.startswith(".Ss "):
            last = re.search(r"\(([a-z, ]+)\)$", line)
            known_by = last[1].split(", ") if last else []
        match = PAGE_OPTION.match(line)
        if match and section == "OPTIONS":
            letter, name, rest = match.groups()
            argument = re.search(r"\bAr ([A-Z]+)", rest)
            flag = f"-{letter}" if letter else ""
            meaning = (flag, argument[1] if argument else "", "Oo" in rest)
            yield number, name, meaning, known_by


def check_page(wanted):
    """wanted: {command: options_of(command)}"""
    text = source.read(PAGE)
    seen = {command: set() for command in wanted}
    for line, name, meaning, known_by in page_options(text):
        here = f"{PAGE}:{line}: --{name}"
        if not known_by:
            yield f"{here}: its subsection does not say which commands know it"
        for command in known_by:
            if command not in wanted:
                yield f"{here}: there is no command {command}"
            elif name not in wanted[command]:
                yield f"{here}: {command} does not know it"
            else:
                seen[command].add(name)
                if wanted[command][name] != meaning:
                    yield f"{here}: `{command} --help` has another letter or argument"
    for command, options in wanted.items():
        if not re.search(rf"^\.It Cm {command}$", text, re.MULTILINE):
            yield f"{PAGE}: the command {command} is missing"
        for name in sorted(options.keys() - seen[command]):
            yield f"{PAGE}: --{name} of {command} is missing"


def check_statuses():
    header = source.without_comments(source.read("include/ccr/cli.h"))
    listed = re.search(r"enum cli_status \{(.*?)\}", header, re.DOTALL)
    coded = set(re.findall(r"=\s*(\d+)", listed[1])) if listed else set()
    section = re.search(r"^\.Sh EXIT STATUS\n(.*?)^\.Sh ", source.read(PAGE), re.M | re.S)
    told = set(re.findall(r"^\.It (\d+)$", section[1], re.MULTILINE)) if section else set()
    for status in sorted(coded ^ told, key=int):
        where = "the code" if status in coded else "the page"
        yield f"{PAGE}: exit status {status} is only in {where}"


def check_names(path, wanted):
    """Options named elsewhere exist. In README, all of them are named."""
    text = source.read(path)
    known = {name for options in wanted.values() for name in options} | {"help", "version"}
    named = set(re.findall(r"(?<![\w-])--([a-z0-9][a-z0-9-]*)", text))
    for name in sorted(named - known):
        yield f"{path}: there is no option --{name}"
    if path == README:
        letters = {options[n][0]: n for options in wanted.values() for n in options}
        named |= {letters[letter] for letter in re.findall(r"`(-\w)`", text) if letter in letters}
        for name in sorted(known - named - {"version"}):
            yield f"{path}: --{name} is missing"


def check_format():
    tools = (
        ("man", "--warnings", "--encoding=UTF-8", "-l", str(PAGE)),
        ("groff", "-mandoc", "-Tutf8", "-ww", str(PAGE)),
    )
    for command in tools:
        if shutil.which(command[0]):
            run = subprocess.run(command, capture_output=True, text=True, timeout=60)
            yield from run.stderr.splitlines()


def check_text(path):
    text = source.read(path)
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > WIDTH:
            yield f"{path}:{number}: longer than {WIDTH} columns"
    for match in re.finditer(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in match[1] and not (Path(path).parent / match[1]).exists():
            line = source.line_of(text, match.start())
            yield f"{path}:{line}: the link to {match[1]} leads nowhere"


def check_goals():
    """`make x` of a document is a goal that `make help` lists."""
    goals = set(re.findall(r"'make ([a-z-]+)", source.read("Makefile")))
    goals |= {"help", "distclean"}
    for path in documents():
        for match in re.finditer(r"(?:`|^    )make ([a-z-]+)", source.read(path), re.MULTILINE):
            if match[1] not in goals:
                yield f"{path}: there is no goal {match[1]}"


def documents():
    return ["README.md", *source.files(("Documentation",), ".md")]


def check():
    yield from check_statuses()
    yield from check_format()
    yield from check_goals()
    for path in (*documents(), str(PAGE), str(COMPLETION)):
        yield from check_text(path)
    if not PROGRAM.exists():
        print(f"note: no {PROGRAM}: options are not compared")
        return
    wanted = {command: options_of(command) for command in commands()}
    if not wanted or not all(wanted.values()):
        yield f"{PROGRAM}: its help has changed its form: adapt tests/lint/manpage.py"
        return
    yield from check_page(wanted)
    yield from check_names(README, wanted)
    yield from check_names(COMPLETION, wanted)


if __name__ == "__main__":
    source.main(check)
