#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ccr-run verify` from outside: tokens that are believed and tokens that are not, what it says,
and the exit status: 0 accepted, 6 rejected, 1 for a file that cannot be used, 2 for usage."""

import base64
import json
import subprocess

import cli

VECTORS = cli.TOP / "tests/unit/vectors"
RIM = bytes(range(0x40, 0x60)).hex()
CHALLENGE = bytes(range(64)).hex()
RPV = "c0ffee"
EXPECTED = ["--emulated", "--rim", RIM, "--challenge", CHALLENGE, "--rpv", "hex:" + RPV]


def mint(path, rim=RIM, challenge=CHALLENGE, rpv=RPV, algo="sha-256"):
    token = subprocess.run([cli.MINT, algo, rim, challenge, rpv], capture_output=True, check=True)
    path.write_bytes(token.stdout)
    return path


def other(digits):
    """The same but for one bit"""
    return f"{int(digits[:2], 16) ^ 1:02x}{digits[2:]}"


def verify(token, *args, stdin=b""):
    """Also that --json says the same"""
    found = cli.run("verify", token, *args, stdin=stdin)
    said = cli.run("verify", token, *args, "--json", stdin=stdin)
    cli.equal(said.status, found.status)
    cli.equal(said.err, found.err)
    if found.status in (0, 6):
        report = json.loads(said.out)
        cli.equal(report["accepted"], found.status == 0)
        failed = [check["check"] for check in report["checks"] if check["outcome"] == "fail"]
        cli.equal(failed == [], found.status == 0)
        for check in report["checks"]:
            line = f"  {check['outcome']}  {check['check']:18} {check['reason']}"
            if line not in found.out.splitlines():
                raise AssertionError(f"not in the text: {line}")
    else:
        cli.equal((found.out, said.out), ("", ""))
    return found


def rejected(check, token, *args, stdin=b""):
    return verify(token, *args, stdin=stdin).must(6, f"token rejected: {check}: ")


def test_good(scratch):
    """a good token, each way to hand it over"""
    token = mint(scratch / "token")
    found = verify(token, *EXPECTED).must(0)
    if not found.out.splitlines()[-1].startswith("accepted; not compared: "):
        raise AssertionError(found.out)
    text = base64.encodebytes(token.read_bytes())
    (scratch / "text").write_bytes(text)
    verify(scratch / "text", *EXPECTED).must(0)
    verify("-", *EXPECTED, stdin=text).must(0)
    verify("-", *EXPECTED, stdin=token.read_bytes()).must(0)
    # Nothing demanded: accepted, and told that nothing was compared.
    found = verify(token, "--emulated").must(0)
    for check in ("challenge", "rim", "rpv"):
        if check not in found.out.splitlines()[-1]:
            raise AssertionError(found.out)


def test_other_token(scratch):
    """wrong challenge, RIM, personalisation value"""
    token = mint(scratch / "token")
    rejected("challenge", token, "--emulated", "--challenge", other(CHALLENGE))
    rejected("challenge", token, "--emulated", "--challenge", CHALLENGE[:64])
    rejected("rim", token, "--emulated", "--rim", other(RIM))
    rejected("rim", token, "--emulated", "--rim", RIM + RIM)
    rejected("rpv", token, "--emulated", "--rpv", "hex:" + other(RPV))


def test_emulated(scratch):
    """an emulated realm's token is accepted only on request, and then no other is"""
    token = mint(scratch / "token")
    anchors = VECTORS / "anchors.json"
    rejected("emulation", token)
    rejected("emulation", token, "--trust-anchors", anchors)
    rejected("emulation", VECTORS / "wrapped.token", "--emulated")
    verify(token, "--emulated", "--trust-anchors", anchors).must(2, "leave --trust-anchors out")


def test_anchors(scratch):
    """a platform's token with each form of trust anchors, and with those of others"""
    token = VECTORS / "wrapped.token"
    for name in ("anchors.json", "platform.jwk", "platform.pem"):
        verify(token, "--trust-anchors", VECTORS / name).must(0)
    rejected("platform-key", token)
    stranger = json.loads((VECTORS / "anchors.json").read_text())
    for anchor in stranger:
        anchor["instance-id"] = "01" + other(anchor["instance-id"][2:])
    (scratch / "strangers").write_text(json.dumps(stranger))
    rejected("platform-key", token, "--trust-anchors", scratch / "strangers")
    key = subprocess.run(
        "openssl ecparam -name prime256v1 -genkey -noout | openssl ec -pubout",
        shell=True, capture_output=True, check=True,
    )
    (scratch / "other.pem").write_bytes(key.stdout)
    rejected("platform-signature", token, "--trust-anchors", scratch / "other.pem")
    verify(token, "--trust-anchors", scratch / "none").must(1, "none")
    (scratch / "bad").write_text("[{}]")
    verify(token, "--trust-anchors", scratch / "bad").must(1, "bad")


