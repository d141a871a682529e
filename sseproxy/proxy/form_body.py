"""The body of a form upload: its fields first, then the file, verified while it is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping

from sseproxy.proxy.body import COS_CHECKSUM, ClientBody
from sseproxy.proxy.exchange import Exchange
from sseproxy.s3.checksums import ALGORITHMS, BodyDigests, parse_expected
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.form import FormReader
from sseproxy.s3.post_fields import with_filename
from sseproxy.s3.post_policy import LengthRange

_ALGORITHM = "x-amz-checksum-algorithm"


class Form:
    """A form that is being read. First `read_fields`, then `pieces` to its end, then `finish`."""

    def __init__(self, exchange: Exchange) -> None:
        self._reader = FormReader(exchange.head.headers.get("content-type", ""))
        self._body = ClientBody(exchange)
        self._source = self._body.pieces()
        self._first: list[bytes | bytearray] = []

    @property
    def length(self) -> int:
        """Bytes of the whole form: more than its file has."""
        return self._body.length

    async def read_fields(self) -> dict[str, str]:
        """The fields before the file by lower-case name, variables replaced.

        Raises S3Error as FormReader does, for a form without file too.
        """
        async for data in self._source:
            self._first += self._reader.feed(bytes(data))
            if self._reader.in_file:
                break
        else:
            self.finish()
        return with_filename(self._reader.fields, self._reader.filename)

    async def pieces(self) -> AsyncIterator[bytes | bytearray]:
        """The bytes of the file."""
        for piece in self._first:
            yield piece
        async for data in self._source:
            for piece in self._reader.feed(bytes(data)):
                yield piece

    def finish(self) -> None:
        """Raise S3Error unless all of the form came, and it is one."""
        self._body.finish()
        self._reader.finish()


class FileBody:
    """The file of a form, whose length is known at its end; else a PlainBody.

    headers: of the PUT that it stands for, with the digests it promises. also: digests to
    compute beside those. Raises S3Error for promises that can't be understood.
    """

    def __init__(
        self,
        form: Form,
        headers: Mapping[str, str],
        allowed: LengthRange,
        *,
        also: Collection[str] = (),
    ) -> None:
        self._form, self._allowed = form, allowed
        expected = parse_expected(headers)
        self._promised = {*expected.checksums, *_chosen(headers)}
        self._digests = BodyDigests(expected, also={*also, *self._promised})
        self.length = 0
        self.digests: Mapping[str, bytes] = {}

    async def pieces(self) -> AsyncIterator[bytes | memoryview]:
        """The plain bytes as they arrive, each already counted and digested."""
        async for piece in self._form.pieces():
            self.length += len(piece)
            self._allowed.check_so_far(self.length)
            self._digests.update(piece)
            yield memoryview(piece)

    def finish(self) -> None:
        """Every promise kept, the policy's about the length too, or S3Error by S3's name."""
        self._form.finish()
        self._allowed.check(self.length)
        self.digests = self._digests.finish()

    def promised(self) -> dict[str, bytes]:
        """The checksums that the form has or asks for: S3's answer repeats them."""
        return {name: self.digests[name] for name in self._promised}

    def checksums(self) -> dict[str, bytes]:
        """Those, and the one that COS answers always carry."""
        return self.promised() | {COS_CHECKSUM: self.digests[COS_CHECKSUM]}


def _chosen(headers: Mapping[str, str]) -> set[str]:
    """The algorithm that the form asks to be computed. Raises S3Error (InvalidRequest)."""
    algorithm = headers.get(_ALGORITHM)
    if algorithm is None:
        return set()
    name = algorithm.lower()
    if name not in ALGORITHMS or name == COS_CHECKSUM:
        raise S3Error(
            Fault.InvalidRequest,
            "Checksum algorithm provided is unsupported.",
            ArgumentName=_ALGORITHM,
        )
    return {name}
