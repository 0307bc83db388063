# SPDX-License-Identifier: Apache-2.0
"""The shell's completion offers every command and every option that the program's help names, files
where a file is wanted, and no options where a value is."""

import subprocess
from pathlib import Path

import manpage
import source

PROGRAM = Path("build/native/ccr-run")
COMPLETION = Path("Documentation/ccr-run.bash-completion")

# Answers a line of words, of which the last is to be completed, by a line of proposals.
DRIVER = """
compopt() { :; }
complete() { :; }
. "$1"
while IFS=' ' read -ra COMP_WORDS; do
    [ "${COMP_WORDS[-1]}" != - ] || COMP_WORDS[-1]=''
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _ccr_run
    echo "${COMPREPLY[*]}"
done
"""


def ask(lines):
    """What is proposed for each of LINES; "-" stands for a last word that is empty."""
    run = subprocess.run(
        ["bash", "-c", DRIVER, "driver", COMPLETION],
        input="".join(f"{PROGRAM} {line}\n" for line in lines),
        capture_output=True,
        text=True,
        timeout=120,
    )
    answers = [set(line.split()) for line in run.stdout.split("\n")[:-1]]
    return dict(zip(lines, answers)), run.stderr


def check():
    if not PROGRAM.exists():
        raise source.Skip(f"no {PROGRAM}")
    wanted = {command: manpage.options_of(command) for command in manpage.commands()}
    takes = {
        f"{command} --{name} -": (name, argument)
        for command, options in wanted.items()
        for name, (_, argument, optional) in options.items()
        if argument and not optional
    }
    answers, said = ask(["-", *(f"{command} --" for command in wanted), *takes])
    if said or len(answers) != 1 + len(wanted) + len(takes):
        yield f"{COMPLETION}: does not run: {said}"
        return
    for missing in wanted.keys() - answers["-"]:
        yield f"{COMPLETION}: the command {missing} is not offered"
    for command, options in wanted.items():
        for name in options:
            if f"--{name}" not in answers[f"{command} --"]:
                yield f"{COMPLETION}: --{name} is not offered for {command}"
    for line, (name, argument) in takes.items():
        if any(word.startswith("--") for word in answers[line]):
            yield f"{COMPLETION}: options are offered as the value of --{name}"
        if argument == "FILE" and "README.md" not in answers[line]:
            yield f"{COMPLETION}: no files are offered as the value of --{name}"


if __name__ == "__main__":
    source.main(check)
