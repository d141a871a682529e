"""The XML bodies of multipart uploads: what clients send and are answered, what stores answer.

Part numbers, ETags and checksums are the client's in what goes to a client and the store's in
what goes to a store; this module moves them in and out of documents and knows neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from lxml import etree

from sseproxy.errors import StoreProtocolError
from sseproxy.s3.checksums import ALGORITHMS
from sseproxy.s3.faults import XML_DECLARATION, Fault, S3Error, xml_text
from sseproxy.s3.multipart_checksums import BY_XML_ELEMENT, LARGEST_PART_NUMBER, type_name
from sseproxy.s3.xml import Content, children, document, parse_client_xml, text_of

_CHECKSUM = "Checksum"


@dataclass(frozen=True, slots=True)
class CompletedPart:
    """A part as CompleteMultipartUpload names it. etag: unquoted; checksums: by algorithm."""

    number: int
    etag: str
    checksums: Mapping[str, bytes] = field(default_factory=dict)


def part_number(text: str) -> int:
    """A part number, 1 to 10,000. Raises S3Error(InvalidArgument) for anything else."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0
    if not 1 <= number <= LARGEST_PART_NUMBER:
        raise S3Error(
            Fault.InvalidArgument,
            f"Part number must be an integer between 1 and {LARGEST_PART_NUMBER}, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=text[:32],
        )
    return number


def parse_complete(body: bytes) -> list[CompletedPart]:
    """The parts of a CompleteMultipartUpload, 1 to 10,000 in ascending order.

    Raises S3Error: MalformedXML, InvalidArgument for a number that no part has,
    InvalidRequest for a malformed checksum, InvalidPartOrder.
    """
    root = parse_client_xml(body, "CompleteMultipartUpload")
    elements = [element for element in root if isinstance(element.tag, str)]
    if not 1 <= len(elements) <= LARGEST_PART_NUMBER:
        raise S3Error(Fault.MalformedXML)
    parts = [_completed_part(element) for element in elements]
    if any(one.number >= other.number for one, other in pairwise(parts)):
        raise S3Error(Fault.InvalidPartOrder)
    return parts


def _completed_part(element: etree._Element) -> CompletedPart:
    """One Part. What clients copy from a listing (Size, LastModified) says nothing here."""
    texts: dict[str, str] = {}
    for child in element:
        if isinstance(child.tag, str):
            name = etree.QName(child).localname
            if name in texts:
                raise S3Error(Fault.MalformedXML)
            texts[name] = (child.text or "").strip()
    number, etag = texts.get("PartNumber", ""), texts.get("ETag", "").strip('"')
    named = etree.QName(element).localname == "Part"
    if not (named and etag and number.isascii() and number.isdigit()):
        raise S3Error(Fault.MalformedXML)
    checksums = {}
    for name, text in texts.items():
        if not name.startswith(_CHECKSUM) or not text:
            continue
        if name not in BY_XML_ELEMENT:  # it can't be checked, so it must not seem to have been
            raise S3Error(Fault.MalformedXML)
        algorithm = BY_XML_ELEMENT[name]
        try:
            checksums[algorithm] = ALGORITHMS[algorithm].decode(text)
        except ValueError:
            raise S3Error(Fault.InvalidRequest, f"Value for {name} is invalid.") from None
    return CompletedPart(part_number(number), etag, checksums)


def complete_request(parts: Iterable[tuple[int, str]]) -> bytes:
    """The body of a CompleteMultipartUpload for the store, of (part number, unquoted ETag)."""
    listed = [{"PartNumber": str(number), "ETag": f'"{etag}"'} for number, etag in parts]
    return document("CompleteMultipartUpload", {"Part": listed})


def initiate_result(bucket: str, key: str, upload_id: str) -> bytes:
    """The answer to CreateMultipartUpload."""
    content = {"Bucket": bucket, "Key": key, "UploadId": upload_id}
    return document("InitiateMultipartUploadResult", content)


def complete_result(
    location: str, bucket: str, key: str, etag: str, extra: Mapping[str, str]
) -> bytes:
    """The answer to CompleteMultipartUpload. etag: unquoted; extra: checksums and their type."""
    content: dict[str, Content] = {
        "Location": location,
        "Bucket": bucket,
        "Key": key,
        "ETag": f'"{etag}"',
        **extra,
    }
    return document("CompleteMultipartUploadResult", content)


class ListedPart:
    """One part of a store's ListParts. `show` puts the client's view in the place of its own."""

    def __init__(self, element: etree._Element) -> None:
        self._element = element
        number = text_of(element, "PartNumber") or ""
        self.etag = (text_of(element, "ETag") or "").strip('"')
        if not (number.isascii() and number.isdigit() and len(number) <= 5 and self.etag):
            raise StoreProtocolError("a listed part without number or ETag")
        self.number = int(number)
        self.last_modified = text_of(element, "LastModified") or ""

    def show(self, *, size: int, etag: str, checksums: Mapping[str, str]) -> None:
        """Set plain bytes, unquoted ETag, and checksums by element name; no other stays."""
        for child in list(self._element):
            name = etree.QName(child).localname if isinstance(child.tag, str) else ""
            if name in ("Size", "ETag") or name.startswith(_CHECKSUM):
                self._element.remove(child)
        for name, text in {"ETag": f'"{etag}"', "Size": str(size), **checksums}.items():
            _append(self._element, name, text)

    def hide(self) -> None:
        """Take the part out of the document."""
        parent = self._element.getparent()
        if parent is None:  # the root is never taken out
            raise AssertionError
        parent.remove(self._element)


class PartsPage:
    """One page of a store's ListParts, to be corrected.

    root: its ListPartsResult. truncated: more follow, behind `next_marker`. Raises
    StoreProtocolError for what is no such page.
    """

    def __init__(self, root: etree._Element) -> None:
        self._root = root
        self.parts = [ListedPart(element) for element in children(root, "Part")]
        self.truncated = text_of(root, "IsTruncated") == "true"
        self.next_marker = text_of(root, "NextPartNumberMarker") or ""
        if self.truncated and not self.next_marker:
            raise StoreProtocolError("a truncated list of parts without a marker")

    def tell_checksum(self, algorithm: str | None, *, composite: bool) -> None:
        """Say which checksum the client chose for the upload, if any, and none of the store's."""
        for child in list(children(self._root, "ChecksumAlgorithm", "ChecksumType")):
            self._root.remove(child)
        if algorithm is not None:
            _append(self._root, "ChecksumAlgorithm", algorithm.upper())
            _append(self._root, "ChecksumType", type_name(composite))

    def to_bytes(self) -> bytes:
        """The document with what was set."""
        return XML_DECLARATION + etree.tostring(self._root, encoding="UTF-8")


def upload_id_of(root: etree._Element) -> str:
    """The upload id in a store's InitiateMultipartUploadResult, or StoreProtocolError."""
    upload_id = text_of(root, "UploadId")
    if not upload_id:
        raise StoreProtocolError("the store's answer has no upload id")
    return upload_id


def _append(parent: etree._Element, name: str, text: str) -> None:
    namespace = etree.QName(parent).namespace
    tag = f"{{{namespace}}}{name}" if namespace else name
    etree.SubElement(parent, tag).text = xml_text(text)
