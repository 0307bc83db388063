# SPDX-License-Identifier: Apache-2.0
"""A little CBOR (RFC 8949) for the tests: a second opinion on what our own writer writes."""

import struct


class Tag:
    def __init__(self, number, value):
        self.number, self.value = number, value

    def __eq__(self, other):
        return isinstance(other, Tag) and (self.number, self.value) == (other.number, other.value)

    def __repr__(self):
        return f"{self.number}({self.value!r})"


def head(major, value):
    for extra, size, form in ((24, 1, ">B"), (25, 2, ">H"), (26, 4, ">I"), (27, 8, ">Q")):
        if value < 24:
            return bytes((major << 5 | value,))
        if value < 1 << 8 * size:
            return bytes((major << 5 | extra,)) + struct.pack(form, value)
    raise ValueError(value)


def encode(item):
    """Deterministic encoding: the shortest forms, keys in the order of their bytes"""
    if isinstance(item, int):
        return head(0, item) if item >= 0 else head(1, -1 - item)
    if isinstance(item, bytes):
        return head(2, len(item)) + item
    if isinstance(item, str):
        return head(3, len(item.encode())) + item.encode()
    if isinstance(item, list):
        return head(4, len(item)) + b"".join(map(encode, item))
    if isinstance(item, dict):
        pairs = sorted((encode(key), encode(value)) for key, value in item.items())
        return head(5, len(pairs)) + b"".join(key + value for key, value in pairs)
    if isinstance(item, Tag):
        return head(6, item.number) + encode(item.value)
    raise TypeError(item)


def _decode(data, at):
    major, value = data[at] >> 5, data[at] & 31
    at += 1
    if value >= 24:
        size = 1 << (value - 24)
        if value > 27 or at + size > len(data):
            raise ValueError(f"bad head at {at - 1}")
        value = int.from_bytes(data[at : at + size], "big")
        at += size
    if major in (0, 1):
        return (value if major == 0 else -1 - value), at
    if major in (2, 3):
        if at + value > len(data):
            raise ValueError(f"string beyond the end at {at}")
        text = data[at : at + value]
        return (text if major == 2 else text.decode()), at + value
    if major == 6:
        inner, at = _decode(data, at)
        return Tag(value, inner), at
    if major not in (4, 5):
        raise ValueError(f"major type {major} at {at - 1}")
    items = []
    for _ in range(value * (major - 3)):
        item, at = _decode(data, at)
        items.append(item)
    if major == 4:
        return items, at
    pairs = dict(zip(items[::2], items[1::2]))
    if len(pairs) != value:
        raise ValueError("a key twice")
    return pairs, at


def decode(data):
    """The one item that data is"""
    item, end = _decode(data, 0)
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes behind the end")
    return item
