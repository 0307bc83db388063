#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ccr-run measure` from outside: against tests/unit/rim.py, which gets nothing from it but the
device tree, for every KVM order of operations and every RMM; options, files and messages."""

import hashlib
import itertools
import json
import sys

import cbor
import cli
import corim

sys.dont_write_bytecode = True
sys.path.insert(0, str(cli.TOP / "tests/unit"))
import rim  # noqa: E402 pylint: disable=wrong-import-position

MIB = 1 << 20
RAM_BASE = 0x80000000
# What is assumed of a host.
QEMU_MAX = {
    "family": "explicit",
    "rmm": "1.0",
    "max_ipa_bits": 0,
    "num_bps": 5,
    "num_wps": 3,
    "pmu": False,
    "pmu_num_ctrs": 0,
    "sve": False,
    "sve_vl": 0,
    "lpa2": False,
}
VARIANTS = {"1.0": "rmm1", "2.0-tfrmm": "tfrmm2", "2.0-spec": "spec2"}


class Guest:
    """Files in a scratch directory, and where layout 1 (Documentation/measurement.md) puts them"""

    def __init__(
        self, scratch, kernel_size, initrd_size=0, text_offset=0, mem=512, cpus=1, params=None
    ):
        self.scratch, self.mem, self.text_offset = scratch, mem, text_offset
        self.kernel = cli.image(kernel_size, text_offset)
        self.initrd = cli.pattern(40503, 7, initrd_size)
        (scratch / "Image").write_bytes(self.kernel)
        (scratch / "initrd").write_bytes(self.initrd)
        self.options = ["-k", scratch / "Image", "-m", f"{mem}M", "-c", cpus]
        if initrd_size:
            self.options += ["-i", scratch / "initrd"]
        if params is not None:
            self.options += ["-p", params]

    def describe(self, host, algo, dtb):
        """For rim.py"""
        ram_size = self.mem * MIB
        last = RAM_BASE + ram_size - 1
        dtb_base = min(0x8FE00000, RAM_BASE + ram_size - 2 * MIB)
        pc = RAM_BASE + self.text_offset
        segments = [(pc, self.kernel), (dtb_base, dtb)]
        if self.initrd:
            segments.append(((dtb_base - len(self.initrd)) // 4 * 4, self.initrd))
        return {
            **host,
            "variant": VARIANTS[host["rmm"]],
            "hash": algo,
            "ipa_bits": max(33, last.bit_length() + 1),
            "ram": [RAM_BASE, ram_size],
            "segments": [
                {"base": base, "data": data.hex(), "min_size": 0, "measured": True}
                for base, data in segments
            ],
            "pc": pc,
            "gprs": [dtb_base, 0, 0, 0, 0, 0, 0, 0],
        }


def host_file(scratch, **host):
    path = scratch / "host.json"
    path.write_text(json.dumps({"kvm": {"ok": True}, "realm_host": {**QEMU_MAX, **host}}))
    return path


def compare(guest, host, algo="sha-256", extra=()):
    """Every value on the way, and what else --json says"""
    dtb = guest.scratch / "dtb"
    args = ["--host", host_file(guest.scratch, **host), "--measurement-algo", algo, *extra]
    args += ["--dump-dtb", dtb, "--explain", "--json"]
    found = json.loads(cli.run("measure", *guest.options, *args).must(0).out)
    description = guest.describe({**QEMU_MAX, **host}, algo, dtb.read_bytes())
    wanted = [rim.text(description, value) for _, value in rim.measure(description)]
    steps = found["steps"]
    cli.equal([step["step"] for step in steps], list(range(len(wanted))))
    for step, value in zip(steps, wanted):
        if step["rim"] != value:
            raise AssertionError(f"step {step} should be {value}")
    cli.equal(found["rim"], wanted[-1])
    cli.equal(found["realm_host"], {**QEMU_MAX, **host})
    cli.equal(found["ipa_bits"], description["ipa_bits"])
    cli.equal(found["x0"], hex(description["gprs"][0]))
    cli.equal(found["pc"], hex(description["pc"]))
    placed = {segment["data_base"]: segment for segment in found["segments"]}
    for segment in description["segments"]:
        data = bytes.fromhex(segment["data"])
        said = placed[hex(segment["base"])]
        cli.equal(said["data_size"], len(data))
        cli.equal(said["data_digest"], hashlib.new(algo.replace("-", ""), data).hexdigest())
    return found


def test_families_and_variants(scratch):
    """every KVM order of operations with every RMM, each step"""
    guest = Guest(scratch, 70001, 12345, mem=64, cpus=3, params="quiet")
    results = set()
    for family, variant in itertools.product(("explicit", "implicit", "implicit-gmem"), VARIANTS):
        host = {"family": family, "rmm": variant}
        results.add(compare(guest, host)["rim"])
        if family == "explicit":
            results.add(compare(guest, host, "sha-512")["rim"])
            if variant != "1.0":
                results.add(compare(guest, host, "sha-384")["rim"])
    # The implicit families differ in nothing but RMM 1.0's RIPAS from the explicit one.
    cli.equal(len(results), 4 + 3 + 2)


def test_cpu_features(scratch):
    """what the owner chooses of the CPU prevails over what the host says, in each step"""
    guest = Guest(scratch, 70001, mem=64, cpus=2)
    dtb = scratch / "dtb"
    rich = {"sve": True, "sve_vl": 15, "pmu": True, "pmu_num_ctrs": 31, "num_bps": 15}
    cases = (
        ({}, "sve=256", {"sve": True, "sve_vl": 1}),
        ({}, "pmu=0", {"pmu": True}),
        ({}, "sve=2048,pmu=6,breakpoints=4,watchpoints=2",
         {"sve": True, "sve_vl": 15, "pmu": True, "pmu_num_ctrs": 6, "num_bps": 3, "num_wps": 1}),
        (rich, "sve=off,pmu=off,lse=on", {"num_bps": 15}),
        (rich, "breakpoints=6", {**rich, "num_bps": 5}),
    )
    for host, choices, changed in cases:
        args = ["--host", host_file(scratch, **host), "--cpu-feature", choices]
        args += ["--dump-dtb", dtb, "--explain", "--json"]
        found = json.loads(cli.run("measure", *guest.options, *args).must(0).out)
        cli.equal(found["realm_host"], {**QEMU_MAX, **changed})
        cli.equal(found["options"]["cpu_features"], choices)
        has_node = "pmu=" in choices and changed.get("pmu", False)
        cli.equal(b"arm,armv8-pmuv3" in dtb.read_bytes(), has_node)
        description = guest.describe({**QEMU_MAX, **changed}, "sha-256", dtb.read_bytes())
        wanted = [rim.text(description, value) for _, value in rim.measure(description)]
        cli.equal([step["rim"] for step in found["steps"]], wanted)
    text = cli.run("measure", *guest.options, "--cpu-feature", cases[2][1], "--explain").must(0).out
    first, *_, rec, last = text.splitlines()
    for word in "SVE 2048 bits", "PMU 6 counters", "4 breakpoints", "2 watchpoints", "no LPA2":
        if word not in first:
            raise AssertionError(f"{word} is not in: {first}")
    if "pc 0x80" not in rec:
        raise AssertionError(f"no registers: {rec}")


def test_from_log(scratch):
    """a log replays to the same steps, for every order of operations and every RMM"""
    guest = Guest(scratch, 70001, 12345, mem=64, cpus=3, params="quiet")
    log = scratch / "log"
    for family, variant in itertools.product(("explicit", "implicit", "implicit-gmem"), VARIANTS):
        for extra in ([], ["--log-in-guest"]):
            args = [*guest.options, "--host", host_file(scratch, family=family, rmm=variant)]
            args += [*extra, "--measurement-log", log, "--json", "--explain"]
            found = json.loads(cli.run("measure", *args).must(0).out)
            replay = json.loads(
                cli.run("measure", "--from-log", log, "--json", "--explain").must(0).out
            )
            for name in ("rim", "steps", "hash_algo", "ram_size", "ipa_bits"):
                cli.equal(replay[name], found[name])
            cli.equal((replay["vmm"], replay["vmm_version"]), ("ccr-run", "layout 1"))
            cli.equal((replay["rmm"], replay["cpus"]), (variant, 3))
    text = cli.run("measure", "--from-log", log).must(0).out
    cli.equal(text, replay["rim"] + "\n")
    text = cli.run("measure", "--from-log", log, "--explain").must(0).out.splitlines()
    cli.equal(len(text), len(replay["steps"]) + 1)


def test_log_in_guest(scratch):
    """the region's 496 granules extend the RIM after the vCPU, and only by their addresses"""
    guest = Guest(scratch, 70001, mem=64)
    args = [*guest.options, "--json", "--explain", "--log-in-guest"]
    steps = json.loads(cli.run("measure", *args).must(0).out)["steps"]
    cli.equal(steps[-497]["what"], "REC")
    for number, step in enumerate(steps[-496:]):
        cli.equal(step["what"], "data (unmeasured)")
        cli.equal(step["base"], hex(0x83E10000 + number * 4096))
        cli.equal(step["segment"], "measurement log")


