"""Reading the store's XML answers to requests of the proxy's own."""

from __future__ import annotations

from urllib.parse import unquote

from lxml import etree

from sseproxy.errors import StoreProtocolError, StoreRefused
from sseproxy.store.objects import StoreResponse

_ERROR_LIMIT_BYTES = 65536


def parse_xml(body: bytes) -> etree._Element:
    """The root element; no entities, no network. StoreProtocolError if it is not XML."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise StoreProtocolError("the store's answer is not XML") from error


def text(element: etree._Element, name: str) -> str:
    """The text of the first child of that name, of whatever namespace; "" if there is none."""
    child = element.find(f"{{*}}{name}")
    return "" if child is None or child.text is None else child.text


async def refusal(response: StoreResponse, doing: str) -> StoreRefused:
    """The store's error answer as an exception to raise. `doing` says what was being tried."""
    body = await response.read(_ERROR_LIMIT_BYTES)
    code = message = ""
    if body:
        try:
            root = parse_xml(body)
            code, message = text(root, "Code"), text(root, "Message")
        except StoreProtocolError:
            message = "no S3 error in the answer"
    said = " ".join(part for part in (str(response.status), code, message) if part)
    return StoreRefused(response.status, code, f"{doing}: the store answered {said}")


def listed_keys(body: bytes) -> tuple[list[str], str | None]:
    """The keys of one ListObjectsV2 answer, and the token of the next page if there is one."""
    root = parse_xml(body)
    encoded = text(root, "EncodingType") == "url"
    keys = [text(entry, "Key") for entry in root.iterfind("{*}Contents")]
    if encoded:
        keys = [unquote(key) for key in keys]
    if text(root, "IsTruncated") != "true":
        return keys, None
    token = text(root, "NextContinuationToken")
    if not token:
        raise StoreProtocolError("a truncated listing without a continuation token")
    return keys, token


def check_deleted(body: bytes) -> None:
    """Raise StoreRefused if a DeleteObjects answer reports a failure; not if a key was gone."""
    root = parse_xml(body)
    for error in root.iterfind("{*}Error"):
        code, message = text(error, "Code"), text(error, "Message")
        if code != "NoSuchKey":
            said = " ".join(part for part in (code, message) if part)
            raise StoreRefused(200, code, f"deleting records: the store answered {said}")
