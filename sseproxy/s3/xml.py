"""The XML bodies that the proxy reads, corrects or writes.

Elements are found by local name, since stores differ in namespaces. DTDs are refused, so there
are no entities; nothing is fetched. What is not corrected is kept as it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self
from urllib.parse import unquote_plus

from lxml import etree

from sseproxy.errors import StoreProtocolError
from sseproxy.s3.addressing import check_key
from sseproxy.s3.faults import XML_DECLARATION, Fault, S3Error, xml_text
from sseproxy.s3.headers import is_reserved

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
MAX_DELETE_OBJECTS = 1000
_ENTRIES = ("Contents", "Version", "DeleteMarker")

Node = str | Mapping[str, "Content"]
Content = Node | Sequence[Node]


class _MalformedError(Exception):
    """Not a document this package accepts; translated by every public function."""


def parse_client_xml(body: bytes, root: str) -> etree._Element:
    """The root element of a client's document. Raises S3Error(MalformedXML) if it isn't one."""
    try:
        return _parse(body, root)
    except _MalformedError as error:
        raise S3Error(Fault.MalformedXML) from error


def children(parent: etree._Element, *names: str) -> Iterator[etree._Element]:
    """The child elements with one of these local names, in document order."""
    for element in parent:
        if local_name(element) in names:
            yield element


def local_name(element: etree._Element) -> str | None:
    """Its name without a namespace; None for comments and processing instructions."""
    tag = element.tag  # etree.QName would cost more than all the rest of a listing's entry
    return tag.rpartition("}")[2] if isinstance(tag, str) else None


def text_of(parent: etree._Element, name: str) -> str | None:
    """The text of the first child of that local name; "" if empty; None if there is none."""
    element = next(children(parent, name), None)
    return None if element is None else element.text or ""


def document(root: str, content: Mapping[str, Content], *, namespaced: bool = True) -> bytes:
    """A document of S3's: a mapping is elements, a sequence repeats its name, a str is text."""
    element = etree.Element(root, {"xmlns": NAMESPACE} if namespaced else None)
    _fill(element, content)
    return XML_DECLARATION + etree.tostring(element, encoding="UTF-8")


class Entry:
    """One object of a listing. Sizes and ETags are what the document says until `set`."""

    def __init__(self, element: etree._Element, *, url_encoded: bool) -> None:
        self._element = element
        # The first of each name, in one pass: a listing has ten thousand of them.
        self._fields: dict[str | None, etree._Element] = {}
        for child in element:
            self._fields.setdefault(local_name(child), child)
        key = self._text("Key")
        if not key:
            raise _MalformedError("an entry without a key")
        self.key = unquote_plus(key) if url_encoded else key
        self.version_id = self._text("VersionId")
        self.last_modified = self._text("LastModified") or ""
        self.is_delete_marker = local_name(element) == "DeleteMarker"
        # Unquoted; "" if there is none.
        self.etag = (self._text("ETag") or "").strip('"')
        # In bytes; None if there is none, as for a delete marker.
        self.size = _size_of(self._text("Size") or "")

    @property
    def tells_metadata(self) -> bool:
        """The store's metadata listing says what metadata the object has, be it none."""
        return "UserMetadata" in self._fields

    @cached_property
    def metadata(self) -> dict[str, str]:
        """What the store's metadata listing says, by lower-case name; {} if it has none."""
        holder = self._fields.get("UserMetadata")
        if holder is None:
            return {}
        return {name.lower(): item.text or "" for item in holder if (name := local_name(item))}

    def set(self, *, size: int, etag: str) -> None:
        """Put the client's size (bytes) and ETag (unquoted) in place of the store's."""
        self.size, self.etag = size, etag
        self._put("Size", str(size))
        self._put("ETag", f'"{etag}"')

    def drop(self, *names: str) -> None:
        """Take out the first element of each of these local names."""
        for name in names:
            element = self._fields.pop(name, None)
            if element is not None:
                _remove(element)

    def drop_reserved_metadata(self) -> None:
        """Take out of a metadata listing what only the proxy may see."""
        for holder in children(self._element, "UserMetadata"):
            for item in list(holder):
                if isinstance(item.tag, str) and is_reserved(etree.QName(item).localname):
                    _remove(item)

    def _text(self, name: str) -> str | None:
        element = self._fields.get(name)
        return None if element is None else element.text or ""

    def _put(self, name: str, text: str) -> None:
        element = self._fields.get(name)
        if element is None:
            namespace = etree.QName(self._element).namespace
            tag = f"{{{namespace}}}{name}" if namespace else name
            element = self._fields[name] = etree.SubElement(self._element, tag)
        element.text = text


