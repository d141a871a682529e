"""Digests of plaintext that clients send and are answered with (semantics.md, "ETag, size ...").

A digest is named by its algorithm, the lower-case name of S3's header x-amz-checksum-<name>; its
value is in bytes, big-endian as S3 and xxHash's canonical form have it. "md5" is also
Content-MD5; "crc64ecma" is COS's x-cos-hash-crc64ecma, an unsigned decimal on the wire.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Protocol

import anycrc
import xxhash
from fastcrc import crc32, crc64

from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import Dialect

Buffer = bytes | bytearray | memoryview

PREFIX = "x-amz-checksum-"
COS_CRC64 = "x-cos-hash-crc64ecma"
# Same prefix, but about checksums instead of one.
_NO_CHECKSUMS = {"x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-mode"}
_SHA256_HEX = re.compile("[0-9a-f]{64}")


class Hasher(Protocol):
    """What hashlib's objects do, as far as it is needed here."""

    def update(self, data: Buffer, /) -> object:
        """Take the next bytes."""

    def digest(self) -> bytes:
        """The digest of all bytes so far."""


class _Crc:
    __slots__ = ("_bytes", "_step", "_value")

    def __init__(self, step: Callable[[Buffer, int], int], digest_bytes: int) -> None:
        self._step, self._bytes, self._value = step, digest_bytes, 0

    def update(self, data: Buffer, /) -> None:
        self._value = self._step(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._bytes, "big")


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One row of the table: digest length in bytes, maker of hashers, header on the wire."""

    name: str
    digest_bytes: int
    factory: Callable[[], Hasher]
    header: str

    def encode(self, digest: bytes) -> str:
        """A digest as the header has it."""
        if self.header == COS_CRC64:
            return str(int.from_bytes(digest, "big"))
        return b64encode(digest).decode()

    def decode(self, text: str) -> bytes:
        """A header's value as a digest. Raises ValueError if malformed or of another length."""
        if self.header == COS_CRC64:
            if not (text.isascii() and text.isdigit() and len(text) <= 20):
                raise ValueError("not an unsigned decimal")
            try:
                return int(text).to_bytes(self.digest_bytes, "big")
            except OverflowError:
                raise ValueError("over 64 bits") from None
        digest = _from_base64(text)
        if len(digest) != self.digest_bytes:
            raise ValueError("wrong length")
        return digest


def _from_base64(text: str) -> bytes:
    if not text.isascii():
        raise ValueError("not base64")
    digest = b64decode(text, validate=True)
    # One value, one spelling: b64decode ignores the spare bits of the last character.
    if b64encode(digest).decode() != text:
        raise ValueError("not canonical base64")
    return digest


def _crc(step: Callable[[Buffer, int], int], digest_bytes: int) -> Callable[[], Hasher]:
    return partial(_Crc, step, digest_bytes)


def _table() -> dict[str, Algorithm]:
    md5 = partial(hashlib.md5, usedforsecurity=False)
    sha1 = partial(hashlib.sha1, usedforsecurity=False)
    # fastcrc is the fastest (30 GB/s where zlib does 2.5), but has no CRC-64/NVME.
    rows: list[tuple[str, int, Callable[[], Hasher]]] = [
        ("crc32", 4, _crc(crc32.iso_hdlc, 4)),
        ("crc32c", 4, _crc(crc32.iscsi, 4)),
        ("crc64nvme", 8, _crc(anycrc.Model("CRC64-NVME").calc, 8)),
        ("sha1", 20, sha1),
        ("sha256", 32, hashlib.sha256),
        ("sha512", 64, hashlib.sha512),
        ("md5", 16, md5),
        ("xxhash64", 8, xxhash.xxh64),
        ("xxhash3", 8, xxhash.xxh3_64),
        ("xxhash128", 16, xxhash.xxh3_128),
    ]
    table = {name: Algorithm(name, size, make, PREFIX + name) for name, size, make in rows}
    table["crc64ecma"] = Algorithm("crc64ecma", 8, _crc(crc64.xz, 8), COS_CRC64)
    return table


ALGORITHMS: Mapping[str, Algorithm] = _table()
BY_HEADER: Mapping[str, Algorithm] = {row.header: row for row in ALGORITHMS.values()}


@dataclass(frozen=True, slots=True)
class Expected:
    """The digests that a request promises of its body.

    content_md5: 16 bytes. sha256_hex: of x-amz-content-sha256, if it is a hash. checksums: by
    algorithm. trailer: algorithms promised in x-amz-trailer.
    """

    content_md5: bytes | None = None
    sha256_hex: str | None = None
    checksums: Mapping[str, bytes] = field(default_factory=dict)
    trailer: tuple[str, ...] = ()


