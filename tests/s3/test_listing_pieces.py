"""Listings cut as bytes: the same entries as a parser finds, or none at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.s3.listing_pieces import ListingPieces
from sseproxy.s3.xml import Listing, document

ENTRY = "<Contents><Key>{}</Key><ETag>&#34;e&#34;</ETag><Size>5</Size></Contents>"
HEAD = '<?xml version="1.0"?><ListBucketResult xmlns="urn:s3"><Name>b</Name>'
TAIL = "<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes></ListBucketResult>"


def listing(*entries: str, head: str = HEAD, tail: str = TAIL) -> bytes:
    return (head + "".join(entries) + tail).encode()


def test_pieces_are_the_bytes_between() -> None:
    entries = [ENTRY.format(key) for key in "abc"]
    body = listing(*entries)
    pieces = ListingPieces.cut(body)
    assert pieces is not None
    assert (pieces.head, pieces.tail) == (HEAD.encode(), TAIL.encode())
    assert pieces.entries == [entry.encode() for entry in entries]
    assert pieces.joined(pieces.entries) == body
    assert pieces.joined([]) == (HEAD + TAIL).encode()


@pytest.mark.parametrize(
    "body",
    [
        listing(),
        b"",
        listing("<!-- <Contents></Contents> -->", ENTRY.format("a")),
        listing(ENTRY.format("<![CDATA[</Contents>]]>")),
        listing(ENTRY.format("a"), "\n", ENTRY.format("b")),
        listing(ENTRY.format("a").replace("<Contents>", '<Contents x="1">')),
        listing(ENTRY.format("a"), "<Contents/>", ENTRY.format("b")),
        listing(ENTRY.format("<Contents>a</Contents>")),
        listing(ENTRY.format("a").replace("Contents>", "s:Contents>")),
        listing("</Contents>", ENTRY.format("a")),
    ],
)
def test_what_only_a_parser_can_tell_is_not_cut(body: bytes) -> None:
    assert ListingPieces.cut(body) is None


@pytest.mark.parametrize("where", ["head", "tail"])
def test_encoded_keys_are_told_apart(where: str) -> None:
    mark = "<EncodingType>url</EncodingType>"
    shape = {"head": HEAD + mark} if where == "head" else {"tail": mark + TAIL}
    encoded, plain = (
        ListingPieces.cut(listing(ENTRY.format("a%20b"), **each)) for each in (shape, {})
    )
    assert encoded is not None
    assert plain is not None
    assert encoded.url_encoded
    assert not plain.url_encoded


KEYS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="￾￿"),
    min_size=1,
)


@given(st.lists(KEYS, min_size=1, max_size=5))
def test_pieces_and_parser_agree(keys: list[str]) -> None:
    body = document("ListBucketResult", {"Contents": [{"Key": key, "Size": "1"} for key in keys]})
    pieces = ListingPieces.cut(body)
    assert pieces is not None
    each = [Listing.parse(pieces.joined([entry])).entries for entry in pieces.entries]
    assert [[entry.key for entry in entries] for entries in each] == [[key] for key in keys]
