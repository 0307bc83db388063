#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`make run` as a person sees it: a terminal, a shell in the realm, and the two ways out.

Reports in TAP. The terminal is a pseudo-terminal of our own, so what is tested includes that it is
left as it was found, and that no key is taken by the emulator on the way."""

import sys
import time
from functools import partial

from session import Session, run_tests

COMMAND = ["tests/harness/run.sh"]
LIMIT_S = 180


def in_shell(leave):
    session = Session(COMMAND, LIMIT_S)
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
    leave = {
        "shell_and_poweroff": with_interrupt_then_poweroff,
        "shell_and_escape": with_escape,
    }
    return run_tests({name: partial(in_shell, function) for name, function in leave.items()})


sys.exit(main())
