#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`make run` as a person sees it: a terminal, a shell in the realm, and the two ways out.

Reports in TAP. The terminal is a pseudo-terminal of our own, so what is tested includes that it is
left as it was found, and that no key is taken by the emulator on the way."""

import os
import pty
import select
import subprocess
import sys
import termios
import time

COMMAND = ["tests/harness/run.sh"]
LIMIT_S = 180


class Session:
    """One `make run`; output is copied to stderr for the log."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.deadline = time.monotonic() + LIMIT_S
        self.process = subprocess.Popen(
            COMMAND,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            env={**os.environ, "NO_DEPS": "1"},
        )

    def read(self):
        if time.monotonic() > self.deadline:
            raise TimeoutError("no answer in time")
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


def in_shell(leave):
    session = Session()
    try:
        session.expect("CCR-GUEST-READY")
        session.expect("# ")
        # The answer must not be what the terminal echoes.
        session.type("echo $((6 * 7)) $(nproc) answer\r")
        session.expect("42 2 answer")
        leave(session)
        if status := session.end():
            return f"exit status {status}"
        if not session.terminal_is_as_before():
            return "the terminal is not as it was"
    except (EOFError, TimeoutError) as error:
        return str(error)
    finally:
        session.close()
    return None


def with_interrupt_then_poweroff(session):
    # Ctrl-C is the guest's: it ends the sleep and nothing else.
    session.type("sleep 1000; echo interrupted $?\r")
    time.sleep(2)
    session.type("\x03")
    session.type("echo still $((1 + 1))\r")
    session.expect("still 2")
    session.type("poweroff\r")


def with_escape(session):
    session.type("\x01x")


def main():
    tests = {
        "shell_and_poweroff": with_interrupt_then_poweroff,
        "shell_and_escape": with_escape,
    }
    print(f"1..{len(tests)}")
    for nr, (name, leave) in enumerate(tests.items(), 1):
        why = in_shell(leave)
        print(f"not ok {nr} - {name}: {why}" if why else f"ok {nr} - {name}", flush=True)


main()
