"""A form upload's body, multipart/form-data (RFC 7578): bytes in, fields and pieces of file out.

The fields before the file count; what comes behind it is read and ignored, as S3 does. Nothing
here grows with the body.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from sseproxy.s3.faults import Fault, S3Error

MAX_FIELDS_BYTES = 20 * 1024
# Fields, the file's own head, and what may stand before the first boundary.
_MAX_BEFORE_FILE_BYTES = 64 * 1024
_BOUNDARY = re.compile(r"[ -~]{0,69}[!-~]")  # RFC 2046, 5.1.1, with more characters
_FILE = "file"


class FormReader:
    """Reads one form, fed in pieces of any size.

    content_type: of the request. fields: values by lower-case name, complete once `in_file`.
    filename: the last component of the file's name, "" if it has none. Raises S3Error:
    PreconditionFailed for another content type, MalformedPOSTRequest,
    MaxPostPreDataLengthExceededError, InvalidArgument for a repeated field or file.
    """

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        if kind != "multipart/form-data":
            raise S3Error(
                Fault.PreconditionFailed,
                Condition="Bucket POST must be of the enclosure-type multipart/form-data",
            )
        boundary = options.get("boundary", "")
        if not _BOUNDARY.fullmatch(boundary):
            raise S3Error(Fault.MalformedPOSTRequest)
        self._delimiter = b"\r\n--" + boundary.encode()
        self._parser = PushMultipartParser(boundary)
        self._name = ""
        self._value = bytearray()
        self._fields_bytes = self._fed_bytes = 0
        self.fields: dict[str, str] = {}
        self.filename = ""
        self.in_file = False
        self._behind_file = False

    def feed(self, data: bytes) -> Iterator[bytes | bytearray]:
        """Take the next bytes; yields those of the file. To be read to its end."""
        if not data:  # to the parser it would be the end
            return
        try:
            for event in self._parser.parse(data):
                if isinstance(event, MultipartSegment):
                    self._begin(event)
                elif event is None:
                    self._end()
                elif self._name == _FILE:
                    # The parser may overlook the end that follows (RFC 2046 forbids this).
                    if self._delimiter in event:
                        raise S3Error(Fault.MalformedPOSTRequest)
                    yield event
                elif not self._behind_file:
                    self._count(len(event))
                    self._value += event
        except MultipartError:
            raise S3Error(Fault.MalformedPOSTRequest) from None
        self._fed_bytes += len(data)
        if not self.in_file and self._fed_bytes > _MAX_BEFORE_FILE_BYTES:
            raise S3Error(Fault.MalformedPOSTRequest)

    def finish(self) -> None:
        """The body has ended. Raises S3Error unless the form has, and had a file."""
        try:
            self._parser.close()
        except MultipartError:
            raise S3Error(Fault.MalformedPOSTRequest) from None
        if not self._behind_file:
            raise _one_file("0")

    def _begin(self, segment: MultipartSegment) -> None:
        self._name = segment.name.lower()
        if self._behind_file:
            if self._name == _FILE:
                raise _one_file("2")
            return
        if self._name == _FILE:
            self.in_file = True
            self.filename = re.split(r"[/\\]", segment.filename or "")[-1]
            return
        if self._name in self.fields:
            raise S3Error(
                Fault.InvalidArgument,
                "A field may occur only once in a form.",
                ArgumentName=self._name,
            )
        heads = sum(len(name) + len(value) + 4 for name, value in segment.headerlist)
        self._count(len(self._delimiter) + 4 + heads)

    def _end(self) -> None:
        if self._behind_file:
            return
        if self._name == _FILE:
            self._behind_file = True
            return
        try:
            self.fields[self._name] = self._value.decode()
        except UnicodeDecodeError:
            raise S3Error(Fault.MalformedPOSTRequest) from None
        self._value.clear()

    def _count(self, size: int) -> None:
        self._fields_bytes += size
        if self._fields_bytes > MAX_FIELDS_BYTES:
            raise S3Error(
                Fault.MaxPostPreDataLengthExceededError,
                MaxPostPreDataLengthBytes=str(MAX_FIELDS_BYTES),
            )


def _one_file(count: str) -> S3Error:
    return S3Error(
        Fault.InvalidArgument,
        "POST requires exactly one file upload per request.",
        ArgumentName=_FILE,
        ArgumentValue=count,
    )
