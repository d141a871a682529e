"""The comparison itself: what it takes out of an answer, and what it sees."""

from __future__ import annotations

from tests.contract.client import Reply
from tests.contract.comparing import Comparison, Difference, Found, outcome
from tests.contract.fields import fields_of

XML = (
    b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b-1</Name>'
    b"<Contents><Key>k</Key><LastModified>2026-01-02T03:04:05.670Z</LastModified></Contents>"
    b"<Contents><Key>l</Key><Size>7</Size></Contents><Prefix/></ListBucketResult>"
)


def plain(text: str) -> str:
    return text.replace("b-1", "<bucket>")


def test_an_xml_answer_as_fields() -> None:
    headers = {"date": "now", "content-length": "300", "x-amz-request-id": "7"}
    assert fields_of(Reply(200, headers, XML), plain) == {
        "status": "200",
        "header x-amz-request-id": "<id>",
        "xml": "{http://s3.amazonaws.com/doc/2006-03-01/}ListBucketResult",
        "xml ListBucketResult/Name": "<bucket>",
        "xml ListBucketResult/Contents#1/Key": "k",
        "xml ListBucketResult/Contents#1/LastModified": "9999-99-99T99:99:99Z",
        "xml ListBucketResult/Contents#2/Key": "l",
        "xml ListBucketResult/Contents#2/Size": "7",
        "xml ListBucketResult/Prefix": "",
    }


def test_another_answer_as_fields() -> None:
    headers = {"content-length": "3", "last-modified": "Thu, 01 Dec 2094 16:00:00 GMT"}
    assert fields_of(Reply(206, headers, b"b-1"), plain) == {
        "status": "206",
        "header content-length": "3",
        "header last-modified": "<date>",
        "body": "<bucket>",
    }
    one, two = (fields_of(Reply(200, {}, body * 100), plain)["body"] for body in (b"1", b"2"))
    assert one.startswith("100 bytes, SHA-256 ")
    assert one != two


def test_what_differs_is_found() -> None:
    direct = {"one": {"status": "200", "header etag": "a", "body": "x"}, "two": {"status": "200"}}
    proxied = {
        "one": {"status": "200", "header etag": "b", "header server": "s", "body": "x"},
        "two": {"status": "404", "xml Error/Code": "NoSuchKey", "xml Error/Key": "k"},
    }
    runs = {("s", "direct"): direct, ("s", "plain"): proxied}
    assert Comparison({}, runs).found("s", "plain") == [
        Found("s / one", "header etag", "a", "b"),
        Found("s / one", "header server", None, "s"),
        # That one fails is the difference; what the error says follows from it.
        Found("s / two", "status", "200", "404"),
        Found("s / two", "xml Error/Code", None, "NoSuchKey"),
    ]
    assert outcome(proxied["one"]) == {"status": "200"}


def test_what_a_row_allows() -> None:
    row = Difference("seaweedfs", "plain", ("s / o*",), ("header e*",), "why", "-", "b*")
    assert row.is_about("seaweedfs", "plain")
    assert not row.is_about("minio", "plain")
    assert not row.is_about("seaweedfs", "encrypted")
    assert row.allows(Found("s / one", "header etag", None, "bc"))
    assert row.matching(Found("s / one", "header etag", None, "bc")) == ["s / o*"]
    for other in (
        Found("s / two", "header etag", None, "bc"),
        Found("s / one", "header server", None, "bc"),
        Found("s / one", "header etag", "a", "bc"),
        Found("s / one", "header etag", None, "c"),
        Found("s / one", "header etag", None, None),
    ):
        assert not row.allows(other)
