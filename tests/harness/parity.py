#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""parity.py A B - compare two hosts by what a realm found on each, in logs of `make parity LOG=`

Every fact of a log has a name; a fact differs if its values do, or if only one log has it.
Differences that are expected are in parity.rules, with the reason. Exit status: 0 if nothing else
differs, 1 if something does, 2 if a log cannot be compared."""

import fnmatch
import json
import re
import sys
from pathlib import Path

RULES = Path(__file__).with_name("parity.rules")
NONE = "(none)"

# Fields of four bits, from bit 0 up; "" for those that no architecture version has given a name.
FIELDS = {
    "ID_AA64PFR0_EL1": "EL0 EL1 EL2 EL3 FP AdvSIMD GIC RAS SVE SEL2 MPAM AMU DIT RME CSV2 CSV3",
    "ID_AA64PFR1_EL1": "BT SSBS MTE RAS_frac MPAM_frac _ SME RNDR_trap CSV2_frac NMI MTE_frac GCS"
    " THE MTEX DF2 PFAR",
    "ID_AA64DFR0_EL1": "DebugVer TraceVer PMUVer BRPs PMSS WRPs SEBEP CTX_CMPs PMSVer DoubleLock"
    " TraceFilt TraceBuffer MTPMU BRBE ExtTrcBuff HPMN0",
    "ID_AA64ISAR0_EL1": "_ AES SHA1 SHA2 CRC32 Atomic TME RDM SHA3 SM3 SM4 DP FHM TS TLB RNDR",
    "ID_AA64ISAR1_EL1": "DPB APA API JSCVT FCMA LRCPC GPA GPI FRINTTS SB SPECRES BF16 DGH I8MM XS"
    " LS64",
    "ID_AA64ISAR2_EL1": "WFxT RPRES GPA3 APA3 MOPS BC PAC_frac CLRBHB SYSREG_128 SYSINSTR_128"
    " PRFMSLC _ RPRFM CSSC LUT ATS1A",
    "ID_AA64MMFR0_EL1": "PARange ASIDBits BigEnd SNSMem BigEndEL0 TGran16 TGran64 TGran4 TGran16_2"
    " TGran64_2 TGran4_2 ExS _ _ FGT ECV",
    "ID_AA64MMFR1_EL1": "HAFDBS VMIDBits VH HPDS LO PAN SpecSEI XNX TWED ETS HCX AFP nTLBPA TIDCP1"
    " CMOW ECBHB",
    "ID_AA64MMFR2_EL1": "CnP UAO LSM IESB VARange CCIDX NV ST AT IDS FWB _ TTL BBM EVT E0PD",
}


class Unusable(Exception):
    """A log that cannot be compared."""


def flatten(name, value):
    """(name, text) of everything in a JSON value."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from flatten(f"{name}.{key}" if name else key, member)
    elif isinstance(value, list):
        yield name, " ".join(str(member) for member in value) or NONE
    else:
        yield name, str(value).lower() if isinstance(value, bool) else str(value)


