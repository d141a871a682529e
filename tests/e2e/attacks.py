"""What a hostile store can do to an object that lies in it, and what of a client's view remains."""

from __future__ import annotations

import hashlib
import http.client
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.proxies import ProxyProcess
from tests.servers import Process

HEADER, SEGMENT, TRAILER = 64, 65552, 256
PLAIN_SEGMENT = 65536


@dataclass
class Raw:
    """An object as it lies in the store."""

    data: bytes
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass
class Got:
    """What a client got of an answer. whole: as much as was declared."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool


def fresh_bucket(proxy: ProxyProcess, prefix: str = "attack") -> str:
    bucket = f"{prefix}-{uuid.uuid4().hex[:12]}"
    proxy.client().create_bucket(Bucket=bucket)
    return bucket


def take(proxy: ProxyProcess, bucket: str, key: str) -> Raw:
    got = signed(proxy, "GET", f"/{bucket}/{key}", straight=True)
    assert got.status == 200
    prefix = "x-amz-meta-"
    metadata = {n.removeprefix(prefix): v for n, v in got.headers.items() if n.startswith(prefix)}
    return Raw(got.body, metadata)


def lay(proxy: ProxyProcess, bucket: str, key: str, raw: Raw) -> None:
    headers = {f"x-amz-meta-{name}": value for name, value in raw.metadata.items()}
    got = signed(proxy, "PUT", f"/{bucket}/{key}", headers, raw.data, straight=True)
    assert got.status == 200, got.body


class _Auth(S3SigV4Auth):
    """S3's signature, over the payload hash that the request's headers name, if they do."""

    def add_auth(self, request: AWSRequest) -> None:
        self._named = request.headers.get("x-amz-content-sha256")
        super().add_auth(request)

    def payload(self, request: AWSRequest) -> str:
        return self._named or super().payload(request)


def signed(
    proxy: ProxyProcess,
    method: str,
    target: str,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    *,
    credentials: tuple[str, str] | None = None,
    host: str | None = None,
    straight: bool = False,
) -> Got:
    """One signed request over a socket of its own; a dropped connection is a result.

    straight: to the store, past the proxy. host: signed and sent in the Host header.
    """
    server: ProxyProcess | Process = proxy.store if straight else proxy
    host = host or server.endpoint.split("//")[1]
    request = AWSRequest(method, f"http://{host}{target}", dict(headers or {}), body)
    pair = credentials or (server.access_key, server.secret_key)
    _Auth(Credentials(*pair), "s3", "us-east-1").add_auth(request)
    return send(
        server.endpoint, method, target, {**dict(request.headers.items()), "host": host}, body
    )


def send(
    endpoint: str,
    method: str,
    target: str,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> Got:
    """One request with exactly these headers."""
    connection = http.client.HTTPConnection(endpoint.split("//")[1], timeout=30)
    try:
        connection.request(method, target, body or None, headers or {})
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        got = bytearray()
        try:
            while piece := answer.read1(1 << 20):
                got += piece
            whole = method == "HEAD" or len(got) == int(named.get("content-length", len(got)))
        except (http.client.IncompleteRead, ConnectionError):
            whole = False
        return Got(answer.status, named, bytes(got), whole)
    finally:
        connection.close()


def integrity_failures(proxy: ProxyProcess) -> float:
    lines = re.findall(r"^sseproxy_integrity_failures_total\{.*\} (\S+)$", proxy.metrics(), re.M)
    return sum(map(float, lines))


Attack = Callable[[Raw, Raw], Raw]


def flip(at: int) -> Attack:
    """One bit, at an offset from the start or (negative) the end."""

    def attack(raw: Raw, _other: Raw) -> Raw:
        data = bytearray(raw.data)
        data[at] ^= 1
        return Raw(bytes(data), raw.metadata)

    return attack


def cut(size: int) -> Attack:
    """Keep the first `size` bytes; negative: all but so many."""
    return lambda raw, _other: Raw(raw.data[:size], raw.metadata)


def segment(data: bytes, index: int) -> bytes:
    return data[HEADER + index * SEGMENT : HEADER + (index + 1) * SEGMENT]


def with_segments(raw: Raw, order: list[tuple[Raw, int]], tail: int) -> Raw:
    """The first segments replaced by others; from byte `tail` of the object on it is as it was."""
    body = b"".join(segment(source.data, index) for source, index in order)
    return Raw(raw.data[:HEADER] + body + raw.data[tail:], raw.metadata)


def metadata_flip(at: int) -> Attack:
    def attack(raw: Raw, _other: Raw) -> Raw:
        text = raw.metadata["sseproxy"]
        place = at % len(text)
        new = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        return Raw(raw.data, {**raw.metadata, "sseproxy": new})

    return attack


def envelope(value: str) -> Attack:
    return lambda raw, _other: Raw(raw.data, {**raw.metadata, "sseproxy": value})


# Of both sizes. The number is how many plain bytes may still be released: the verified segments.
ANY_SIZE: dict[str, Attack] = {
    "header magic": flip(0),
    "header version": flip(8),
    "header length": flip(23),
    "header reserved": flip(30),
    "header salt": flip(48),
    "first segment": flip(HEADER),
    "first segment's middle": flip(HEADER + 1000),
    "cut to nothing": cut(0),
    "cut to a byte": cut(1),
    "cut to the header": cut(HEADER),
    "cut by a byte": cut(-1),
    "cut by a tag": cut(-16),
    "appended byte": lambda raw, _o: Raw(raw.data + b"\0", raw.metadata),
    "appended itself": lambda raw, _o: Raw(raw.data + raw.data, raw.metadata),
    "prepended byte": lambda raw, _o: Raw(b"\0" + raw.data, raw.metadata),
    "another object's bytes": lambda raw, other: Raw(other.data, raw.metadata),
    "another object's envelope": lambda raw, other: Raw(raw.data, other.metadata),
    "another object": lambda _raw, other: other,
    "envelope version": metadata_flip(0),
    "envelope mode": metadata_flip(2),
    "envelope keyring": metadata_flip(8),
    "envelope data id": metadata_flip(50),
    "envelope's wrapped key": metadata_flip(120),
    "envelope's attributes": metadata_flip(-10),
    "envelope's last character": metadata_flip(-1),
    "envelope no base64": envelope("!!!!"),
    "envelope of zeros": envelope("A" * 300),
    "envelope twice": lambda raw, _o: Raw(
        raw.data, {"sseproxy": raw.metadata["sseproxy"] + "," + raw.metadata["sseproxy"]}
    ),
}
# Of an object of ten segments and a trailer: the attack, and the plain segments before it.
LARGE: dict[str, tuple[Attack, int]] = {
    **{f"segment {i}": (flip(HEADER + i * SEGMENT + 7), i) for i in range(10)},
    "tag of segment 0": (flip(HEADER + SEGMENT - 1), 0),
    "tag of segment 4": (flip(HEADER + 5 * SEGMENT - 1), 4),
    "tag of the last segment": (flip(-TRAILER - 1), 9),
    "trailer": (flip(-TRAILER), 0),
    "trailer's tag": (flip(-1), 0),
    "cut at a segment": (cut(HEADER + 5 * SEGMENT), 0),
    "cut before the trailer": (cut(-TRAILER), 0),
    "a segment left out": (
        lambda raw, _o: with_segments(raw, [(raw, 0)], HEADER + 2 * SEGMENT),
        0,
    ),
    "segments 0 and 1 reordered": (
        lambda raw, _o: with_segments(raw, [(raw, 1), (raw, 0)], HEADER + 2 * SEGMENT),
        0,
    ),
    "segments 3 and 4 reordered": (
        lambda raw, _o: with_segments(
            raw, [(raw, i) for i in (0, 1, 2, 4, 3)], HEADER + 5 * SEGMENT
        ),
        3,
    ),
    "segment 1 repeated": (
        lambda raw, _o: with_segments(raw, [(raw, 0), (raw, 1), (raw, 1)], HEADER + 3 * SEGMENT),
        2,
    ),
    "segment 2 of another object": (
        lambda raw, other: with_segments(
            raw, [(raw, 0), (raw, 1), (other, 2)], HEADER + 3 * SEGMENT
        ),
        2,
    ),
}


def windows(plain: bytes) -> Iterator[bytes]:
    """Blocks of which any copy of 31 bytes of the plaintext holds one."""
    for start in range(0, len(plain) - 15, 16):
        yield plain[start : start + 16]


def md5_hex(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
