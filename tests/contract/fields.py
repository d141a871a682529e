"""An answer as a flat table of fields, with all that is random or a matter of time taken out.

`status`; `header NAME`; `body` for what is not XML; `xml PATH` for each text of an XML body, list
entries counted from 1 behind a `#`. An element without text and children has the value "".
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from lxml import etree

from tests.contract.client import Reply

# About the connection or the moment, not the answer.
_HOP = {"connection", "date", "keep-alive", "transfer-encoding"}
_IDS = {"x-amz-request-id", "x-amz-id-2", "RequestId", "HostId"}
_MOMENTS = {"seaweed-x-amz-noncurrent-since-ns", "x-ratelimit-limit", "x-ratelimit-remaining"}
_TIMES = {"LastModified", "Initiated", "CreationDate"}
_TOKENS = {"NextContinuationToken", "ContinuationToken", "UploadId", "NextUploadIdMarker"}
_LISTED = {"Contents", "CommonPrefixes", "Version", "DeleteMarker", "Part", "Upload", "Deleted"}
_LISTED |= {"Tag", "Rule", "Grant", "CORSRule", "Error"}
_SHOWN_BYTES = 60

Fields = dict[str, str]
Text = Callable[[str], str]


def fields_of(reply: Reply, plain: Text) -> Fields:
    """The fields of an answer. plain: replaces the names that differ from run to run."""
    fields = {"status": str(reply.status)}
    root = _parsed(reply.body)
    for name, value in reply.headers.items():
        if name not in _HOP and not (name == "content-length" and root is not None):
            fields[f"header {name}"] = _value(name, plain(value))
    if root is not None:
        fields["xml"] = root.tag
        name = etree.QName(root).localname
        _flatten(root, name[:1].upper() + name[1:], fields, plain)
    else:
        fields["body"] = _shown(reply.body, plain)
    return fields


def _parsed(body: bytes) -> etree._Element | None:
    if not body.lstrip().startswith(b"<"):
        return None
    try:
        return etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return None


def _flatten(element: etree._Element, path: str, fields: Fields, plain: Text) -> None:
    children = [child for child in element if isinstance(child.tag, str)]
    if not children:
        name = etree.QName(element).localname
        fields[f"xml {path}"] = _value(name, plain(element.text or ""))
        return
    names = [etree.QName(child).localname for child in children]
    count, seen = Counter(names), Counter[str]()
    for name, child in zip(names, children, strict=True):
        seen[name] += 1
        listed = name in _LISTED or count[name] > 1
        place = f"{path}/{name}#{seen[name]}" if listed else f"{path}/{name}"
        _flatten(child, place, fields, plain)


def _value(name: str, text: str) -> str:
    if name in _IDS:
        return "<id>" if text else ""
    if name in {"Marker", "NextMarker"}:
        # MinIO hangs a place in its cache onto markers.
        return re.sub(r"\[minio_cache:.*\]$", "<place>", text)
    if name in _MOMENTS:
        return "<moment>"
    if name in _TOKENS:
        return "<token>" if text else ""
    if name in _TIMES:
        # Go leaves out zeros at the end of a fraction.
        return re.sub(r"(T99:99:99)(\.9+)?", r"\1", re.sub(r"\d", "9", text))
    if name == "last-modified":
        parsedate_to_datetime(text)
        return "<date>" if text.endswith(" GMT") else text
    return text


def _shown(body: bytes, plain: Text) -> str:
    text = plain(body.decode("latin-1"))
    if len(text) <= _SHOWN_BYTES:
        return text
    return f"{len(text)} bytes, SHA-256 {hashlib.sha256(text.encode('latin-1')).hexdigest()}"
