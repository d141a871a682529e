"""Section 4.2: the attributes, as bytes."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from tests.testkit.kit.notation import Refused

LENGTHS: Mapping[int, Sequence[int]] = {
    0x01: (8,),
    0x02: (16, 20),
    0x03: (16,),
    0x04: (32,),
    0x05: range(1, 1025),
    0x06: range(1, 257),
    0x07: (16,),
    0x10: (4,),
    0x11: (4,),
    0x12: (8,),
    0x13: (20,),
    0x14: (32,),
    0x15: (64,),
    0x16: (16,),
    0x17: (8,),
    0x18: (8,),
    0x19: (16,),
    0x1A: (8,),
}


def item(tag: int, value: bytes) -> bytes:
    length = len(value)
    return (
        bytes([tag])
        + (bytes([length]) if length < 255 else struct.pack(">BH", 255, length))
        + value
    )


def encode_attributes(items: Sequence[tuple[int, bytes]]) -> bytes:
    return b"".join(item(tag, value) for tag, value in items)


def decode_attributes(data: bytes, stage: str) -> dict[int, bytes]:
    """stage is "envelope" or "trailer"; only a trailer may end in zeros."""
    found: dict[int, bytes] = {}
    position = 0
    while position < len(data):
        tag = data[position]
        if stage == "trailer" and not any(data[position:]):
            break
        if tag not in LENGTHS:
            raise Refused(stage, f"unknown tag {tag}")
        if found and tag <= max(found):
            raise Refused(stage, "tags do not ascend")
        length, start = data[position + 1 : position + 2], position + 2
        if length == b"\xff":
            length, start = data[start : start + 2], start + 2
            if len(length) == 2 and int.from_bytes(length) < 255:
                raise Refused(stage, "a short length in the long form")
        value = data[start : start + int.from_bytes(length)]
        position = start + int.from_bytes(length)
        if not length or position > len(data) or len(value) not in LENGTHS[tag]:
            raise Refused(stage, f"the length of tag {tag}")
        found[tag] = value
    return found
