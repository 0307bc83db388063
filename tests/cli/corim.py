#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Realm reference values as draft-ietf-rats-corim-10 and draft-ydb-rats-cca-endorsements-04 write
them, for comparison with ours.

    corim.py golden    write the golden files of tests/unit/test_corim.c anew
"""

import sys
from pathlib import Path

import cbor

PROFILE = "tag:arm.com,2025:endorsements/cca_realm#1.0.0"
GOLDEN = Path("tests/unit/golden")


def identity(kind, algo, rim, rpv):
    shown = "any" if rpv is None else rpv.rstrip(b"\0").hex()
    return f"ccr-run:{kind}:rim={algo}:{rim.hex()}:rpv={shown}"


def document(algo, rim, rpv=None):
    """What must be in a file, as Python values with the CoMID taken out of its byte string"""
    measurements = [{0: "cca.rim", 1: {2: [[algo, rim]]}}]
    if rpv is not None:
        measurements.append({0: "cca.rpv", 1: {4: cbor.Tag(560, rpv)}})
    comid = {
        1: {0: identity("comid", algo, rim, rpv)},
        4: {0: [[{0: {0: cbor.Tag(560, rim)}}, measurements]]},
    }
    return cbor.Tag(
        501,
        {
            0: identity("corim", algo, rim, rpv),
            1: [cbor.Tag(506, cbor.encode(comid))],
            3: cbor.Tag(32, PROFILE),
        },
    )


def golden():
    rims = {size: bytes(range(1, size + 1)) for size in (32, 64)}
    rpv = b"my realm".ljust(64, b"\0")
    return {
        "corim-sha256.cbor": document("sha-256", rims[32]),
        "corim-sha512-rpv.cbor": document("sha-512", rims[64], rpv),
    }


if __name__ == "__main__":
    if sys.argv[1:] != ["golden"]:
        sys.exit(__doc__)
    for name, item in golden().items():
        (GOLDEN / name).write_bytes(cbor.encode(item))
