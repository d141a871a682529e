"""An error of the store's as the client is told it, where its answer can't simply be relayed."""

from __future__ import annotations

from lxml import etree

from sseproxy.errors import StoreProtocolError
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.store.answers import parse_xml, text


class StoreSaid(S3Error):
    """An error of the store's with a code that the proxy itself never gives."""

    def __init__(self, fault: Fault, status: int, code: str, message: str) -> None:
        self._status, self._code = status, code
        super().__init__(fault, message or None)

    @property
    def code(self) -> str:
        return self._code

    @property
    def status(self) -> int:
        return self._status


_BY_STATUS = {403: Fault.AccessDenied, 404: Fault.NoSuchKey, 503: Fault.ServiceUnavailable}


def store_error(status: int, body: bytes) -> S3Error:
    """The S3Error for an error answer of the store's; a late one has come with status 200.

    A code that is not in the table of faults keeps its status; one that came late has none, and is
    told by the message.
    """
    code = message = ""
    try:
        root = parse_xml(body.strip())
        code, message = text(root, "Code"), text(root, "Message")
    except StoreProtocolError:
        pass  # HEAD has no body, and a proxy in between may answer in HTML
    known = next((fault for fault in Fault if fault.code == code), None)
    if known is not None:
        return S3Error(known, message or None)
    fault = _BY_STATUS.get(status, Fault.InternalError)
    if code and status >= 400:
        return StoreSaid(fault, status, code, message)
    return S3Error(fault, f"The object store answered {code or status}. {message}".rstrip())


def success_of(body: bytes, *roots: str) -> etree._Element:
    """The document of an answer with status 200, which may be an error for all that.

    S3 begins such answers early and sends white space until the work is done. Raises S3Error for
    an error, StoreProtocolError for another document than one of `roots`.
    """
    root = parse_xml(body.strip())
    name = etree.QName(root).localname
    if name == "Error":
        raise store_error(200, body)
    if name not in roots:
        raise StoreProtocolError(f"the store's answer is no {roots[0]}")
    return root