def parse_expected(headers: Mapping[str, str], payload_hash: str | None = None) -> Expected:
    """The digests promised in a request's headers (lower-case names), about its own body.

    payload_hash: of the SigV4 claim; None: the header x-amz-content-sha256. Not for requests
    whose checksum headers are about something else (CompleteMultipartUpload). Raises S3Error:
    InvalidDigest for Content-MD5, InvalidRequest for checksums that are malformed, unknown, more
    than one, or announced and not there, BadDigest for another algorithm than announced.
    """
    content_md5 = None
    if "content-md5" in headers:
        try:
            content_md5 = ALGORITHMS["md5"].decode(headers["content-md5"])
        except ValueError:
            raise S3Error(
                Fault.InvalidDigest, "The Content-MD5 you specified is not valid."
            ) from None
    checksums = {
        _algorithm(header).name: _decode(header, headers[header])
        for header in filter(_is_checksum, headers)
    }
    trailer: tuple[str, ...] = ()
    if "x-amz-trailer" in headers:
        names = [name.strip().lower() for name in headers["x-amz-trailer"].split(",")]
        trailer = tuple(_algorithm(name).name for name in names if name)
    if len(checksums.keys() - {"crc64ecma"}) + len(trailer) > 1:
        raise S3Error(
            Fault.InvalidRequest,
            "Expecting a single x-amz-checksum- header. Multiple checksum types are not allowed.",
        )
    _check_announced(headers.get("x-amz-sdk-checksum-algorithm"), {*checksums, *trailer})
    if payload_hash is None:
        payload_hash = headers.get("x-amz-content-sha256", "")
    is_hash = _SHA256_HEX.fullmatch(payload_hash) is not None
    return Expected(content_md5, payload_hash if is_hash else None, checksums, trailer)


@lru_cache(maxsize=1024)
def _is_checksum(header: str) -> bool:
    return (header.startswith(PREFIX) and header not in _NO_CHECKSUMS) or header == COS_CRC64


def _algorithm(header: str) -> Algorithm:
    if header not in BY_HEADER:
        # A checksum that can't be checked must not be taken for one that was.
        raise S3Error(
            Fault.InvalidRequest, "The algorithm type you specified in x-amz-checksum- is invalid."
        )
    return BY_HEADER[header]


def _decode(header: str, value: str) -> bytes:
    try:
        return _algorithm(header).decode(value)
    except ValueError:
        raise S3Error(Fault.InvalidRequest, f"Value for {header} header is invalid.") from None


def _check_announced(algorithm: str | None, given: set[str]) -> None:
    if algorithm is None:
        return
    name = algorithm.lower()
    if name not in ALGORITHMS or name == "crc64ecma":
        raise S3Error(
            Fault.InvalidRequest, "Value for x-amz-sdk-checksum-algorithm header is invalid."
        )
    if not given:
        raise S3Error(
            Fault.InvalidRequest,
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
            "x-amz-trailer headers were found.",
        )
    if name not in given:
        raise S3Error(
            Fault.BadDigest,
            "The checksum is of another algorithm than x-amz-sdk-checksum-algorithm says.",
        )


class BodyDigests:
    """Digests of a body as it passes, compared at its end with what the request promised.

    also: further algorithms to compute, "md5" for an ETag. Nothing else is computed.
    """

    def __init__(self, expected: Expected, *, also: Collection[str] = ()) -> None:
        self._expected = expected
        names = {*expected.checksums, *expected.trailer, *also}
        if expected.content_md5 is not None:
            names.add("md5")
        if expected.sha256_hex is not None:
            names.add("sha256")
        self._hashers = {name: ALGORITHMS[name].factory() for name in names}
        self._updates = tuple(hasher.update for hasher in self._hashers.values())

    def update(self, data: Buffer) -> None:
        """Take the next bytes of the plaintext."""
        for update in self._updates:
            update(data)

    def finish(self, trailers: Mapping[str, str] | None = None) -> dict[str, bytes]:
        """Every digest computed, by algorithm, once all that was promised is verified.

        trailers: of the chunked body, lower-case names. Raises S3Error: BadDigest,
        XAmzContentSHA256Mismatch, MalformedTrailerError (a promised one is missing),
        InvalidRequest (a malformed one).
        """
        expected, trailers = self._expected, trailers or {}
        digests = {name: hasher.digest() for name, hasher in self._hashers.items()}
        if expected.sha256_hex is not None:
            computed = digests["sha256"].hex()
            if not hmac.compare_digest(expected.sha256_hex, computed):
                raise S3Error(
                    Fault.XAmzContentSHA256Mismatch,
                    ClientComputedContentSHA256=expected.sha256_hex,
                    S3ComputedContentSHA256=computed,
                )
        if expected.content_md5 is not None:
            _compare("Content-MD5", expected.content_md5, digests["md5"])
        for name, digest in expected.checksums.items():
            _compare(name.upper(), digest, digests[name])
        for name in expected.trailer:
            header = ALGORITHMS[name].header
            if header not in trailers:
                raise S3Error(Fault.MalformedTrailerError)
            _compare(name.upper(), _decode(header, trailers[header]), digests[name])
        return digests


def _compare(title: str, given: bytes, computed: bytes) -> None:
    if hmac.compare_digest(given, computed):
        return
    if title == "Content-MD5":
        raise S3Error(
            Fault.BadDigest,
            "The Content-MD5 you specified did not match what we received.",
            ExpectedDigest=b64encode(given).decode(),
            CalculatedDigest=b64encode(computed).decode(),
        )
    raise S3Error(
        Fault.BadDigest, f"The {title} you specified did not match the calculated checksum."
    )


def checksum_headers(checksums: Mapping[str, bytes], dialect: Dialect) -> dict[str, str]:
    """Response headers for checksums, in the caller's dialect.

    S3 callers get x-amz-checksum-*, COS callers only x-cos-hash-crc64ecma: each knows no other.
    """
    return {
        row.header: row.encode(digest)
        for name, digest in checksums.items()
        if (row := ALGORITHMS[name]).header.startswith(dialect.prefix)
    }