class Log:
    """One log: facts by name, and what tells it from another in a headline."""

    def __init__(self, path):
        self.path = path
        self.facts = {}
        self.check = ""
        try:
            text = Path(path).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise Unusable(f"{path}: {error.strerror}") from error
        lines = re.findall(r"^PARITY (\S+) ?(.*?)\r?$", text, re.MULTILINE)
        if not lines:
            raise Unusable(f"{path}: no log of `make parity LOG=`")
        if lines[-1] != ("end", ""):
            raise Unusable(f"{path}: the run did not come to its end")
        for section, words in lines:
            getattr(self, f"add_{section}", self.add_unknown)(words)
        self.kind = self.facts["run realm"]

    def add_unknown(self, words):
        raise Unusable(f"{self.path}: not of this version: {words}")

    def add_named(self, section, words):
        name, _, value = words.partition(" ")
        self.facts[f"{section} {name}"] = value or NONE

    def add_run(self, words):
        self.add_named("run", words)

    def add_rim(self, words):
        self.add_named("rim", words)

    def add_status(self, words):
        self.add_named("status", words)

    def add_milestone(self, words):
        name, _, value = words.partition(" ")
        # That it was reached, and when: the one is to be the same everywhere.
        self.facts[f"milestone {name}"] = "reached"
        self.facts[f"time {name}"] = f"{value} ms"

    def add_check(self, words):
        try:
            found = json.loads(words)
        except ValueError as error:
            raise Unusable(f"{self.path}: `ccr-run check --json` is no JSON") from error
        self.facts.update((f"check {name}", value) for name, value in flatten("", found))

    def add_rsi(self, words):
        """Results by name; notes belong to the check that they come after."""
        result = re.match(r"(not ok|ok) \d+ - (.*?)(?: # SKIP (.*))?$", words)
        if result:
            self.check = result[2]
            value = f"skipped: {result[3]}" if result[3] else result[1]
            self.facts[f"rsi {self.check}"] = value
        elif words.startswith("# "):
            name = f"note {self.check or 'before the checks'}"
            before = self.facts.get(name)
            self.facts[name] = f"{before}; {words[2:]}" if before else words[2:]

    def add_cpu(self, words):
        register = re.match(r"# cpu (\w+)=([0-9a-f]+)$", words)
        if not register:
            return
        name, value = register[1], int(register[2], 16)
        fields = FIELDS.get(name, "").split()
        for nr, field in enumerate(fields):
            shown = field if field != "_" else f"[{nr * 4 + 3}:{nr * 4}]"
            self.facts[f"cpu {name}.{shown}"] = f"{value >> nr * 4 & 15:#x}"
        if not fields:
            self.facts[f"cpu {name}"] = f"{value:#x}"

    def add_linux(self, words):
        what, _, rest = words.partition(" ")
        if what == "ready":
            for fact in rest.split():
                self.add_named("linux", fact.replace("=", " ", 1))
        else:
            name, _, value = rest.partition(" ")
            for feature in value.split() if name == "features" else ():
                self.facts[f"linux feature-{feature}"] = "yes"
            if name != "features":
                self.facts[f"linux {name}"] = value

    def add_end(self, words):
        pass

    def headline(self):
        facts = self.facts
        return f"{self.path}: realm={self.kind} kernel={facts['run kernel']} {facts['run version']}"


class Rule:
    """A difference that is expected: KINDS PATTERN REASON, from parity.rules."""

    def __init__(self, line):
        kinds, pattern, self.reason = (part.strip() for part in line.split("|"))
        self.kinds = sorted(kinds.split(":"))
        self.pattern = pattern

    def covers(self, name, kinds):
        if len(self.kinds) == 1:
            fits = self.kinds[0] in ("any", *kinds)
        else:
            fits = self.kinds == kinds
        return fits and fnmatch.fnmatchcase(name, self.pattern)


def read_rules():
    lines = RULES.read_text(encoding="ascii").splitlines()
    return [Rule(line) for line in lines if line and not line.startswith("#")]


def differences(a, b):
    """(name, value in A, value in B), in the order of the logs."""
    for name in list(a) + [name for name in b if name not in a]:
        values = a.get(name, NONE), b.get(name, NONE)
        if values[0] != values[1]:
            yield name, *values


def compare(a, b):
    rules = read_rules()
    kinds = sorted((a.kind, b.kind))
    expected, unexpected = {}, []
    for difference in differences(a.facts, b.facts):
        for rule in rules:
            if rule.covers(difference[0], kinds):
                expected.setdefault(rule.reason, []).append(difference)
                break
        else:
            unexpected.append(difference)
    return expected, unexpected


def report(a, b, expected, unexpected):
    same = sum(b.facts.get(name) == value for name, value in a.facts.items())
    print(f"A  {a.headline()}\nB  {b.headline()}\n")
    print(f"{same} facts are the same.")
    print(f"{sum(map(len, expected.values()))} differ as expected:")
    for reason, found in expected.items():
        print(f"\n  {reason}")
        for name, in_a, in_b in found:
            print(f"    {name}: {in_a} | {in_b}")
    print(f"\n{len(unexpected)} differ, and no rule says why{':' if unexpected else '.'}")
    for name, in_a, in_b in unexpected:
        print(f"    {name}: {in_a} | {in_b}")


def main():
    if len(sys.argv) != 3:
        print("usage: make parity A=LOG B=LOG", file=sys.stderr)
        return 2
    try:
        a, b = Log(sys.argv[1]), Log(sys.argv[2])
    except Unusable as why:
        print(f"parity: {why}", file=sys.stderr)
        return 2
    expected, unexpected = compare(a, b)
    report(a, b, expected, unexpected)
    return 1 if unexpected else 0


sys.exit(main())
