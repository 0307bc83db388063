#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""relay.py PORT LOG - this terminal, and a console that a model offers on a TCP port.

Every key goes through, Ctrl-C as well; what comes back is also written to LOG. Ends when the other
side does, and leaves the terminal as it was."""

import os
import select
import socket
import sys
import termios
import tty

STDIN, STDOUT = 0, 1


def relay(console, log):
    keys = [STDIN]
    while True:
        ready, _, _ = select.select([console, *keys], [], [])
        if console in ready:
            data = console.recv(65536)
            if not data:
                return
            log.write(data)
            log.flush()
            os.write(STDOUT, data)
        if STDIN in ready:
            data = os.read(STDIN, 4096)
            if data:
                console.sendall(data)
            else:
                # Nobody can type any more; there may still be something to read.
                keys = []


def main():
    port, log = int(sys.argv[1]), sys.argv[2]
    before = termios.tcgetattr(STDIN) if os.isatty(STDIN) else None
    try:
        if before:
            tty.setraw(STDIN)
        with socket.create_connection(("127.0.0.1", port)) as console, open(log, "wb") as file:
            relay(console, file)
    except ConnectionError as error:
        print(f"relay.py: port {port}: {error.strerror}", file=sys.stderr)
        return 1
    finally:
        if before:
            termios.tcsetattr(STDIN, termios.TCSADRAIN, before)
    return 0


sys.exit(main())
