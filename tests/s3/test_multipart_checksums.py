"""Checksums of multipart uploads: combined, composed, declared and written as S3 does."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.s3.checksums import ALGORITHMS
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.multipart_checksums import (
    BY_XML_ELEMENT,
    COMBINABLE,
    UPLOAD_TYPES,
    UploadChecksum,
    combine,
    composite,
    header_value,
    object_checksum_headers,
    parse_header_value,
    parse_upload_checksum,
    xml_element,
)
from sseproxy.s3.request import Dialect


def digest(name: str, data: bytes) -> bytes:
    hasher = ALGORITHMS[name].factory()
    hasher.update(data)
    return hasher.digest()


def declared(algorithm: str | None = None, kind: str | None = None) -> UploadChecksum | None:
    named = {"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": kind}
    return parse_upload_checksum({n: v for n, v in named.items() if v is not None})


class TestCombine:
    @pytest.mark.parametrize("name", sorted(COMBINABLE))
    @given(data=st.binary(max_size=400), cuts=st.lists(st.integers(0, 400), max_size=6))
    def test_any_split_gives_the_crc_of_the_whole(
        self, name: str, data: bytes, cuts: list[int]
    ) -> None:
        bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        pieces = [data[start:stop] for start, stop in pairwise(bounds)]
        parts = [(digest(name, piece), len(piece)) for piece in pieces]
        assert combine(name, parts) == digest(name, data)

    @pytest.mark.parametrize("name", sorted(COMBINABLE))
    def test_of_no_parts_is_the_crc_of_nothing(self, name: str) -> None:
        assert combine(name, []) == digest(name, b"")

    @pytest.mark.parametrize("name", sorted(COMBINABLE))
    def test_is_a_matter_of_order_and_of_size(self, name: str) -> None:
        one, two = (digest(name, b"one"), 3), (digest(name, b"three"), 5)
        right = combine(name, [one, two])
        assert combine(name, [two, one]) != right
        assert combine(name, [one, (two[0], 6)]) != right

    @pytest.mark.parametrize("name", sorted(COMBINABLE))
    def test_the_largest_parts(self, name: str) -> None:
        """10,000 parts of 5 GiB, by the ring's own law: grouping does not matter."""
        size = 5 * 2**30
        part = (digest(name, b"\0"), size)
        half = (combine(name, [part] * 5000), 5000 * size)
        assert combine(name, [half, half]) == combine(name, [part] * 10_000)


class TestComposite:
    @pytest.mark.parametrize("name", sorted(ALGORITHMS))
    def test_is_the_digest_of_the_digests(self, name: str) -> None:
        parts = [digest(name, data) for data in (b"a", b"b" * 1000, b"")]
        assert composite(name, parts) == digest(name, b"".join(parts))

    def test_as_known_from_the_algorithms_own_programs(self) -> None:
        parts = [hashlib.sha256(data).digest() for data in (b"one", b"two")]
        expected = hashlib.sha256(parts[0] + parts[1]).hexdigest()
        assert composite("sha256", parts).hex() == expected
        # zlib.crc32 of the big-endian zlib.crc32 of b"one" and b"two".
        parts = [bytes.fromhex("7a6c86f1"), bytes.fromhex("11ca8a66")]
        assert [digest("crc32", data) for data in (b"one", b"two")] == parts
        assert composite("crc32", parts).hex() == "b8396d48"


