"""Upload records: one JSON text for each, and no other decodes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.errors import FormatError
from sseproxy.format.attributes import CHECKSUM_TAGS
from sseproxy.format.names import ObjectName
from sseproxy.format.upload import MAX_PAYLOAD_BYTES, UploadRecord

from .helpers import NAME, SALT
from .test_attributes import exactly

RECORD = UploadRecord(NAME, "2~id", "AQID", SALT, "crc32", True, 1_767_225_600)
checksums = st.just((None, False)) | st.tuples(
    st.sampled_from(sorted(CHECKSUM_TAGS)), st.booleans()
)
texts = st.text(st.characters(codec="utf-8"), max_size=20)


@st.composite
def records(draw: st.DrawFn) -> UploadRecord:
    algorithm, composite = draw(checksums)
    return UploadRecord(
        name=ObjectName(draw(texts), draw(texts)),
        upload_id=draw(texts),
        envelope=draw(texts),
        part_key_salt=draw(exactly(16)),
        checksum_algorithm=algorithm,
        checksum_composite=composite,
        created=draw(st.integers(0, 2**53 - 1)),
    )


@given(records())
def test_decoding_gives_back_what_was_encoded(record: UploadRecord) -> None:
    assert UploadRecord.decode(record.encode()) == record


@given(records(), st.data())
def test_whatever_decodes_is_the_canonical_encoding(
    record: UploadRecord, draw: st.DataObject
) -> None:
    encoded = record.encode()
    position = draw.draw(st.integers(0, len(encoded)))
    insertion = draw.draw(st.sampled_from([b" ", b"0", b"x", b'"', b"\\u0061", b"1e1", b"{}"]))
    changed = encoded[:position] + insertion + encoded[position + draw.draw(st.integers(0, 2)) :]
    try:
        decoded = UploadRecord.decode(changed)
    except FormatError:
        return
    assert decoded.encode() == changed


def test_the_text_is_that_of_the_specification() -> None:
    assert RECORD.encode().decode() == (
        '{"bucket":"bucket","checksum":{"algorithm":"crc32","type":"COMPOSITE"},'
        '"created":1767225600,"envelope":"AQID","key":"folder/key ü",'
        f'"part_key_salt":"{SALT.hex()}","upload_id":"2~id"}}'
    )
    full = replace(RECORD, checksum_composite=False)
    assert b'"type":"FULL_OBJECT"' in full.encode()
    none = replace(full, checksum_algorithm=None)
    assert b'"checksum":null' in none.encode()
    escaped = replace(RECORD, upload_id='"\\/\b\f\n\r\t\x00\x1f\x7f\u2028')
    assert r'"upload_id":"\"\\/\b\f\n\r\t\u0000\u001f' + "\x7f\u2028" in escaped.encode().decode()


def fields() -> dict[str, Any]:
    found = json.loads(RECORD.encode())
    assert isinstance(found, dict)
    return found


def written(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize("name", ["bucket", "checksum", "created", "envelope", "key", "upload_id"])
def test_every_field_is_there_with_its_type(name: str) -> None:
    assert UploadRecord.decode(written(fields())) == RECORD
    without = fields()
    del without[name]
    wrong: tuple[Any, ...] = (True, 1.5, [], {})
    for changed in (without, *(fields() | {name: value} for value in wrong)):
        with pytest.raises(FormatError):
            UploadRecord.decode(written(changed))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"extra": 1}, "canonical"),
        ({"checksum": {"algorithm": "crc32", "extra": 1, "type": "COMPOSITE"}}, "canonical"),
        ({"checksum": {"algorithm": "crc16", "type": "COMPOSITE"}}, "no upload record"),
        ({"checksum": {"algorithm": "crc32", "type": "composite"}}, "no upload record"),
        ({"checksum": {"algorithm": None, "type": "COMPOSITE"}}, "no upload record"),
        ({"checksum": {"algorithm": "crc32"}}, "no upload record"),
        ({"checksum": "crc32"}, "no upload record"),
        ({"created": -1}, "no upload record"),
        ({"created": 2**53}, "no upload record"),
        ({"created": "5"}, "no upload record"),
        ({"part_key_salt": "00" * 15}, "no upload record"),
        ({"part_key_salt": "zz" * 16}, "no upload record"),
        ({"part_key_salt": "AB" * 16}, "canonical"),
        ({"part_key_salt": None}, "no upload record"),
    ],
)
def test_what_breaks_a_rule_is_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        UploadRecord.decode(written(fields() | change))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"NaN",
        b"\xff",
        b"[" * 100_000,
        b'{"created":' + b"9" * 5_000 + b"}",
        b"\xef\xbb\xbf" + RECORD.encode(),
        RECORD.encode().decode().encode("utf-16"),
        RECORD.encode() + b"\n",
        RECORD.encode().replace(b"2~id", b"\\ud800"),
        RECORD.encode()[:-1] + b',"upload_id":"2~id"}',
    ],
)
def test_other_bytes_are_refused(payload: bytes) -> None:
    with pytest.raises(FormatError):
        UploadRecord.decode(payload)


def test_the_length_is_bounded_before_anything_is_read() -> None:
    longest = replace(RECORD, envelope="")
    room = MAX_PAYLOAD_BYTES - len(longest.encode())
    longest = replace(longest, envelope="A" * room)
    assert UploadRecord.decode(longest.encode()) == longest
    with pytest.raises(FormatError, match="262145 bytes"):
        UploadRecord.decode(replace(longest, envelope="A" * (room + 1)).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"part_key_salt": bytes(15)},
        {"checksum_algorithm": "crc16"},
        {"checksum_algorithm": None},
        {"created": -1},
        {"created": 2**53},
    ],
)
def test_what_no_record_can_hold_is_the_callers_error(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        replace(RECORD, **change)
    with pytest.raises(ValueError):
        replace(RECORD, upload_id="\ud800").encode()
