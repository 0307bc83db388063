# SPDX-License-Identifier: Apache-2.0
"""A program on a terminal, as a person has it: what is typed, and what is to be seen."""

import os
import pty
import select
import subprocess
import sys
import termios
import time


class Session:
    """A command on a pseudo-terminal; output is copied to stderr for the log."""

    def __init__(self, command, limit_s):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.limit_s = limit_s
        self.deadline = time.monotonic() + limit_s
        self.process = subprocess.Popen(
            command,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            env={**os.environ, "NO_DEPS": "1"},
        )

    def read(self):
        if time.monotonic() > self.deadline:
            raise TimeoutError(f"no answer in {self.limit_s} s")
        if select.select([self.master], [], [], 0.5)[0]:
            data = os.read(self.master, 4096)
            sys.stderr.buffer.write(data)
            self.seen += data
        elif self.process.poll() is not None:
            raise EOFError("ended early")

    def expect(self, text):
        while text.encode() not in self.seen:
            self.read()
        self.seen = self.seen.partition(text.encode())[2]

    def type(self, text):
        # One key at a time, as fast as a hasty typist: a UART has a FIFO, not a mailbox.
        for key in text:
            os.write(self.master, key.encode())
            time.sleep(0.02)

    def end(self):
        """The exit status, once everything printed has been read."""
        while self.process.poll() is None:
            try:
                self.read()
            except EOFError:
                break
        return self.process.wait(timeout=5)

    def close(self):
        if self.process.poll() is None:
            # A session of its own: the emulator below goes with it.
            os.killpg(self.process.pid, 15)
            self.process.wait(timeout=10)
        os.close(self.master)
        os.close(self.slave)

    def terminal_is_as_before(self):
        return termios.tcgetattr(self.slave) == self.before


def run_tests(tests):
    """TAP: {name: function that returns None, or what was wrong}; returns the exit status."""
    failed = 0
    print(f"1..{len(tests)}", flush=True)
    for nr, (name, test) in enumerate(tests.items(), 1):
        try:
            why = test()
        except (EOFError, TimeoutError) as error:
            why = str(error)
        failed += bool(why)
        # What was on the terminal need not have ended its line.
        print(file=sys.stderr, flush=True)
        print(f"not ok {nr} - {name}: {why}" if why else f"ok {nr} - {name}", flush=True)
    return 1 if failed else 0
