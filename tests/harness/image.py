#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The host image as `make image FORMAT=disk` makes it: found and booted by UEFI firmware, it greets
on its console, and what it says to type works. Reports in TAP."""

import subprocess
import sys

from session import Session, run_tests

IMAGE = "build/log/image"
BOOT = ["tests/harness/qemu.sh", "-i", "-d", f"{IMAGE}/disk.img", "image-uefi"]
LIMIT_S = 600


def make():
    command = ["tests/harness/mkimage.sh", "disk", IMAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    sys.stderr.write(done.stdout + done.stderr)
    return None if done.returncode == 0 else f"exit status {done.returncode}"


def has_what_is_promised():
    """The disk's kernel and initramfs are the ones beside it, byte for byte."""
    sums = dict(
        reversed(line.split())
        for line in open(f"{IMAGE}/SHA256SUMS", encoding="ascii").read().splitlines()
    )
    for name in "Image", "initramfs.cpio":
        command = f"mcopy -i {IMAGE}/disk.img@@1M ::{name} - | sha256sum"
        found = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        if found.stdout.split()[0] != sums[name]:
            return f"{name} on the disk is another"
    return None


def boots_greets_and_works():
    session = Session(BOOT, LIMIT_S)
    try:
        session.expect("What to type")
        session.expect("demo shell")
        session.expect("host# ")
        session.type("ccr-run run -q --realm=emulated --no-pci -k rsi.img -m 64M | grep done\r")
        session.expect("failed=0")
        # Keys typed before the prompt are the guest's.
        session.expect("host# ")
        session.type("ls /sys/block\r")
        session.expect("vda")
        session.type("poweroff\r")
        if status := session.end():
            return f"exit status {status}"
        return None
    finally:
        session.close()


sys.exit(
    run_tests(
        {
            "image_is_made": make,
            "image_disk_has_the_files": has_what_is_promised,
            "image_boots_under_uefi": boots_greets_and_works,
        }
    )
)