def _size_of(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else None


class Listing:
    """A store's answer to ListObjects (v1, v2) or ListObjectVersions, to be corrected."""

    def __init__(self, root: etree._Element) -> None:
        self._root = root
        url_encoded = text_of(root, "EncodingType") == "url"
        self.entries = [
            Entry(element, url_encoded=url_encoded) for element in children(root, *_ENTRIES)
        ]

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a listing. Raises StoreProtocolError if the body is none."""
        try:
            return cls(_parse(body, "ListBucketResult", "ListVersionsResult"))
        except _MalformedError as error:
            raise StoreProtocolError("the store's listing is not one") from error

    def to_bytes(self) -> bytes:
        """The document with what was set."""
        return serialise(self._root)


def drop_bucket(body: bytes, name: str) -> bytes:
    """A ListAllMyBucketsResult without one bucket. Raises StoreProtocolError if it is none."""
    try:
        root = _parse(body, "ListAllMyBucketsResult", "ListAllMyDirectoryBucketsResult")
    except _MalformedError as error:
        raise StoreProtocolError("the store's list of buckets is not one") from error
    for holder in children(root, "Buckets"):
        for bucket in list(children(holder, "Bucket")):
            if text_of(bucket, "Name") == name:
                _remove(bucket)
    return serialise(root)


def copy_result(
    etag: str,
    last_modified: str,
    *,
    root: str = "CopyObjectResult",
    extra: Mapping[str, str] | None = None,
) -> bytes:
    """The answer to a copy. etag: unquoted; extra: further elements (ChecksumCRC32, CRC64)."""
    return document(root, {"LastModified": last_modified, "ETag": f'"{etag}"', **(extra or {})})


@dataclass(frozen=True, slots=True)
class DeleteItem:
    """One object of a DeleteObjects request; etag unquoted, None where there is no condition."""

    key: str
    version_id: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    size: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteRequest:
    """The body of DeleteObjects."""

    items: tuple[DeleteItem, ...]
    quiet: bool = False


def parse_delete(body: bytes) -> DeleteRequest:
    """Read the body of DeleteObjects: 1 to 1,000 objects.

    Raises S3Error: MalformedXML, or what `check_key` raises.
    """
    root = parse_client_xml(body, "Delete")
    items = tuple(_delete_item(element) for element in children(root, "Object"))
    if not 1 <= len(items) <= MAX_DELETE_OBJECTS:
        raise S3Error(Fault.MalformedXML)
    return DeleteRequest(items, quiet=(text_of(root, "Quiet") or "").strip().lower() == "true")


def delete_request(items: Iterable[DeleteItem], *, quiet: bool) -> bytes:
    """The body of a DeleteObjects request for the store."""
    objects = [
        {
            name: value
            for name, value in (
                ("Key", item.key),
                ("VersionId", item.version_id),
                ("ETag", f'"{item.etag}"' if item.etag is not None else None),
                ("LastModifiedTime", item.last_modified),
                ("Size", item.size),
            )
            if value is not None
        }
        for item in items
    ]
    return document("Delete", {"Object": objects, "Quiet": "true" if quiet else "false"})


def _delete_item(element: etree._Element) -> DeleteItem:
    names = [child.tag for child in element]
    # The document goes on as it came: nothing in it may be read in two ways.
    if len(set(names)) < len(names) or any(
        len(child) or not isinstance(child.tag, str) for child in element
    ):
        raise S3Error(Fault.MalformedXML)
    key = text_of(element, "Key")
    if not key:
        raise S3Error(Fault.MalformedXML)
    etag = text_of(element, "ETag")
    return DeleteItem(
        key=check_key(key),
        version_id=text_of(element, "VersionId") or None,
        etag=None if etag is None else etag.strip('"'),
        last_modified=text_of(element, "LastModifiedTime"),
        size=text_of(element, "Size"),
    )


def _parse(body: bytes, *roots: str) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise _MalformedError(str(error)) from error
    if (
        root.getroottree().docinfo.internalDTD is not None
        or etree.QName(root).localname not in roots
    ):
        raise _MalformedError("a document type, or another root element")
    return root


def serialise(root: etree._Element) -> bytes:
    """A document that was read, as it is now."""
    return XML_DECLARATION + etree.tostring(root, encoding="UTF-8")


def _remove(element: etree._Element) -> None:
    """Take an element out, not the text after it."""
    parent = element.getparent()
    if parent is None:  # the root is never taken out
        raise AssertionError
    previous = element.getprevious()
    if element.tail and previous is not None:
        previous.tail = (previous.tail or "") + element.tail
    elif element.tail:
        parent.text = (parent.text or "") + element.tail
    parent.remove(element)


def _fill(element: etree._Element, content: Node) -> None:
    if isinstance(content, str):
        element.text = xml_text(content)
        return
    for name, value in content.items():
        several = [value] if isinstance(value, (str, Mapping)) else value
        for item in several:
            _fill(etree.SubElement(element, name), item)
