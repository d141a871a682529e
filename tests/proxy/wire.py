"""A client that sends exactly the bytes a test means: requests signed by botocore, raw sockets."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import quote, urlsplit
from zlib import crc32

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from lxml import etree

from tests.proxies import InProcess
from tests.proxy.framing import REGION, STREAMING, framed_body

Headers = Mapping[str, str]


class Dropped(Exception):
    """The server ended the connection without a whole answer. `got`: what of the body came."""

    def __init__(self, got: bytes = b"", status: int | None = None) -> None:
        super().__init__(f"the connection ended after {len(got)} body bytes")
        self.got, self.status = got, status


@dataclass
class Answer:
    """One HTTP answer, as it was on the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def etag(self) -> str:
        return self.headers["etag"].strip('"')

    def text(self, name: str) -> str | None:
        """The text of the first element of that name in the XML body."""
        root = etree.fromstring(self.body)
        return (
            root.text if etree.QName(root).localname == name else root.findtext(f".//{{*}}{name}")
        )

    @property
    def code(self) -> str | None:
        """The code of an S3 error; None if the answer is none."""
        return self.text("Code") if self.body else None


class Connection:
    """One TCP connection; answers are read one by one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def end(self) -> None:
        """Nothing more will be sent."""
        self._writer.write_eof()

    async def answer(self, *, head: bool = False) -> Answer:
        """The next answer (100 Continue is one). Raises Dropped if the connection ends in it."""
        async with asyncio.timeout(20):
            try:
                block = await self._reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise Dropped from error
            status_line, *lines = block.decode("latin-1").split("\r\n")
            status = int(status_line.split(" ")[1])
            pairs = (line.split(":", 1) for line in lines if line)
            headers = {name.lower(): value.strip() for name, value in pairs}
            if head or status in (100, 204, 304):
                return Answer(status, headers, b"")
            if "content-length" not in headers:
                raise AssertionError(f"an answer without a length: {headers}")
            return Answer(status, headers, await self._body(int(headers["content-length"]), status))

    async def _body(self, length: int, status: int) -> bytes:
        body = bytearray()
        while len(body) < length:
            try:
                piece = await self._reader.read(length - len(body))
            except ConnectionError as error:
                raise Dropped(bytes(body), status) from error
            if not piece:
                raise Dropped(bytes(body), status)
            body += piece
        return bytes(body)

    async def is_closed(self) -> bool:
        """Wait for the server to close; False if it sends something instead.

        It must not wait for a body first that may never come (aiohttp: 10 s).
        """
        async with asyncio.timeout(7):
            try:
                return await self._reader.read(1) == b""
            except ConnectionError:
                return True

    async def close(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


@dataclass
class Wire:
    """The client of an in-process proxy."""

    proxy: InProcess
    access_key: str = "CLIENTKEY"
    secret_key: str = "client-secret"
    clock_skew: timedelta = timedelta()
    default_headers: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return urlsplit(self.proxy.endpoint).netloc

    def target(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """An encoded request target for a decoded path."""
        text = quote(path, safe="/-_.~")
        if query:
            pairs = (f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in query.items())
            text += "?" + "&".join(pairs)
        return text

    def signed(
        self,
        method: str,
        target: str,
        headers: Headers,
        payload_hash: str,
        *,
        expires_s: int | None = None,
    ) -> tuple[str, dict[str, str]]:
        """(target, headers) with botocore's signature; in the query if `expires_s` is given."""
        host = headers.get("host", self.host)
        request = AWSRequest(method, f"http://{host}{target}", headers=dict(headers))
        credentials = Credentials(self.access_key, self.secret_key)
        moment = datetime.now(UTC) + self.clock_skew
        if expires_s is not None:
            query_auth = S3SigV4QueryAuth(credentials, "s3", REGION, expires=expires_s)
            self._sign(query_auth, request, moment)
            parts = urlsplit(request.url)
            return f"{parts.path}?{parts.query}", {**headers, "host": host}
        request.headers["x-amz-content-sha256"] = payload_hash
        self._sign(_Auth(credentials, "s3", REGION, payload_hash), request, moment)
        return target, {**dict(request.headers.items()), "host": host}

    @staticmethod
    def _sign(auth: S3SigV4Auth, request: AWSRequest, moment: datetime) -> None:
        # What add_auth does, at a moment of ours.
        request.context["timestamp"] = moment.strftime("%Y%m%dT%H%M%SZ")
        auth._modify_request_before_signing(request)
        canonical = auth.canonical_request(request)
        signature = auth.signature(auth.string_to_sign(request, canonical), request)
        auth._inject_signature_to_request(request, signature)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        parts = urlsplit(self.proxy.endpoint)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        connection = Connection(reader, writer)
        try:
            yield connection
        finally:
            await connection.close()

    async def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Headers | None = None,
        *,
        query: Mapping[str, str] | None = None,
        payload_hash: str | None = None,
        anonymous: bool = False,
        expires_s: int | None = None,
        splits: Sequence[int] = (),
        content_length: int | None = None,
        end: bool = False,
        tamper: Headers | None = None,
    ) -> Answer:
        """Sign, send, and read the answer.

        splits: offsets at which the body is cut into separate writes. content_length: another
        than the body's. end: close the sending side after the body. tamper: headers set after
        signing.
        """
        head = self.head(
            *(method, path, body, headers),
            query=query,
            payload_hash=payload_hash,
            anonymous=anonymous,
            expires_s=expires_s,
            content_length=content_length,
            tamper=tamper,
        )
        async with self.connect() as connection:
            await connection.send(head)
            bounds = [0, *sorted(min(at, len(body)) for at in splits), len(body)]
            with suppress(ConnectionError):  # the answer may have come first
                for start, stop in pairwise(bounds):
                    await connection.send(body[start:stop])
                    if splits:
                        await asyncio.sleep(0)
                if end:
                    connection.end()
            return await connection.answer(head=method == "HEAD")

    def head(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Headers | None = None,
        *,
        query: Mapping[str, str] | None = None,
        payload_hash: str | None = None,
        anonymous: bool = False,
        expires_s: int | None = None,
        content_length: int | None = None,
        tamper: Headers | None = None,
    ) -> bytes:
        """The encoded head of a request."""
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        lower = self.default_headers | lower
        target = self.target(path, query)
        length = len(body) if content_length is None else content_length
        if anonymous:
            lower.setdefault("host", self.host)
        else:
            digest = payload_hash or hashlib.sha256(body).hexdigest()
            target, lower = self.signed(method, target, lower, digest, expires_s=expires_s)
        has_body = body or content_length is not None or method in ("PUT", "POST")
        if has_body and "transfer-encoding" not in lower:
            lower["content-length"] = str(length)
        lower |= tamper or {}
        lines = [f"{method} {target} HTTP/1.1", *(f"{n}: {v}" for n, v in lower.items())]
        return "\r\n".join((*lines, "", "")).encode()

    async def put(self, path: str, body: bytes, headers: Headers | None = None, **extra) -> Answer:
        return await self.request("PUT", path, body, headers, **extra)

    async def get(self, path: str, headers: Headers | None = None, **extra) -> Answer:
        return await self.request("GET", path, b"", headers, **extra)

    async def inspect(self, path: str, headers: Headers | None = None, **extra) -> Answer:
        """HEAD."""
        return await self.request("HEAD", path, b"", headers, **extra)

    async def copy(self, source: str, path: str, headers: Headers | None = None, **extra) -> Answer:
        named = {"x-amz-copy-source": quote(source, safe="/"), **(headers or {})}
        return await self.request("PUT", path, b"", named, **extra)

    async def put_chunked(
        self,
        path: str,
        chunks: Sequence[bytes],
        headers: Headers | None = None,
        *,
        kind: str = STREAMING,
        trailer: tuple[str, str] | None = None,
        declared: int | None = None,
        spoil: int | None = None,
        spoil_trailer: bool = False,
    ) -> Answer:
        """A PUT in aws-chunked framing. spoil: index of the chunk whose signature is wrong."""
        plain = b"".join(chunks)
        lower = {
            "content-encoding": "aws-chunked",
            "x-amz-decoded-content-length": str(len(plain) if declared is None else declared),
            **self.default_headers,
            **{n.lower(): v for n, v in (headers or {}).items()},
        }
        if trailer is not None:
            lower["x-amz-trailer"] = trailer[0]
        target, signed = self.signed("PUT", self.target(path), lower, kind)
        framed = framed_body(chunks, signed, self.secret_key, kind, trailer, spoil, spoil_trailer)
        signed["content-length"] = str(len(framed))
        lines = [f"PUT {target} HTTP/1.1", *(f"{n}: {v}" for n, v in signed.items())]
        async with self.connect() as connection:
            await connection.send("\r\n".join((*lines, "", "")).encode())
            with suppress(ConnectionError):  # the answer may have come first
                await connection.send(framed)
            return await connection.answer()


class _Auth(S3SigV4Auth):
    """S3's signature over a payload hash of the test's choosing."""

    def __init__(self, credentials: Credentials, service: str, region: str, payload: str) -> None:
        super().__init__(credentials, service, region)
        self._payload = payload

    def payload(self, request: AWSRequest) -> str:
        return self._payload


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def md5(data: bytes) -> str:
    """In hex: the ETag of an SSE-S3 object."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def content_md5(data: bytes) -> str:
    return b64(bytes.fromhex(md5(data)))


def crc32_b64(data: bytes) -> str:
    return b64(crc32(data).to_bytes(4, "big"))


def customer(key: bytes, *, copy_source: bool = False) -> dict[str, str]:
    """The three headers of SSE-C."""
    prefix = "x-amz-copy-source-" if copy_source else "x-amz-"
    prefix += "server-side-encryption-customer-"
    return {
        f"{prefix}algorithm": "AES256",
        f"{prefix}key": b64(key),
        f"{prefix}key-md5": content_md5(key),
    }
