"""XML that is read, corrected and written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from sseproxy.errors import StoreProtocolError
from sseproxy.s3 import xml
from sseproxy.s3.faults import Fault, S3Error

NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
LISTING = f"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult {NS}><Name>b</Name><Prefix>a &amp; b</Prefix><!-- kept -->
  <Contents><Key>a+b%2F%C3%BC</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>
    <ETag>&#34;sealed&#34;</ETag><Size>65616</Size><StorageClass>STANDARD</StorageClass>
    <UserMetadata><!-- x --><X-Amz-Meta-Sseproxy>env</X-Amz-Meta-Sseproxy><empty/></UserMetadata>
    <Owner><ID>o</ID></Owner></Contents>
  <Contents><Key>plain</Key><LastModified>x</LastModified></Contents>
  <CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes><IsTruncated>false</IsTruncated>
  <EncodingType>url</EncodingType></ListBucketResult>""".encode()
BOMB = b'<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'


def test_entries_of_a_listing() -> None:
    first, second = xml.Listing.parse(LISTING).entries
    assert (first.key, first.etag, first.size) == ("a b/ü", "sealed", 65616)
    assert first.last_modified == "2026-01-01T00:00:00.000Z"
    assert first.metadata == {"x-amz-meta-sseproxy": "env", "empty": ""}
    assert (first.tells_metadata, second.tells_metadata) == (True, False)
    assert (first.version_id, first.is_delete_marker) == (None, False)
    assert (second.key, second.etag, second.size, second.metadata) == ("plain", "", None, {})


def canonical(body: bytes) -> bytes:
    return etree.tostring(etree.fromstring(body), method="c14n")


def test_a_listing_is_kept_as_it_came() -> None:
    assert canonical(xml.Listing.parse(LISTING).to_bytes()) == canonical(LISTING)


def test_a_corrected_listing_differs_in_what_was_set_alone() -> None:
    listing = xml.Listing.parse(LISTING)
    listing.entries[0].set(size=11, etag="plain-2")
    expected = LISTING.replace(b"65616", b"11").replace(b"sealed", b"plain-2")
    assert canonical(listing.to_bytes()) == canonical(expected)
    again = xml.Listing.parse(listing.to_bytes()).entries[0]
    assert (again.size, again.etag) == (11, "plain-2")


def test_what_is_missing_is_added_in_the_same_namespace() -> None:
    listing = xml.Listing.parse(LISTING)
    listing.entries[1].set(size=1, etag="e")
    root = etree.fromstring(listing.to_bytes())
    assert (
        root.findall("{*}Contents")[1].findtext("{http://s3.amazonaws.com/doc/2006-03-01/}Size")
        == "1"
    )
    bare = b"<ListBucketResult><Contents><Key>a%20</Key></Contents></ListBucketResult>"
    listing = xml.Listing.parse(bare)
    assert listing.entries[0].key == "a%20"
    listing.entries[0].set(size=1, etag="e")
    assert b'<Size>1</Size><ETag>"e"</ETag>' in listing.to_bytes()


def test_metadata_can_be_dropped() -> None:
    listing = xml.Listing.parse(LISTING)
    for entry in listing.entries:
        entry.drop("UserMetadata", "UserTags")
    assert b"env" not in listing.to_bytes()
    assert listing.entries[0].metadata == {}
    assert b"<Owner><ID>o</ID></Owner>" in listing.to_bytes()


def test_versions_and_delete_markers() -> None:
    body = f"""<ListVersionsResult {NS}>
      <Version><Key>k</Key><VersionId>2</VersionId><Size>1</Size></Version>
      <DeleteMarker><Key>k</Key><VersionId>1</VersionId></DeleteMarker></ListVersionsResult>"""
    version, marker = xml.Listing.parse(body.encode()).entries
    assert (version.version_id, version.is_delete_marker) == ("2", False)
    assert (marker.version_id, marker.is_delete_marker, marker.size) == ("1", True, None)


@pytest.mark.parametrize("size", ["", "-1", "x", "٣", "1" * 20])
def test_a_size_is_a_number(size: str) -> None:
    body = (
        f"<ListBucketResult><Contents><Key>k</Key><Size>{size}</Size></Contents></ListBucketResult>"
    )
    assert xml.Listing.parse(body.encode()).entries[0].size is None


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"not xml", b"<Error/>", b"<ListBucketResult>", b"\xff", b"<a>&b;</a>"),
        b"<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
        b"<ListBucketResult><Contents><Key/></Contents></ListBucketResult>",
        BOMB + b"<ListBucketResult>&b;</ListBucketResult>",
        b'<!DOCTYPE d SYSTEM "file:///etc/passwd"><ListBucketResult/>',
        b"<!DOCTYPE d><ListBucketResult/>",
    ],
)
def test_what_is_no_listing(body: bytes) -> None:
    with pytest.raises(StoreProtocolError):
        xml.Listing.parse(body)
    with pytest.raises(StoreProtocolError):
        xml.drop_bucket(body, "b")
    with pytest.raises(S3Error) as caught:
        xml.parse_delete(body)
    assert caught.value.fault is Fault.MalformedXML


