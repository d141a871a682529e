"""The trailer: what is known of a large object only when its body has been read (section 3.3)."""

from __future__ import annotations

from sseproxy.errors import FormatError, IntegrityError
from sseproxy.format.attributes import Attributes, digests_problem
from sseproxy.format.header import TAG_BYTES, Header
from sseproxy.format.layout import TRAILER_BYTES
from sseproxy.format.names import hkdf
from sseproxy.format.once import open_once, seal_once
from sseproxy.secret import Secret

_PLAIN_BYTES = TRAILER_BYTES - TAG_BYTES


def seal_trailer(attributes: Attributes, ak: Secret, data_id: bytes, header: Header) -> bytes:
    """Seal ETag and checksums as the last 256 bytes of a single-PUT object (section 3.3).

    ak: the data AK version of the envelope. ValueError if the header announces no trailer, or
    the attributes are not an ETag and possibly checksums.
    """
    if not header.has_trailer:
        raise ValueError("the header announces no trailer")
    problem = digests_problem(attributes, "a trailer")
    if problem:
        raise ValueError(problem)
    plain = attributes.encode().ljust(_PLAIN_BYTES, b"\0")
    return seal_once(_trailer_key(ak, data_id, header), plain, header.pack())


def open_trailer(data: bytes, ak: Secret, data_id: bytes, header: Header) -> Attributes:
    """Open the last 256 bytes of an object (section 3.3).

    ak: the data AK version of the envelope. IntegrityError("trailer") if they do not verify,
    FormatError if they hold anything but an ETag and possibly checksums.
    """
    if len(data) != TRAILER_BYTES:
        raise IntegrityError("trailer", f"a trailer has 256 bytes, this one {len(data)}")
    plain = open_once(
        _trailer_key(ak, data_id, header),
        data,
        header.pack(),
        reason="trailer",
        what="the trailer",
    )
    attributes = Attributes.decode(plain, padded=True)
    problem = digests_problem(attributes, "a trailer")
    if problem:
        raise FormatError(problem)
    return attributes


def _trailer_key(ak: Secret, data_id: bytes, header: Header) -> Secret:
    return hkdf(ak, header.salt, "sseproxy/v1/trailer", data_id)
