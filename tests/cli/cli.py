# SPDX-License-Identifier: Apache-2.0
"""What the tests of the command line share: running the program as a user does, and TAP."""

import os
import struct
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PROGRAM = TOP / "build/native/ccr-run"
MINT = TOP / "build/cli/mint"


class Result:
    def __init__(self, run):
        self.status = run.returncode
        self.out = run.stdout.decode()
        self.err = run.stderr.decode()

    def must(self, status, words=""):
        """It ended with this status and said these words; an error only if it failed."""
        failed = "error:" in self.err
        if self.status != status or words not in self.err or failed != (status != 0):
            raise AssertionError(f"{self.status}, wanted {status} and '{words}': {self.err}")
        return self


def run(*args, stdin=b"", cwd=None, env=None):
    return Result(
        subprocess.run(
            [PROGRAM, *map(str, args)],
            input=stdin,
            capture_output=True,
            timeout=300,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            check=False,
        )
    )


def equal(found, wanted):
    if found != wanted:
        raise AssertionError(f"found  {found}\nwanted {wanted}")


def pattern(a, b, size):
    """Bytes that are the same on every machine, and no two pages of which are"""
    words = ((a * i + b) % 0xFFFFFFFF for i in range(size // 4 + 1))
    return b"".join(struct.pack("<I", word) for word in words)[:size]


def image(size, text_offset=0, image_size=None):
    """An arm64 kernel image, as far as its header goes"""
    header = struct.pack(
        "<IIQQQ24x4sI", 0x14000010, 0, text_offset, image_size or size, 0xA, b"ARMd", 0
    )
    return header + pattern(2654435761, 12345, size - len(header))


def main(tests):
    """Run functions that take a scratch directory; a docstring is a test's name"""
    os.chdir(TOP)
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for number, test in enumerate(tests, 1):
        with tempfile.TemporaryDirectory() as scratch:
            try:
                test(Path(scratch))
                verdict = "ok"
            except Exception:  # pylint: disable=broad-except
                verdict = "not ok"
                failed += 1
                for line in traceback.format_exc().splitlines():
                    print(f"# {line}")
        print(f"{verdict} {number} - {test.__doc__ or test.__name__}", flush=True)
    sys.exit(1 if failed else 0)