def test_bad_log(scratch):
    """what is no log, and options that do not go with one"""
    bad = scratch / "bad"
    for data in (b"", b"\0" * 100, b"hello", bytes(range(256)) * 20):
        bad.write_bytes(data)
        cli.run("measure", "--from-log", bad).must(1, f"measurement log {bad}: event 1, at byte 0,")
    cli.run("measure", "--from-log", scratch / "none").must(1, "none")
    cli.run("measure", "--from-log", bad, "-m", "64M").must(2, "the log says what was launched")
    cli.run("run", "-k", bad, "--measurement-log", bad).must(2, "plain VMs are not measured")
    cli.run("run", "-k", bad, "--log-in-guest").must(2, "plain VMs are not measured")
    guest = Guest(scratch, 140 << 20, mem=256)
    large = [*guest.options, "--measurement-algo", "sha512"]
    cli.run("measure", *large, "--measurement-log", bad).must(0)
    cli.run("measure", "--from-log", bad).must(0)
    cli.run("measure", *large, "--log-in-guest", "--measurement-log", bad).must(
        1, "more than the 1984 KiB reserved for it"
    )


def test_hosts(scratch):
    """everything that a host adds"""
    guest = Guest(scratch, 4096, mem=32)
    hosts = [
        {"num_bps": 1, "num_wps": 1},
        {"num_bps": 63, "num_wps": 63},
        {"pmu": True, "pmu_num_ctrs": 6},
        {"pmu_num_ctrs": 31},
        {"sve": True, "sve_vl": 3},
        {"sve_vl": 15},
        {"lpa2": True},
    ]
    results = {compare(guest, host)["rim"] for host in [{}, *hosts]}
    cli.equal(len(results), 1 + len(hosts))
    # The limit is no part of it.
    cli.equal(compare(guest, {"max_ipa_bits": 33})["rim"], compare(guest, {})["rim"])