class TestDeclared:
    def test_none(self) -> None:
        assert declared() is None

    def test_every_algorithm_of_s3_but_none_of_cos(self) -> None:
        assert set(UPLOAD_TYPES) == set(ALGORITHMS) - {"crc64ecma"}

    @pytest.mark.parametrize("name", sorted(UPLOAD_TYPES))
    def test_default_type(self, name: str) -> None:
        expected = UploadChecksum(name, composite=name != "crc64nvme")
        assert declared(name.upper()) == declared(name) == expected

    @pytest.mark.parametrize("name", sorted(UPLOAD_TYPES))
    @pytest.mark.parametrize("kind", ["COMPOSITE", "FULL_OBJECT"])
    def test_asked_type(self, name: str, kind: str) -> None:
        full = {"crc32", "crc32c", "crc64nvme"}
        allowed = name in full if kind == "FULL_OBJECT" else name != "crc64nvme"
        if allowed:
            made = declared(name.upper(), kind)
            assert made == UploadChecksum(name, composite=kind == "COMPOSITE")
            assert made.type_name == kind
            return
        with pytest.raises(
            S3Error, match=f"The {kind} checksum type cannot be used with the {name}"
        ):
            declared(name.upper(), kind)

    @pytest.mark.parametrize(
        ("algorithm", "kind", "message"),
        [
            (None, "COMPOSITE", "can only be used with the x-amz-checksum-algorithm"),
            ("CRC32", "HALF", "Value for x-amz-checksum-type header is invalid"),
            (None, "HALF", "Value for x-amz-checksum-type header is invalid"),
            ("CRC31", None, r"unsupported.*\[CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512, MD5"),
            ("CRC64ECMA", None, "unsupported"),
            ("", None, "unsupported"),
        ],
    )
    def test_refused(self, algorithm: str | None, kind: str | None, message: str) -> None:
        with pytest.raises(S3Error, match=message) as caught:
            declared(algorithm, kind)
        assert caught.value.fault is Fault.InvalidRequest


class TestValues:
    @given(
        name=st.sampled_from(sorted(ALGORITHMS)),
        data=st.binary(max_size=20),
        parts=st.none() | st.integers(1, 10_000),
    )
    def test_round_trip(self, name: str, data: bytes, parts: int | None) -> None:
        value = digest(name, data)
        assert parse_header_value(name, header_value(name, value, parts)) == (value, parts)

    def test_as_s3_writes_them(self) -> None:
        value = digest("crc32", b"hello")
        assert header_value("crc32", value) == "NhCmhg=="
        assert header_value("crc32", value, 3) == "NhCmhg==-3"
        assert header_value("crc64ecma", digest("crc64ecma", b"hello")) == "11177612005948864433"

    @pytest.mark.parametrize(
        "text",
        [
            *("NhCmhg==-", "NhCmhg==-0", "NhCmhg==-01", "NhCmhg==-10001", "NhCmhg==-x"),
            *("NhCmhg==-1-1", "NhCmhg==-²", "NhCmhg==-999999999999"),
            *("NhCm-1", "-1", "", "NhCmhg"),
        ],
    )
    def test_malformed(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"count|base64|padding|length"):
            parse_header_value("crc32", text)


CHECKSUMS = {name: digest(name, b"x") for name in ("sha256", "crc64ecma")}
SHA256 = b64encode(digest("sha256", b"x")).decode()


class TestHeaders:
    def test_of_a_full_object(self) -> None:
        assert object_checksum_headers(CHECKSUMS, Dialect.S3) == {
            "x-amz-checksum-sha256": SHA256,
            "x-amz-checksum-type": "FULL_OBJECT",
        }

    def test_of_parts(self) -> None:
        assert object_checksum_headers(CHECKSUMS, Dialect.S3, 7) == {
            "x-amz-checksum-sha256": f"{SHA256}-7",
            "x-amz-checksum-type": "COMPOSITE",
        }

    @pytest.mark.parametrize("parts", [None, 7])
    def test_cos_callers_get_the_crc_of_the_whole(self, parts: int | None) -> None:
        headers = object_checksum_headers(CHECKSUMS, Dialect.COS, parts)
        assert list(headers) == ["x-cos-hash-crc64ecma"]
        assert headers["x-cos-hash-crc64ecma"].isdigit()

    def test_without_checksums_there_is_no_type(self) -> None:
        alone = {"crc64ecma": CHECKSUMS["crc64ecma"]}
        assert object_checksum_headers(alone, Dialect.S3, 7) == {}


def test_xml_elements_are_s3s() -> None:
    names = {"crc32": "CRC32", "crc64nvme": "CRC64NVME", "sha1": "SHA1", "xxhash128": "XXHASH128"}
    for algorithm, name in names.items():
        assert xml_element(algorithm) == f"Checksum{name}"
    assert xml_element("crc64ecma") == "CRC64"
    assert {xml_element(name): name for name in ALGORITHMS} == BY_XML_ELEMENT
