#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Second opinion on the Realm Initial Measurement.

Shares nothing with the C code but the specification: where that reasons about the shape of the
realm's translation tables, this one builds the tables and plays both KVM and the RMM on them.

    rim.py FILE            print the RIM of the realm that FILE describes ("-" is stdin)
    rim.py --steps FILE    also each value on the way
    rim.py --check FILE    FILE has one description a line, each with the "rim" it should have

A description is a JSON object:

    variant    "rmm1", "tfrmm2" or "spec2"
    hash       "sha-256", "sha-384" or "sha-512"
    ipa_bits, num_bps, num_wps, pmu_num_ctrs, sve_vl    numbers, 0 if missing but ipa_bits
    lpa2, sve, pmu                                      booleans, false if missing

and then either a plan, whose order follows from the interface family,

    family     "explicit", "implicit" or "implicit-gmem"
    ram        [base, size]
    segments   list of {"base", "data", "min_size", "measured"}; in any order
    pc, gprs   of the first vCPU

or "steps", the commands themselves: ["ripas", base, size], ["data", ipa, content or null],
["rec", pc, gprs]. Contents are hexadecimal, or {"pattern": [a, b], "size": n} for the bytes
(a * i + b) mod 256.
"""

import hashlib
import json
import struct
import sys

GRANULE = 4096
LEAF = 3
HASHES = {"sha-256": (0, hashlib.sha256), "sha-512": (1, hashlib.sha512),
          "sha-384": (2, hashlib.sha384)}


def down(value, unit):
    return value - value % unit


def up(value, unit):
    return down(value + unit - 1, unit)


def content(value):
    if isinstance(value, dict):
        a, b = value["pattern"]
        return bytes((a * i + b) % 256 for i in range(value["size"]))
    return bytes.fromhex(value)


class RttError(Exception):
    """RMI_ERROR_RTT: the walk ended at .level"""

    def __init__(self, level):
        super().__init__(level)
        self.level = level


class Rtt:
    """A realm's translation tables. Entries are EMPTY unless .entries says "ram" or "data"."""

    def __init__(self, ipa_bits):
        levels = -(-(ipa_bits - 16) // 9)
        self.start = LEAF + 1 - levels
        self.tables = set()  # (level, base) of all below the start level
        self.entries = {}  # (level, base) -> state

    @staticmethod
    def span(level):
        return GRANULE << (9 * (LEAF - level))

    def walk(self, ipa):
        level = self.start
        while level < LEAF and (level + 1, down(ipa, self.span(level))) in self.tables:
            level += 1
        return level

    def create(self, ipa, level):
        """RMI_RTT_CREATE of the table of this level that covers ipa"""
        base = down(ipa, self.span(level - 1))
        self.tables.add((level, base))
        state = self.entries.pop((level - 1, base), None)
        if state:
            for i in range(512):
                self.entries[level, base + i * self.span(level)] = state

    def create_down_to(self, ipa, level):
        for missing in range(self.walk(ipa) + 1, level + 1):
            self.create(ipa, missing)

    def init_ripas(self, base, top):
        """RMI_RTT_INIT_RIPAS: the entries measured"""
        level = self.walk(base)
        span = self.span(level)
        if base % span:
            raise RttError(level)
        table_end = down(base, 512 * span) + 512 * span
        done = []
        while base < table_end and base + span <= top:
            is_table = level < LEAF and (level + 1, base) in self.tables
            if is_table or self.entries.get((level, base)) == "data":
                break
            self.entries[level, base] = "ram"
            done.append((base, base + span))
            base += span
        if not done:
            raise RttError(level)
        return done

    def best_level(self, ipa, end):
        for level in range(self.start, LEAF):
            if ipa % self.span(level) == 0 and ipa + self.span(level) <= end:
                return level
        return LEAF

    def kvm_init_ripas(self, ipa, end):
        """What KVM makes of a range: one list of measured entries"""
        done = []
        while ipa < end:
            try:
                part = self.init_ripas(ipa, end)
            except RttError as error:
                if self.entries.get((LEAF, ipa)) == "data":
                    ipa += GRANULE
                    continue
                level = self.best_level(ipa, end)
                if level <= error.level:
                    raise RuntimeError("KVM would not get any further") from error
                self.create_down_to(ipa, level)
                continue
            done += part
            ipa = part[-1][1]
        return done

    def data_create(self, ipa):
        self.create_down_to(ipa, LEAF)
        if self.entries.get((LEAF, ipa)) == "data":
            raise RuntimeError("granule populated twice")
        self.entries[LEAF, ipa] = "data"


class Realm:
    def __init__(self, what):
        self.variant = what["variant"]
        self.code, self.hash = HASHES[what["hash"]]
        self.rtt = Rtt(what["ipa_bits"])
        self.log = []
        self.rim = bytes(64)
        if self.variant != "spec2":
            self.set_rim(self.params(what))
        self.log.append(("create", self.rim))

    def digest(self, data):
        return self.hash(data).digest().ljust(64, b"\0")

    def set_rim(self, image):
        self.rim = self.digest(image)

    def params(self, what):
        image = bytearray(4096)
        flags = sum(1 << bit for bit, name in enumerate(("lpa2", "sve", "pmu")) if what.get(name))
        numbers = [flags] + [what.get(name, 0) for name in
                             ("ipa_bits", "sve_vl", "num_bps", "num_wps", "pmu_num_ctrs")]
        struct.pack_into("<6QB", image, 0, *numbers, self.code)
        return image

    def extend(self, kind, body, label):
        head = struct.pack("<QQ64s", kind, 0x100, self.rim)
        self.set_rim((head + body).ljust(0x100, b"\0"))
        self.log.append((label, self.rim))

    def ripas(self, base, size):
        for first, top in self.rtt.kvm_init_ripas(base, base + size):
            if self.variant == "rmm1":
                self.extend(2, struct.pack("<QQ", first, top), f"ripas {first:#x} {top:#x}")

    def data(self, ipa, page):
        self.rtt.data_create(ipa)
        hashed = bytes(64) if page is None else self.digest(page)
        body = struct.pack("<QQ64s", ipa, 0 if page is None else 1, hashed)
        self.extend(0, body, f"data {ipa:#x}")

    def rec(self, pc, gprs):
        image = bytearray(4096)
        struct.pack_into("<Q", image, 0, 1)
        struct.pack_into("<Q", image, 0x200, pc)
        struct.pack_into("<8Q", image, 0x300, *gprs)
        self.extend(1, self.digest(image), "rec")


def plan_to_steps(what):
    ripas = [["ripas", *what["ram"]]]
    pages = {True: [], False: []}
    for segment in sorted(what["segments"], key=lambda s: s["base"]):
        data = content(segment["data"])
        first = down(segment["base"], GRANULE)
        top = up(segment["base"] + max(len(data), segment["min_size"]), GRANULE)
        image = (bytes(segment["base"] - first) + data).ljust(top - first, b"\0")
        for at in range(0, top - first, GRANULE):
            page = image[at:at + GRANULE].hex() if segment["measured"] else None
            pages[segment["measured"]].append(["data", first + at, page])
    rec = [["rec", what["pc"], what["gprs"]]]
    if what["family"] == "explicit":
        return ripas + pages[True] + rec + pages[False]
    return pages[True] + pages[False] + rec + ripas


def measure(what):
    """The values on the way, as (label, 64 bytes)"""
    realm = Realm(what)
    steps = what["steps"] if "steps" in what else plan_to_steps(what)
    for name, *args in steps:
        if name == "ripas":
            realm.ripas(*args)
        elif name == "data":
            realm.data(args[0], None if args[1] is None else content(args[1]))
        elif name == "rec":
            realm.rec(*args)
        else:
            raise ValueError(f"no such step: {name}")
    return realm.log


def text(what, rim):
    size = HASHES[what["hash"]][1]().digest_size
    return rim[:size].hex()


def check(lines):
    nr_good = nr_bad = 0
    for number, line in enumerate(lines, 1):
        what = json.loads(line)
        rim = text(what, measure(what)[-1][1])
        if rim == what["rim"]:
            nr_good += 1
        else:
            nr_bad += 1
            print(f"# description {number}: expected {what['rim']}, computed {rim}")
            what.pop("segments", None)
            print(f"#     {what}")
    print(f"# rim.py: {nr_good} equal, {nr_bad} different")
    return nr_good > 0 and nr_bad == 0


def main(args):
    options = [arg for arg in args if arg.startswith("--")]
    files = [arg for arg in args if not arg.startswith("--")]
    if len(files) != 1 or options not in ([], ["--steps"], ["--check"]):
        sys.exit(__doc__)
    with (sys.stdin if files[0] == "-" else open(files[0], encoding="utf-8")) as source:
        if options == ["--check"]:
            return 0 if check(source) else 1
        what = json.load(source)
    log = measure(what)
    if options == ["--steps"]:
        for label, rim in log:
            print(f"{text(what, rim)}  {label}")
    print(text(what, log[-1][1]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