def test_sizes(scratch):
    """RAM from 32 MiB to 8 GiB, odd image sizes, text offsets, many vCPUs"""
    for mem, kernel, initrd, offset, cpus in (
        (32, 4096, 1, 0, 1),
        (256, 4097, 4095, 0x80000, 4),
        (512, 65535, 4097, 0x1000, 2),
        (2048, 200003, 100001, 0, 4),
        (2050, 64, 3, 0, 1),
        (8192, 99999, 0, 0x200000, 512),
    ):
        guest = Guest(scratch, kernel, initrd, offset, mem, cpus)
        compare(guest, {})
        compare(guest, {"family": "implicit", "num_bps": 1})


def test_golden(scratch):
    """the promise of layout version 1: these may never change"""
    for wanted, machine, options in GOLDEN:
        guest = Guest(scratch, 100001, **machine)
        args = ["--layout-version", 1, "--dump-dtb", scratch / "dtb", *options]
        found = cli.run("measure", *guest.options, *args).must(0).out.strip()
        tree = hashlib.sha256((scratch / "dtb").read_bytes()).hexdigest()
        cli.equal((found, tree), wanted)


# RIM, SHA-256 of the device tree; what gives them
GOLDEN = (
    (
        (
            "7310b008c012854b5068e725b77d8e377d77813aaaffe15fdf123772cb8d1df4",
            "5eab8878d11023088480ccd7a4f7c2bcfae4798c907d9732dee64f5df5a827b7",
        ),
        {},
        [],
    ),
    (
        (
            "74cf1b932558343d81904c965dfe97133a63cf4152030829f04bb628d6fc4247",
            "33117b58fd2b158a54e247f410ce1c95957ce9d5e025beae8a78eed76b1634d0",
        ),
        {"initrd_size": 54321, "mem": 256, "cpus": 4, "params": "console=ttyS0"},
        [],
    ),
    (
        (
            "53a18bee62de582cd29f040ad081abc54b6f60e849fb1de74a4a9d8985d75e13",
            "7819bccff0c0f63a843fe18c1e3bced93798e57b79644efc75c84bf251e68f54",
        ),
        {"initrd_size": 54321, "mem": 2048, "cpus": 2},
        ["--no-pci"],
    ),
    (
        (
            "22731c1072ae5411e20d0734d63a7e224f5047d5d628e9f44773fee2d8f9f208",
            "d9927d3c2f156315b590046582f14d24ccc5229b15dc29dfd181bbf13d9037d3",
        ),
        {"initrd_size": 54321, "mem": 2048, "cpus": 2},
        ["--virtio-transport", "mmio", "--disk", "any.img"],
    ),
    (
        (
            "3375ef4a6395345f21e3e59779954f3f61830806f68df19956d203e897116e98"
            "b68174d88269f52f9281df003bf8624bd1fc12f03199f1656ab9a0888e33c71b",
            "5279a28b9085de24d9e3f9d1dcecd4b803d0858198e839df74d17fc83ff11059",
        ),
        {"initrd_size": 54321, "text_offset": 0x80000, "mem": 4096},
        ["--kaslr-seed", "0x0123456789abcdef", "--measurement-algo", "sha512"],
    ),
)


