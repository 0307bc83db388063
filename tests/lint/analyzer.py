# SPDX-License-Identifier: Apache-2.0
"""gcc -fanalyzer: paths through a source on which memory or a descriptor is misused or lost."""

import re
from concurrent.futures import ThreadPoolExecutor

import rules
import source

FINDING = re.compile(r"^(\S+?):(\d+):\d+: warning: (.*) \[(-Wanalyzer-[\w-]+)\]$", re.MULTILINE)


def findings(path):
    """(line, what, name of the warning) of each."""
    gcc = source.tool("gcc-12", "gcc")
    # Optimised, a memory that is freed twice and not otherwise used would be gone before.
    command = [gcc, *source.flags(path), "-O0", "-fanalyzer", "-fdiagnostics-path-format=none"]
    status, output = source.cached_run(
        "analyzer", path, [*command, "-c", "-o", "/dev/null", path]
    )
    if status:
        return [(0, f"gcc ended with status {status}", "")]
    return [(match[2], match[3], match[4]) for match in FINDING.finditer(output)]


def check():
    paths = source.files(("src", "arch"), ".c")
    used = set()
    with ThreadPoolExecutor(max_workers=2) as pool:
        found = list(zip(paths, pool.map(findings, paths)))
    for path, lines in found:
        for line, what, name in lines:
            if (path, name) in rules.ANALYZER_IS_WRONG:
                used.add((path, name))
            else:
                yield f"{path}:{line}: {what} [{name}]"
    for path, name in sorted(set(rules.ANALYZER_IS_WRONG) - used):
        yield f"{path}: {name} is not reported any more; take it out of tests/lint/rules.py"


source.main(check)
