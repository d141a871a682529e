"""What of an object a GET or HEAD asks for: Range (RFC 9110, 14.1.2), or partNumber."""

from __future__ import annotations

import re

from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.multipart_xml import part_number

# The bound on digits keeps int() cheap; 100 are far beyond any size.
_RANGE = re.compile(r"bytes=([0-9]{0,100})-([0-9]{0,100})", re.ASCII | re.IGNORECASE)


def parse_range(header: str | None, plain_size: int) -> tuple[int, int] | None:
    """The bytes asked for, (start, stop) with stop exclusive; None for the whole object.

    None also for a header that is no single byte range: S3 ignores those. Raises
    S3Error(InvalidRange) if no byte of the object is in the range, as of an empty object.
    """
    match = _RANGE.fullmatch(header) if header is not None else None
    if header is None or match is None:
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:
        suffix = min(int(last), plain_size)
        if suffix == 0:
            raise _unsatisfiable(header, plain_size)
        return plain_size - suffix, plain_size
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= plain_size:
        raise _unsatisfiable(header, plain_size)
    return start, min(int(last) + 1, plain_size) if last else plain_size


def parse_part_number(text: str | None, header: str | None) -> int | None:
    """The part asked for by `partNumber`, from 1; None if the request has none.

    header: its Range, if any. Raises S3Error: InvalidArgument for what is no
    part number, InvalidRequest for both.
    """
    if text is None:
        return None
    number = part_number(text)
    if header is not None:
        raise S3Error(
            Fault.InvalidRequest,
            "Cannot specify both Range header and partNumber query parameter",
        )
    return number


def no_such_part(number: int, count: int) -> S3Error:
    """The answer to a read of a part that an object of `count` parts does not have."""
    return S3Error(
        Fault.InvalidPartNumber, PartNumberRequested=str(number), ActualPartCount=str(count)
    )


def content_range(start: int, stop: int, plain_size: int) -> str:
    """The Content-Range of a 206 answer; stop is exclusive."""
    return f"bytes {start}-{stop - 1}/{plain_size}"


def _unsatisfiable(header: str, plain_size: int) -> S3Error:
    error = S3Error(Fault.InvalidRange, RangeRequested=header, ActualObjectSize=str(plain_size))
    error.headers["content-range"] = f"bytes */{plain_size}"
    return error