def test_reproducible(scratch):
    """same inputs, same RIM: any directory, locale, time zone, file name; pipes; twice"""
    guest = Guest(scratch, 50001, 5001, params="a=b")
    wanted = cli.run("measure", *guest.options).must(0).out
    (scratch / "other").mkdir()
    (scratch / "other/k\u00e9rnel").write_bytes(guest.kernel)
    (scratch / "other/i").symlink_to(scratch / "initrd")
    rest = guest.options[2:6] + ["-p", "a=b"]
    moved = cli.run(
        "measure", "-k", "k\u00e9rnel", "-i", "i", *rest,
        cwd=scratch / "other", env={"LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kolkata"},
    )
    cli.equal(moved.must(0).out, wanted)
    rest += ["-i", scratch / "initrd"]
    piped = cli.run("measure", "-k", "/dev/stdin", *rest, stdin=guest.kernel)
    cli.equal(piped.must(0).out, wanted)
    cli.equal(cli.run("measure", *guest.options).must(0).out, wanted)


def test_one_byte(scratch):
    """one changed byte is found by --explain: the first difference names the page"""
    guest = Guest(scratch, 50001, 5 * 4096)
    before = cli.run("measure", *guest.options, "--explain").must(0).out.splitlines()
    changed = bytearray(guest.initrd)
    changed[3 * 4096 + 17] ^= 1
    (scratch / "initrd").write_bytes(changed)
    after = cli.run("measure", *guest.options, "--explain").must(0).out.splitlines()
    first = next(b for a, b in zip(before, after) if a != b)
    if "initrd page 3 " not in first:
        raise AssertionError(first)
    cli.equal(sum(a == b for a, b in zip(before, after)), int(first.split()[0]))


def test_host_is_told(scratch):
    """a host that is assumed is named; one that is given, or does not matter, is used"""
    options = Guest(scratch, 4096).options
    plain = cli.run("measure", *options).must(0)
    cli.equal(plain.err, "")
    assumed = cli.run("measure", *options, "--realm=kvm").must(0, ": assumed; ")
    cli.equal(assumed.out, plain.out)
    given = cli.run("measure", *options, "--host", host_file(scratch, num_bps=1)).must(0)
    if given.out == plain.out or "assumed" in given.err or "2 breakpoints" not in given.err:
        raise AssertionError(given.err)
    for args, source in (([], "constant"), (["--realm"], "default"), (["--rmm", "1.0"], "given")):
        said = json.loads(cli.run("measure", *options, *args, "--json").must(0).out)
        cli.equal(said["realm_host_source"], source)
        cli.equal(said["realm"], "emulated" if source == "constant" else "kvm")