def test_policy(scratch):
    """a policy that holds, one that does not, one that is none"""
    token = [VECTORS / "wrapped.token", "--trust-anchors", VECTORS / "platform.pem", "--policy"]
    policy = json.loads((VECTORS / "policy.json").read_text())
    path = scratch / "policy"

    def save(**changed):
        path.write_text(json.dumps({**policy, **changed}))
        return path

    verify(*token, save()).must(0)
    rejected("rim", *token, save(**{"initial-measurement": other(policy["initial-measurement"])}))
    rejected("hash-algo", *token, save(**{"hash-algorithm": "sha-256"}))
    verify(*token, save(surprise=1)).must(1, '"surprise" is not known here')
    verify(*token, scratch / "none").must(1, "none")
    verify(*token, save(), "--rim", policy["initial-measurement"]).must(2, "--rim")


def test_damaged(scratch):
    """a token with any one of its bytes changed, or cut short, is rejected"""
    token = mint(scratch / "token").read_bytes()
    path = scratch / "damaged"
    for at in range(0, len(token), 7):
        path.write_bytes(token[:at] + bytes((token[at] ^ 0x20,)) + token[at + 1 :])
        cli.run("verify", path, *EXPECTED).must(6, "token rejected: ")
        if at > 0:
            path.write_bytes(token[:at])
            cli.run("verify", path, *EXPECTED).must(6, "token rejected: ")
    path.write_bytes(token + b"\0")
    cli.run("verify", path, *EXPECTED).must(6, "token rejected: collection: ")


def test_usage(scratch):
    """unusable files are 1, usage is 2"""
    token = mint(scratch / "token")
    cli.run("verify").must(2, "no token")
    verify(token, token).must(2, "unexpected argument")
    verify(token, "--rime", RIM).must(2, "--rime")
    verify(token, "--rim", "xyz").must(2, "--rim xyz: not 32, 48 or 64 bytes")
    verify(token, "--challenge", "00").must(2, "--challenge 00: not 32 to 64 bytes")
    verify(token, "--rpv", "hex:0").must(2, "personalisation value: what follows hex: is not")
    verify(scratch / "none").must(1, "none")
    (scratch / "empty").write_bytes(b"")
    verify(scratch / "empty").must(1, "the file is empty")
    verify(scratch).must(1)


class Launch:
    """A realm's files, and the token of an emulated realm of them"""

    def __init__(self, scratch, *extra, algo="sha-256", rpv=""):
        self.scratch = scratch
        (scratch / "Image").write_bytes(cli.image(20001))
        (scratch / "initrd").write_bytes(cli.pattern(40503, 7, 30001))
        self.options = ["-k", scratch / "Image", "-i", scratch / "initrd", "-p", "quiet", *extra]
        self.rim = cli.run("measure", *self.options).must(0).out.strip()
        self.token = mint(scratch / "token", rim=self.rim, algo=algo, rpv=rpv or "00")


def test_launch_options(scratch):
    """the options of a launch stand for its RIM and hash; one changed byte is a rejection"""
    launch = Launch(scratch, "-m", "64M", "-c", 4)
    verify(launch.token, "--emulated", *launch.options).must(0)
    verify(launch.token, "--emulated", *launch.options, "--rim", launch.rim).must(0)
    rejected("rim", launch.token, "--emulated", *launch.options, "-c", 3)
    rejected("rim", launch.token, "--emulated", *launch.options, "-p", "loud")
    longer = ["--measurement-algo", "sha512"]
    rejected("hash-algo", launch.token, "--emulated", *launch.options, *longer)
    disagree = ["--rim", other(launch.rim)]
    verify(launch.token, "--emulated", *launch.options, *disagree).must(2, "launch options give")
    verify(launch.token, "--emulated", *launch.options[2:]).must(2, "no kernel")
    verify(launch.token, "--emulated", *launch.options, "-m", "63M").must(2, "--mem")
    (scratch / "initrd").write_bytes(cli.pattern(40503, 8, 30001))
    rejected("rim", launch.token, "--emulated", *launch.options)
    (scratch / "initrd").unlink()
    verify(launch.token, "--emulated", *launch.options).must(1, "initrd")


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def verdict(found):
    return found.must(6).out.splitlines()[-1]