@given(st.binary())
def test_any_bytes_are_a_listing_or_refused(body: bytes) -> None:
    with pytest.raises(StoreProtocolError):
        xml.Listing.parse(body)


@pytest.mark.parametrize("name", ["a", "b", "c", "d"])
def test_a_bucket_is_dropped_and_nothing_else(name: str) -> None:
    buckets = {item: f"<Bucket><Name>{item}</Name></Bucket>" for item in "abc"}
    start = f"<ListAllMyBucketsResult {NS}><Owner><ID>o</ID></Owner><Buckets>\n"
    end = "</Buckets></ListAllMyBucketsResult>"
    body = start + "\n".join(buckets.values()) + "\n" + end
    expected = body.replace(buckets.get(name, "not in it"), "")
    assert canonical(xml.drop_bucket(body.encode(), name)) == canonical(expected.encode())
    dense = start.strip() + "".join(buckets.values()) + end
    expected = dense.replace(buckets.get(name, "not in it"), "")
    assert canonical(xml.drop_bucket(dense.encode(), name)) == canonical(expected.encode())


def test_copy_results() -> None:
    body = xml.copy_result("e-2", "2026", root="CopyPartResult", extra={"ChecksumCRC32": "x"})
    assert body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
    root = etree.fromstring(body)
    assert etree.QName(root).localname == "CopyPartResult"
    assert xml.text_of(root, "ETag") == '"e-2"'
    assert xml.text_of(root, "LastModified") == "2026"
    assert xml.text_of(root, "ChecksumCRC32") == "x"
    assert b"<CopyObjectResult " in xml.copy_result("e", "2026")


def test_documents_nest_and_repeat() -> None:
    body = xml.document("A", {"B": ["1", {"C": "<\x00"}], "D": []}, namespaced=False)
    assert body.endswith("<A><B>1</B><B><C>&lt;\ufffd</C></B></A>".encode())


def test_text_of_a_client_document() -> None:
    root = xml.parse_client_xml(b"<A><B/><C>x</C></A>", "A")
    assert [xml.text_of(root, name) for name in "BCD"] == ["", "x", None]


ITEMS = [
    xml.DeleteItem("a b"),
    xml.DeleteItem("k", "v", "e", "Mon, 04 May 2026 12:00:00 GMT", "3"),
]


@pytest.mark.parametrize("quiet", [False, True])
def test_delete_requests_are_read_as_written(quiet: bool) -> None:
    body = xml.delete_request(ITEMS, quiet=quiet)
    assert xml.parse_delete(body) == xml.DeleteRequest(tuple(ITEMS), quiet=quiet)


def test_delete_requests_without_namespace_and_quiet() -> None:
    found = xml.parse_delete(b"<Delete><Object><Key>k</Key><VersionId/></Object></Delete>")
    assert found == xml.DeleteRequest((xml.DeleteItem("k"),), quiet=False)


@pytest.mark.parametrize("count", [0, 1001])
def test_delete_requests_have_1_to_1000_objects(count: int) -> None:
    with pytest.raises(S3Error) as caught:
        xml.parse_delete(xml.delete_request([xml.DeleteItem("k")] * count, quiet=False))
    assert caught.value.fault is Fault.MalformedXML


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        ("<Key></Key>", Fault.MalformedXML),
        ("<VersionId>v</VersionId>", Fault.MalformedXML),
        ("<Key>k</Key><Key>l</Key>", Fault.MalformedXML),
        ("<Key>k<b/></Key>", Fault.MalformedXML),
        ("<Key>k</Key><!-- l -->", Fault.MalformedXML),
        ("<Key>../other/k</Key>", Fault.InvalidURI),
        (f"<Key>{'k' * 1025}</Key>", Fault.KeyTooLongError),
    ],
)
def test_keys_in_a_delete_request_are_checked(item: str, fault: Fault) -> None:
    with pytest.raises(S3Error) as caught:
        xml.parse_delete(f"<Delete><Object>{item}</Object></Delete>".encode())
    assert caught.value.fault is fault


KEYS = st.text(
    st.characters(
        codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"
    ),
    min_size=1,
    max_size=100,
).filter(lambda key: ".." not in key)


@given(st.lists(KEYS, min_size=1, max_size=5), st.booleans())
def test_keys_survive_a_delete_request(keys: list[str], quiet: bool) -> None:
    items = [xml.DeleteItem(key) for key in keys]
    found = xml.parse_delete(xml.delete_request(items, quiet=quiet))
    assert [item.key for item in found.items] == keys


def test_a_metadata_listing_loses_what_only_the_proxy_may_see() -> None:
    listing = xml.Listing.parse(
        b"<ListBucketResult><Contents><Key>k</Key><UserMetadata><!-- x -->"
        b"<X-Amz-Meta-Sseproxy>env</X-Amz-Meta-Sseproxy><X-Amz-Meta-A>kept</X-Amz-Meta-A>"
        b"</UserMetadata></Contents></ListBucketResult>"
    )
    listing.entries[0].drop_reserved_metadata()
    assert listing.entries[0].metadata == {"x-amz-meta-a": "kept"}
    assert b"env" not in listing.to_bytes()
