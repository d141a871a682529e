"""Checksums: known values of every algorithm, parsing of promises, and their verification."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.s3.checksums import (
    ALGORITHMS,
    BodyDigests,
    Expected,
    checksum_headers,
    parse_expected,
)
from sseproxy.s3.faults import S3Error
from sseproxy.s3.request import Dialect

# The check value of each algorithm's definition: its digest of "123456789" in hex.
CHECK = {
    "crc32": "cbf43926",
    "crc32c": "e3069283",
    "crc64nvme": "ae8b14860a799888",
    "crc64ecma": "995dc9bbdf1939fa",
    "md5": "25f9e794323b453885f5181f1b624d0b",
    "sha1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    "sha256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
    "sha512": "d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274a"
    "d27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85",
    "xxhash64": "8cb841db40e6ae83",
    "xxhash3": "72dcb18b67a17dff",
    "xxhash128": "33119477ede5dcd5e9716427681d5860",
}
HELLO_CRC32 = "NhCmhg=="


def digest(name: str, *pieces: bytes) -> bytes:
    hasher = ALGORITHMS[name].factory()
    for piece in pieces:
        hasher.update(piece)
    return hasher.digest()


class TestAlgorithms:
    def test_every_algorithm_has_a_check_value(self) -> None:
        assert set(CHECK) == set(ALGORITHMS)

    @pytest.mark.parametrize("name", sorted(CHECK))
    def test_check_value(self, name: str) -> None:
        computed = digest(name, b"123456789")
        assert computed.hex() == CHECK[name]
        assert len(computed) == ALGORITHMS[name].digest_bytes == len(digest(name))

    @pytest.mark.parametrize("name", sorted(CHECK))
    @given(data=st.binary(max_size=300), cut=st.integers(0, 300))
    def test_pieces_of_any_buffer_type_add_up(self, name: str, data: bytes, cut: int) -> None:
        whole = digest(name, data)
        assert digest(name, bytearray(data[:cut]), b"", memoryview(data)[cut:]) == whole
        row = ALGORITHMS[name]
        assert row.decode(row.encode(whole)) == whole

    @pytest.mark.parametrize(
        ("name", "reflected_polynomial"),
        [
            ("crc32", 0xEDB88320),
            ("crc32c", 0x82F63B78),
            ("crc64nvme", 0x9A6C9329AC4BC9B5),
            ("crc64ecma", 0xC96C5795D7870F42),
        ],
    )
    @given(data=st.binary(max_size=300))
    def test_crcs_agree_with_their_polynomial(
        self, name: str, reflected_polynomial: int, data: bytes
    ) -> None:
        mask = (1 << 8 * ALGORITHMS[name].digest_bytes) - 1
        crc = mask
        for byte in data:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ (reflected_polynomial if crc & 1 else 0)
        assert int.from_bytes(digest(name, data), "big") == crc ^ mask

    @given(st.binary(max_size=300))
    def test_xxhashes_are_big_endian_with_seed_0(self, data: bytes) -> None:
        assert int.from_bytes(digest("xxhash64", data), "big") == xxhash.xxh64_intdigest(data)
        assert int.from_bytes(digest("xxhash3", data), "big") == xxhash.xxh3_64_intdigest(data)
        assert int.from_bytes(digest("xxhash128", data), "big") == xxhash.xxh3_128_intdigest(data)

    @pytest.mark.parametrize(
        ("data", "text"),
        [
            (b"123456789", "11051210869376104954"),
            (b"hello", "11177612005948864433"),
            (b"", "0"),
        ],
    )
    def test_cos_crc64_is_a_decimal(self, data: bytes, text: str) -> None:
        row = ALGORITHMS["crc64ecma"]
        assert row.encode(digest("crc64ecma", data)) == text
        assert row.decode(text) == digest("crc64ecma", data)

    @pytest.mark.parametrize(
        "text", ["", "-1", "1_0", "\u0661", "18446744073709551616", "9" * 5000, "NhCmhg=="]
    )
    def test_a_malformed_decimal(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"decimal|64 bits"):
            ALGORITHMS["crc64ecma"].decode(text)

    @pytest.mark.parametrize(
        "text", ["", "NhCmhg", "NhCmh", "NhCmhh==", "NhCmhg==\n", " NhCmhg==", "é", "AAAAAAA="]
    )
    def test_malformed_base64(self, text: str) -> None:
        with pytest.raises(ValueError):
            ALGORITHMS["crc32"].decode(text)


class TestParseExpected:
    def test_nothing_is_promised(self) -> None:
        assert parse_expected({"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}) == Expected()

    @pytest.mark.parametrize("name", sorted(CHECK))
    def test_each_header(self, name: str) -> None:
        row = ALGORITHMS[name]
        value = bytes.fromhex(CHECK[name])
        expected = parse_expected({row.header: row.encode(value)})
        assert expected.checksums == {name: value}

    def test_everything_at_once(self) -> None:
        expected = parse_expected(
            {
                "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==",
                "x-amz-content-sha256": "0a" * 32,
                "x-amz-trailer": " X-Amz-Checksum-CRC32 ",
                "x-amz-sdk-checksum-algorithm": "CRC32",
                "x-amz-checksum-algorithm": "CRC32",
                "x-amz-checksum-type": "FULL_OBJECT",
                "x-amz-checksum-mode": "ENABLED",
                "x-cos-hash-crc64ecma": "0",
            }
        )
        assert expected.content_md5 == hashlib.md5(b"").digest()
        assert expected.sha256_hex == "0a" * 32
        assert expected.trailer == ("crc32",)
        assert expected.checksums == {"crc64ecma": bytes(8)}

    def test_the_claims_payload_hash_goes_before_the_header(self) -> None:
        headers = {"x-amz-content-sha256": "0a" * 32}
        assert parse_expected(headers, "UNSIGNED-PAYLOAD").sha256_hex is None
        assert parse_expected({}, "0b" * 32).sha256_hex == "0b" * 32

    @pytest.mark.parametrize("value", ["", "!", "AAAA", b64encode(bytes(17)).decode()])
    def test_a_malformed_content_md5(self, value: str) -> None:
        with pytest.raises(S3Error) as caught:
            parse_expected({"content-md5": value})
        assert caught.value.code == "InvalidDigest"

    @pytest.mark.parametrize(
        ("headers", "code"),
        [
            ({"x-amz-checksum-crc32": "AAAA"}, "InvalidRequest"),
            ({"x-amz-checksum-crc32": HELLO_CRC32 + "-2"}, "InvalidRequest"),
            ({"x-cos-hash-crc64ecma": "x"}, "InvalidRequest"),
            ({"x-amz-checksum-crc16": "AAA="}, "InvalidRequest"),
            ({"x-amz-checksum-crc64ecma": "0"}, "InvalidRequest"),
            ({"x-amz-trailer": "x-amz-meta-a"}, "InvalidRequest"),
            ({"x-amz-trailer": "x-amz-checksum-crc32,x-amz-checksum-sha1"}, "InvalidRequest"),
            (
                {"x-amz-checksum-crc32": HELLO_CRC32, "x-amz-checksum-crc32c": HELLO_CRC32},
                "InvalidRequest",
            ),
            (
                {"x-amz-checksum-crc32": HELLO_CRC32, "x-amz-trailer": "x-amz-checksum-crc32"},
                "InvalidRequest",
            ),
            ({"x-amz-sdk-checksum-algorithm": "CRC32"}, "InvalidRequest"),
            ({"x-amz-sdk-checksum-algorithm": "CRC16"}, "InvalidRequest"),
            ({"x-amz-sdk-checksum-algorithm": "CRC64ECMA"}, "InvalidRequest"),
            (
                {"x-amz-checksum-crc32": HELLO_CRC32, "x-amz-sdk-checksum-algorithm": "SHA1"},
                "BadDigest",
            ),
        ],
    )
    def test_promises_that_can_not_be_kept(self, headers: dict[str, str], code: str) -> None:
        with pytest.raises(S3Error) as caught:
            parse_expected(headers)
        assert caught.value.code == code

    @given(
        st.dictionaries(
            st.sampled_from(
                [
                    "content-md5",
                    "x-amz-content-sha256",
                    "x-amz-trailer",
                    "x-amz-sdk-checksum-algorithm",
                    *(row.header for row in ALGORITHMS.values()),
                ]
            ),
            st.one_of(st.text(max_size=30), st.sampled_from([HELLO_CRC32, "CRC32", "0"])),
        )
    )
    def test_arbitrary_values_raise_only_s3_errors(self, headers: dict[str, str]) -> None:
        try:
            parse_expected(headers)
        except S3Error:
            return
        assert not any(headers[name] == "" for name in headers if "checksum-crc" in name)


def digest_hello(headers: dict[str, str], trailers: dict[str, str] | None = None) -> object:
    digests = BodyDigests(parse_expected(headers))
    digests.update(b"hel")
    digests.update(memoryview(b"lo"))
    return digests.finish(trailers)


class TestBodyDigests:
    @given(st.binary(max_size=200), st.integers(0, 200))
    def test_what_was_promised_and_asked_for_is_returned(self, data: bytes, cut: int) -> None:
        md5 = hashlib.md5(data).digest()
        headers = {
            "content-md5": b64encode(md5).decode(),
            "x-amz-content-sha256": hashlib.sha256(data).hexdigest(),
            "x-amz-trailer": "x-amz-checksum-crc32c",
        }
        digests = BodyDigests(parse_expected(headers), also=("md5", "crc64ecma"))
        digests.update(data[:cut])
        digests.update(memoryview(data)[cut:])
        crc32c = digest("crc32c", data)
        assert digests.finish({"x-amz-checksum-crc32c": b64encode(crc32c).decode()}) == {
            "md5": md5,
            "sha256": hashlib.sha256(data).digest(),
            "crc32c": crc32c,
            "crc64ecma": digest("crc64ecma", data),
        }

    def test_nothing_else_is_computed(self) -> None:
        assert digest_hello({}) == {}

    @pytest.mark.parametrize("name", sorted(CHECK))
    def test_a_wrong_checksum_header(self, name: str) -> None:
        row = ALGORITHMS[name]
        right = digest(name, b"hello")
        assert digest_hello({row.header: row.encode(right)}) == {name: right}
        wrong = right[:-1] + bytes([right[-1] ^ 1])
        with pytest.raises(S3Error) as caught:
            digest_hello({row.header: row.encode(wrong)})
        assert caught.value.code == "BadDigest"
        assert name.upper() in caught.value.message

    def test_a_wrong_content_md5(self) -> None:
        with pytest.raises(S3Error) as caught:
            digest_hello({"content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="})
        assert caught.value.code == "BadDigest"
        assert caught.value.fields["CalculatedDigest"] == "XUFAKrxLKna5cZ2REBfFkg=="

    def test_a_right_checksum_does_not_excuse_a_wrong_content_md5(self) -> None:
        md5 = b64encode(hashlib.md5(b"hello").digest()).decode()
        with pytest.raises(S3Error, match="BadDigest"):
            digest_hello({"content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==", "x-amz-checksum-md5": md5})

    def test_a_wrong_payload_hash(self) -> None:
        with pytest.raises(S3Error) as caught:
            digest_hello({"x-amz-content-sha256": "0a" * 32})
        assert caught.value.code == "XAmzContentSHA256Mismatch"
        assert caught.value.fields == {
            "ClientComputedContentSHA256": "0a" * 32,
            "S3ComputedContentSHA256": hashlib.sha256(b"hello").hexdigest(),
        }

    @pytest.mark.parametrize(
        ("trailers", "code"),
        [
            (None, "MalformedTrailerError"),
            ({"x-amz-checksum-crc32c": HELLO_CRC32}, "MalformedTrailerError"),
            ({"x-amz-checksum-crc32": "AAAA"}, "InvalidRequest"),
            ({"x-amz-checksum-crc32": "AAAAAA=="}, "BadDigest"),
        ],
    )
    def test_a_wrong_trailer(self, trailers: dict[str, str] | None, code: str) -> None:
        headers = {"x-amz-trailer": "x-amz-checksum-crc32"}
        assert digest_hello(headers, {"x-amz-checksum-crc32": HELLO_CRC32})
        with pytest.raises(S3Error) as caught:
            digest_hello(headers, trailers)
        assert caught.value.code == code


def test_response_headers_are_of_the_callers_dialect() -> None:
    checksums = {"crc32": bytes.fromhex("3610a686"), "crc64ecma": bytes(7) + b"\x07"}
    assert checksum_headers(checksums, Dialect.S3) == {"x-amz-checksum-crc32": HELLO_CRC32}
    assert checksum_headers(checksums, Dialect.COS) == {"x-cos-hash-crc64ecma": "7"}