def test_measurement_log(scratch):
    """with the log of the launch, the sentence names what the verifier has otherwise"""
    launch = Launch(scratch, "-m", "64M", "-c", 2)
    log = scratch / "log"
    cli.run("measure", *launch.options, "--measurement-log", log).must(0)
    evidence = [launch.token, "--emulated", "--log", log]
    verify(*evidence).must(0)
    verify(*evidence, *launch.options).must(0)
    (scratch / "text").write_bytes(base64.encodebytes(log.read_bytes()))
    verify(*evidence[:3], scratch / "text", *launch.options).must(0)

    # Of 64 MiB 32 blocks are measured, then 5 pages of the kernel, 8 of the initrd, 16 of the tree.
    # The initrd ends with a page: its first one begins with zeros.
    lead = -30001 // 4 * 4 % 4096
    for name, page, wanted in (
        ("initrd", 5, "rejected: RIM differs at step 43 (initrd page 5)"),
        ("Image", 4, "rejected: RIM differs at step 37 (kernel page 4)"),
    ):
        at = page * 4096 - (lead if name == "initrd" else 0) + 11
        flip(scratch / name, at)
        found = rejected("rim", *evidence, *launch.options)
        cli.equal(verdict(found), wanted)
        flip(scratch / name, at)
    differs = "rejected: RIM differs at step "
    for changed, wanted in (
        (["-p", "quieT"], differs + '46 (device tree page 0: command line differs from its byte 4 '
         'on: "t", expected "T")'),
        (["-c", 3], differs + "46 (device tree page 0: 2 vCPUs, expected 3)"),
        (["-m", "66M"], differs + "33 (RAM of 64 MiB, expected 66)"),
        (["--measurement-algo", "sha512"], "rejected: hash algorithm is sha-256, expected sha-512"),
        (["--no-pci"], differs + "46 (device tree page 0: a PCI bus, expected none)"),
        (["--virtio-transport", "mmio"],
         differs + "46 (device tree page 0: a PCI bus, expected none; no virtio-mmio, expected)"),
        (["--kaslr-seed", 7], differs + "46 (device tree page 0: KASLR seed 0, expected 7)"),
        (["--log-in-guest"],
         differs + "46 (device tree page 0: no place for the log, expected one)"),
    ):
        cli.equal(verdict(verify(*evidence, *launch.options, *changed)), wanted)
    found = verify(*evidence, *launch.options, "--realm-pv", "hex:aa")
    if not verdict(found).startswith("rejected: personalisation value is 0000"):
        raise AssertionError(found.out)
    # Without the log the same is rejected, but not explained.
    found = verify(launch.token, "--emulated", *launch.options, "-c", 3)
    if not verdict(found).startswith(f"rejected: RIM is {launch.rim}, expected "):
        raise AssertionError(found.out)


def test_bad_measurement_log(scratch):
    """another realm's log, a damaged log, and none"""
    launch = Launch(scratch, "-m", "64M")
    log = scratch / "log"
    cli.run("measure", *launch.options, "-c", 2, "--measurement-log", log).must(0)
    found = rejected("measurement-log", launch.token, "--emulated", "--log", log)
    if "is not of this realm's launch" not in verdict(found):
        raise AssertionError(found.out)
    log.write_bytes(log.read_bytes()[:-1])
    found = rejected("measurement-log", launch.token, "--emulated", "--log", log)
    if not verdict(found).endswith(", is cut off"):
        raise AssertionError(found.out)
    verify(launch.token, "--emulated", "--log", scratch / "none").must(1, "none")
    log.write_bytes(b"")
    verify(launch.token, "--emulated", "--log", log).must(1, "the file is empty")


def test_launch_with_rpv(scratch):
    """--realm-pv of a launch is demanded too"""
    more = ["--measurement-algo", "sha512", "--realm-pv", "hex:aabb"]
    launch = Launch(scratch, *more, algo="sha-512", rpv="aabb")
    expected = ["--emulated", *launch.options]
    verify(launch.token, *expected).must(0)
    verify(launch.token, *expected, "--rpv", "hex:aabb00").must(0)
    verify(launch.token, *expected, "--rpv", "hex:aa").must(2, "rpv: the launch options")
    rejected("rpv", mint(scratch / "t", launch.rim, rpv="aa", algo="sha-512"), *expected)


def test_launch_on_a_host(scratch):
    """without --emulated the launch is measured for a real host: assumed, or as described"""
    launch = Launch(scratch)
    token = VECTORS / "wrapped.token"
    found = rejected("platform-key", token, *launch.options)
    if ": assumed; " not in found.err:
        raise AssertionError(found.err)
    host = scratch / "host.json"
    host.write_text(cli.run("measure", *launch.options, "--json", "--realm-abi", "v15").must(0).out)
    found = rejected("platform-key", token, *launch.options, "--host", host)
    if "assumed" in found.err or "implicit-gmem" not in found.err:
        raise AssertionError(found.err)
    verify(token, *launch.options, "--host", scratch / "none").must(1, "none")
    verify(token, "--host", host).must(2, "no kernel")
    verify(launch.token, "--emulated", *launch.options, "--host", host).must(2, "on every host")


if __name__ == "__main__":
    cli.main(
        [
            test_good,
            test_other_token,
            test_emulated,
            test_anchors,
            test_policy,
            test_damaged,
            test_usage,
            test_launch_options,
            test_measurement_log,
            test_bad_measurement_log,
            test_launch_with_rpv,
            test_launch_on_a_host,
        ]
    )
