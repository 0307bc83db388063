#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""HOST=fvp, as far as it goes without the model: its command line, what it is given, what is
refused, and a whole `make run` with a stub in the model's place (fvp-stub.py). Reports in TAP."""

import os
import re
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from session import Session, run_tests

STUB = os.path.abspath("tests/harness/fvp-stub.py")
GOLDEN = "tests/harness/fvp.golden"
KERNEL = os.path.abspath("build/kernel/Image")
INITRD = "build/guest/initrd.gz"
NAME = "fvp-test"
TREE = '/dts-v1/; / { chosen { stdout-path = "serial0"; }; };'
DEMO = """CCR-HOST-READY uptime=1.00 kernel=6.12.0
-----BEGIN CCA TOKEN-----
@TOKEN@
-----END CCA TOKEN-----
CCR-DEMO status=0 sealed= disk=ok boot_ms=1234 guest=nr_cpus=2,realm=1,kernel=7.3.4
"""


class Bench:
    """A directory with a stack for the FVP, and what the stub is told."""

    def __init__(self, path):
        self.path = Path(path)
        self.record = self.path / "record"
        for name in "bl1.bin", "bl33.bin":
            (self.path / name).write_bytes(b"firmware")
        self.run("dtc -O dtb -o hw.dtb", TREE)
        self.run("fiptool create --hw-config hw.dtb --nt-fw bl33.bin fip.bin")
        self.run("fiptool create --hw-config hw.dtb --nt-fw-cert bl33.bin signed.bin")
        (self.path / "console").write_text(DEMO, encoding="ascii")

    def run(self, command, text=""):
        subprocess.run(
            command.split(), cwd=self.path, input=text, text=True, capture_output=True, check=True
        )

    def stack(self, text):
        conf = f"bl1 = bl1.bin\nkernel = {KERNEL}\n{text}\n"
        if "fip =" not in text:
            conf += "fip = fip.bin\n"
        (self.path / "stack.conf").write_text(conf, encoding="ascii")

    def environment(self, **more):
        env = {name: value for name, value in os.environ.items() if name != "STACK"}
        env |= {"FVP": STUB, "NO_DEPS": "1", "STUB_RECORD": str(self.record)}
        env |= {"STUB_CONSOLE": str(self.path / "console")}
        return env | more

    def boot(self, stack="", words=("ccr.do=x",), **env):
        """fvp.sh on this stack: (exit status, what it said)."""
        self.stack(stack)
        command = ["tests/harness/fvp.sh", "-S", str(self.path), NAME, INITRD, *words]
        return self.finish(command, self.environment(**env))

    def finish(self, command, env):
        done = subprocess.run(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        sys.stderr.write(done.stdout)
        return done.returncode, done.stdout

    def seen(self):
        """What the stub was started with, as lines."""
        return self.record.read_text(encoding="ascii").splitlines()


def refuses(bench, sentence, stack="", **env):
    status, said = bench.boot(stack, **env)
    if status == 0:
        return "was accepted"
    return None if sentence in said else f"said: {said}"


def has_no_model(bench):
    """Where there is none, one is told what it is, and how to get it."""
    why = refuses(bench, "there is no FVP_Base_RevC-2xAEMvA in PATH", FVP="")
    return why or refuses(bench, "https://developer.arm.com/", FVP="")


def dry_run(bench):
    """The exact command, against the one that was looked at."""
    status, said = bench.boot("smp = 6\nfvp_args = -C bp.x=1", DRY_RUN="1")
    for path, name in (bench.path, "STACK"), (STUB, "MODEL"), (KERNEL, "KERNEL"):
        said = said.replace(str(path), name)
    if "-u" in sys.argv:
        Path(GOLDEN).write_text(said, encoding="ascii")
    if status or bench.record.exists():
        return f"exit status {status}, or the model was started"
    return None if said == Path(GOLDEN).read_text(encoding="ascii") else f"is not {GOLDEN}: {said}"


def preloads(bench):
    """Kernel and initrd are in memory, and the FIP's device tree says where."""
    status, _ = bench.boot("append = debug\nkernel_addr = 0x90000000\ninitrd_addr = 0x98000000")
    size = os.path.getsize(INITRD)
    wanted = [
        f"data {KERNEL} 0x90000000 {os.path.getsize(KERNEL)}",
        f"data {INITRD} 0x98000000 {size}",
        "bootargs console=ttyAMA0 quiet panic=-1 nokaslr ccr.do=x debug",
    ]
    if status or (missing := set(wanted) - set(bench.seen())):
        return f"exit status {status}; missing: {missing}"
    dtb = f"build/host/{NAME}.fip.seen.dtb"
    for name, value in ("start", 0x98000000), ("end", 0x98000000 + size):
        get = ["fdtget", "-t", "x", dtb, "/chosen", f"linux,initrd-{name}"]
        got = subprocess.run(get, capture_output=True, text=True, check=True).stdout.strip()
        if int(got, 16) != value:
            return f"linux,initrd-{name} is {got}"
    return None


def boots_a_disk(bench):
    status, _ = bench.boot("boot = disk\nmemory = 8G\nsmp = 2")
    wanted = [
        f"bp.virtioblockdevice.image_path=build/host/{NAME}.img",
        "bootargs console=ttyAMA0 quiet panic=-1 nokaslr ccr.do=x ",
        "bp.dram_size=8",
        "cluster0.NUM_CORES=2",
        "cluster1.NUM_CORES=0",
    ]
    missing = set(wanted) - set(bench.seen())
    return f"exit status {status}; missing: {missing}" if status or missing else None


def runs(bench, rim, ends_with, status):
    """`make run HOST=fvp`: the token that the stub's realm shows has this RIM."""
    bench.stack("smp = 4")
    mint = f"build/cli/mint sha256 {rim} $CHALLENGE {'00' * 64} | base64 -w 64"
    env = bench.environment(
        CCR_HOST="fvp", REALM="emulated", STACK=str(bench.path), STUB_TOKEN=mint, MAKEFLAGS=""
    )
    got, said = bench.finish(["tests/harness/run.sh"], env)
    last = said.splitlines()[-1]
    if got != status or not re.fullmatch(ends_with, last):
        return f"exit status {got}: {last}"
    return None


def measured():
    command = ["tests/harness/demo.sh", "measure-demo", "build/native/ccr-run", KERNEL, INITRD]
    env = {**os.environ, "CCR_REALM": "emulated"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def runs_and_accepts(bench):
    rim = measured()
    line = f"RESULT realm=emulated rim={rim} guest-rim={rim} token=ok disk=ok boot_ms=1234"
    return runs(bench, rim, line, 0)


def runs_and_rejects(bench):
    line = f"RESULT realm=emulated rim={measured()} guest-rim={'ab' * 32} token=rejected .*"
    return runs(bench, "ab" * 32, line, 1)


def has_a_console(bench):
    """-i: this terminal is the host's console, and is left as it was."""
    bench.stack("")
    os.environ.update(bench.environment())
    session = Session(["tests/harness/fvp.sh", "-i", "-S", str(bench.path), NAME, INITRD], 60)
    try:
        session.expect("CCR-DEMO status=0")
        session.type("\x03x\x01y")
        session.expect("\x03x\x01y")
        session.type("poweroff\r")
        if status := session.end():
            return f"exit status {status}"
        return None if session.terminal_is_as_before() else "the terminal is not as it was"
    finally:
        session.close()


def is_documented(_):
    """Every parameter is in the document, with its value."""
    text = Path("Documentation/hosts.md").read_text(encoding="ascii")
    for line in Path("tests/harness/fvp.params").read_text(encoding="ascii").splitlines():
        if line and not line.startswith("#"):
            parameter, value, source = line.split()
            if f"| `{parameter}` | `{value}` | {source} |" not in text:
                return f"Documentation/hosts.md has no row for {parameter} {value} {source}"
    return None


TESTS = {
    "no_model": has_no_model,
    "refuses_another_program": partial(refuses, sentence="names no version", FVP="/bin/true"),
    "refuses_no_program": partial(refuses, sentence="there is no such program", FVP="/dev/null"),
    "refuses_an_old_model": partial(
        refuses, sentence="is version 11.25; 11.26 or newer is needed", STUB_VERSION="11.25"
    ),
    "refuses_qemus_firmware": partial(
        refuses, sentence="not both", stack="firmware = bl1.bin"
    ),
    "refuses_memory": partial(refuses, sentence="a number of GiB", stack="memory = 3000M"),
    "refuses_nine_cpus": partial(refuses, sentence="has up to 8 CPUs", stack="smp = 9"),
    "refuses_a_signed_fip": partial(refuses, sentence="use boot = disk", stack="fip = signed.bin"),
    "refuses_no_room": partial(
        refuses, sentence="does not fit below initrd_addr", stack="initrd_addr = 0x84100000"
    ),
    "refuses_another_boot": partial(
        refuses, sentence="'usb' is not preloaded or disk", stack="boot = usb"
    ),
    "dry_run": dry_run,
    "preloads": preloads,
    "boots_a_disk": boots_a_disk,
    "run_accepts": runs_and_accepts,
    "run_rejects": runs_and_rejects,
    "console": has_a_console,
    "documented": is_documented,
}


def on_a_bench(test):
    with tempfile.TemporaryDirectory() as path:
        return test(Bench(path))


sys.exit(run_tests({name: partial(on_a_bench, test) for name, test in TESTS.items()}))
