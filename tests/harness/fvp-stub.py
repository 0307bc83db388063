#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stands in for Arm's FVP in tests: says a version, records what it was started with, checks that
the files are there and what they must be, and plays a host's console from a file.

STUB_VERSION  what --version says
STUB_RECORD   file for the arguments, one a line
STUB_CONSOLE  file with what the host prints; a line @TOKEN@ becomes what the command STUB_TOKEN
              prints for the challenge that is on the kernel's command line ($CHALLENGE)

With bp.pl011_uart0.out_file=- the console is standard output. Else it is a TCP port, named as the
model names it, and what is typed there is printed back until "poweroff"."""

import os
import re
import socket
import subprocess
import sys

BANNER = """
Fast Models [{}.11 (Mar 13 2024)]
Copyright 2000-2024 ARM Limited.
All Rights Reserved."""


def parameters(arguments):
    """{name: value} of -C, and [(file, address)] of --data; anything else is an error."""
    values, data = {}, []
    pairs = iter(arguments)
    for option in pairs:
        value = next(pairs)
        if option == "-C":
            name, _, value = value.partition("=")
            if name in values:
                sys.exit(f"stub: {name} is given twice")
            values[name] = value
        elif option == "--data":
            file, _, address = value.removeprefix("cluster0.cpu0=").rpartition("@")
            data.append((file, int(address, 16)))
        else:
            sys.exit(f"stub: unknown option {option}")
    return values, data


def bootargs(values):
    """The kernel's command line: of the device tree in the FIP, or of the disk's boot loader."""
    disk = values.get("bp.virtioblockdevice.image_path")
    if disk:
        entry = ["mcopy", "-i", f"{disk}@@1M", "::loader/entries/ccr-run.conf", "-"]
        text = subprocess.run(entry, capture_output=True, text=True, check=True).stdout
        return re.search("^options (.*)$", text, re.MULTILINE)[1]
    dtb = values["bp.flashloader0.fname"] + ".seen.dtb"
    unpack = ["fiptool", "unpack", "--force", "--hw-config", dtb, values["bp.flashloader0.fname"]]
    subprocess.run(unpack, capture_output=True, check=True)
    get = ["fdtget", dtb, "/chosen", "bootargs"]
    return subprocess.run(get, capture_output=True, text=True, check=True).stdout.strip()


def console(words):
    """What the host prints."""
    with open(os.environ["STUB_CONSOLE"], encoding="ascii") as file:
        text = file.read()
    challenge = re.search("ccr.challenge=([0-9a-f]*)", words)
    if challenge and "@TOKEN@" in text:
        token = subprocess.run(
            os.environ["STUB_TOKEN"],
            shell=True,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "CHALLENGE": challenge[1]},
        ).stdout
        text = text.replace("@TOKEN@\n", token)
    return text.replace("\n", "\r\n")


def serve(text):
    """The console on a port, as the model's raw terminals are."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        print(f"terminal_0: Listening for serial connection on port {port}", flush=True)
        connection, _ = server.accept()
        with connection:
            connection.sendall(text.encode())
            seen = b""
            while b"poweroff\r" not in seen:
                data = connection.recv(4096)
                if not data:
                    return
                seen += data
                connection.sendall(data)


def main():
    if sys.argv[1:] == ["--version"]:
        print(BANNER.format(os.environ.get("STUB_VERSION", "11.27")))
        return
    values, data = parameters(sys.argv[1:])
    with open(os.environ["STUB_RECORD"], "w", encoding="ascii") as file:
        for name, value in values.items():
            print(f"{name}={value}", file=file)
        for path, address in data:
            print(f"data {path} {address:#x} {os.path.getsize(path)}", file=file)
        print(f"bootargs {bootargs(values)}", file=file)
    for name in "bp.secureflashloader.fname", "bp.flashloader0.fname":
        os.stat(values[name])
    text = console(bootargs(values))
    if values.get("bp.pl011_uart0.out_file") == "-":
        sys.stdout.write(text)
    else:
        serve(text)


main()