def test_overrides(scratch):
    """--realm-abi brings the RMM of its time, --rmm overrides both it and the file"""
    options = [*Guest(scratch, 4096).options, "--json"]
    file = ["--host", host_file(scratch, family="implicit", rmm="2.0-spec", num_bps=9)]

    def host(*args):
        said = json.loads(cli.run("measure", *options, *args).must(0).out)["realm_host"]
        return said["family"], said["rmm"], said["num_bps"]

    cli.equal(host(*file), ("implicit", "2.0-spec", 9))
    cli.equal(host("--realm-abi", "v5"), ("explicit", "1.0", 5))
    cli.equal(host("--realm-abi", "v12"), ("implicit", "1.0", 5))
    cli.equal(host("--realm-abi", "v13"), ("implicit", "2.0-tfrmm", 5))
    cli.equal(host("--realm-abi=v15"), ("implicit-gmem", "2.0-tfrmm", 5))
    cli.equal(host(*file, "--realm-abi", "v10"), ("explicit", "1.0", 9))
    cli.equal(host(*file, "--rmm", "1.0"), ("implicit", "1.0", 9))
    cli.equal(host(*file, "--rmm=2.0-spec", "--realm-abi=v13"), ("implicit", "2.0-spec", 9))


def test_refusals(scratch):
    """what cannot be is refused in a sentence: files and hosts with 1, usage with 2"""
    options = Guest(scratch, 4096, mem=4096).options

    def refused(status, words, *args):
        cli.equal(cli.run("measure", *options, *args).must(status, words).out, "")

    refused(1, "host-that-is-not", "--host", scratch / "host-that-is-not")
    (scratch / "bad").write_text('{"realm_host": {"family": "explicit"')
    refused(1, "bad: not valid JSON: it is cut short", "--host", scratch / "bad")
    (scratch / "bad").write_text('{"realm": {"ok": false}}')
    refused(1, 'bad: has no "realm_host"', "--host", scratch / "bad")
    refused(1, '"mec" is not known here', "--host", host_file(scratch, mec=1))
    refused(1, "needs an IPA space of 34 bits, and this host's realms can have 33; choose less RAM",
            "--host", host_file(scratch, max_ipa_bits=33))
    refused(1, "RMM 1.0 has no sha-384", "--realm", "--measurement-algo", "sha384")
    sha = "--measurement-algo"
    refused(1, "sha-384: KVM's implicit realm interface", "--realm-abi", "v13", sha, "sha384")
    refused(1, "has no choice of the hash", "--realm-abi", "v16", sha, "sha512")
    refused(1, "takes no personalisation value", "--realm-abi", "v12", "--realm-pv", "x")
    refused(1, "cannot", "--corim", scratch / "no/such/directory")
    refused(2, "not 1.0, 2.0-tfrmm or 2.0-spec", "--rmm", "2.0")
    refused(2, "--realm-abi", "--realm-abi", "v17")
    refused(2, "same measurement on every host", "--realm=emulated", "--rmm", "1.0")
    refused(2, "not sha256, sha384 or sha512", "--measurement-algo", "md5")
    refused(2, "unexpected argument", "surplus")
    cli.run("measure").must(2, "no kernel")


def test_json_of_any_command_line(scratch):
    """--json is JSON whatever the command line holds"""
    for params, shown in (
        ('quote " backslash \\ end', None),
        ("\u00e9\u4e2d", None),
        ("tab \t end", "tab ? end"),
        (b"\xff\x80 bare".decode("utf-8", "surrogateescape"), "?? bare"),
    ):
        run = cli.run("measure", *Guest(scratch, 4096, params=params).options, "--json")
        cli.equal(json.loads(run.must(0).out)["options"]["params"], shown or params)


def test_corim(scratch):
    """--corim: what an independent encoder writes, byte for byte, and decodes"""
    guest = Guest(scratch, 4096)
    path = scratch / "corim"
    for algo, rpv in (("sha-256", None), ("sha-512", b"my realm"), ("sha-256", b"\0\1")):
        args = ["--realm-pv", "hex:" + rpv.hex()] if rpv else []
        args += ["--measurement-algo", algo, "--corim", path]
        found = cli.run("measure", *guest.options, *args)
        value = bytes.fromhex(found.must(0).out)
        wanted = corim.document(algo, value, rpv and rpv.ljust(64, b"\0"))
        cli.equal(cbor.decode(path.read_bytes()), wanted)
        cli.equal(path.read_bytes(), cbor.encode(wanted))
    for name, item in corim.golden().items():
        cli.equal((corim.GOLDEN / name).read_bytes(), cbor.encode(item))


if __name__ == "__main__":
    cli.main(
        [
            test_families_and_variants,
            test_from_log,
            test_log_in_guest,
            test_bad_log,
            test_hosts,
            test_sizes,
            test_golden,
            test_reproducible,
            test_one_byte,
            test_host_is_told,
            test_overrides,
            test_refusals,
            test_json_of_any_command_line,
            test_corim,
        ]
    )
