"""Documents of multipart uploads: strict towards clients, corrected from stores."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from sseproxy.errors import StoreProtocolError
from sseproxy.s3.faults import S3Error
from sseproxy.s3.multipart_xml import (
    CompletedPart,
    PartsPage,
    complete_request,
    complete_result,
    initiate_result,
    parse_complete,
    part_number,
    upload_id_of,
)

NAMESPACED = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def fault(call, *arguments) -> str:
    with pytest.raises(S3Error) as caught:
        call(*arguments)
    return caught.value.code


def listing(*parts: str, more: str = "", root: str = "ListPartsResult", attributes: str = ""):
    return etree.fromstring(f"<{root} {attributes}>{more}{''.join(parts)}</{root}>")


PART = "<Part><PartNumber>{}</PartNumber><ETag>&quot;e{}&quot;</ETag><Size>99</Size>{}</Part>"


class TestPartNumber:
    @pytest.mark.parametrize(("text", "number"), [("1", 1), ("10000", 10_000), ("007", 7)])
    def test_right(self, text: str, number: int) -> None:
        assert part_number(text) == number

    @pytest.mark.parametrize(
        "text", ["", "0", "10001", "-1", "+1", " 1", "1.0", "x", "٣", "1" * 99]
    )
    def test_wrong(self, text: str) -> None:
        assert fault(part_number, text) == "InvalidArgument"


class TestComplete:
    @given(
        st.lists(
            st.tuples(st.integers(1, 10_000), st.text("0123456789abcdef-", min_size=1)),
            min_size=1,
            max_size=20,
            unique_by=lambda part: part[0],
        )
    )
    def test_what_is_written_is_read(self, parts: list[tuple[int, str]]) -> None:
        parts.sort()
        read = parse_complete(complete_request(parts))
        assert [(part.number, part.etag) for part in read] == parts

    @pytest.mark.parametrize("attributes", ["", NAMESPACED])
    def test_as_clients_write_it(self, attributes: str) -> None:
        body = (
            f"<CompleteMultipartUpload {attributes}><!-- a comment -->"
            "<Part> <ETag>&#34;e1&#34;</ETag><PartNumber> 1 </PartNumber><Size>7</Size>"
            "<ChecksumCRC32>AAAAAA==</ChecksumCRC32><ChecksumSHA1/><!-- another --></Part>"
            "<Part><PartNumber>3</PartNumber><ETag>e3</ETag></Part></CompleteMultipartUpload>"
        )
        assert parse_complete(body.encode()) == [
            CompletedPart(1, "e1", {"crc32": bytes(4)}),
            CompletedPart(3, "e3"),
        ]

    @pytest.mark.parametrize(
        "parts",
        [
            "",
            "<Other><PartNumber>1</PartNumber><ETag>e</ETag></Other>",
            "<Part><ETag>e</ETag></Part>",
            "<Part><PartNumber>1</PartNumber></Part>",
            '<Part><PartNumber>1</PartNumber><ETag>""</ETag></Part>',
            "<Part><PartNumber>one</PartNumber><ETag>e</ETag></Part>",
            "<Part><PartNumber>1</PartNumber><PartNumber>2</PartNumber><ETag>e</ETag></Part>",
            "<Part><PartNumber>1</PartNumber><ETag>e</ETag><ChecksumNEW>x</ChecksumNEW></Part>",
        ],
    )
    def test_malformed(self, parts: str) -> None:
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        assert fault(parse_complete, body) == "MalformedXML"

    def test_too_many(self) -> None:
        parts = [(number, "e") for number in range(1, 10_001)]
        assert len(parse_complete(complete_request(parts))) == 10_000
        assert fault(parse_complete, complete_request([*parts, (10_001, "e")])) == "MalformedXML"

    @pytest.mark.parametrize("numbers", [(2, 1), (1, 1), (1, 3, 2)])
    def test_out_of_order(self, numbers: tuple[int, ...]) -> None:
        body = complete_request((number, "e") for number in numbers)
        assert fault(parse_complete, body) == "InvalidPartOrder"

    @pytest.mark.parametrize("number", [0, 10_001])
    def test_a_number_that_no_part_has(self, number: int) -> None:
        assert fault(parse_complete, complete_request([(number, "e")])) == "InvalidArgument"

    @pytest.mark.parametrize("value", ["A", "AAAA", "AAAAAB==", "%"])
    def test_a_malformed_checksum(self, value: str) -> None:
        body = (
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag>"
            f"<ChecksumCRC32>{value}</ChecksumCRC32></Part></CompleteMultipartUpload>"
        )
        assert fault(parse_complete, body.encode()) == "InvalidRequest"


class TestAnswers:
    def test_initiate(self) -> None:
        root = etree.fromstring(initiate_result("b", "a&b", "id"))
        assert [element.text for element in root] == ["b", "a&b", "id"]
        assert upload_id_of(root) == "id"

    @pytest.mark.parametrize("text", ["<R/>", "<R><UploadId/></R>"])
    def test_an_upload_without_id(self, text: str) -> None:
        with pytest.raises(StoreProtocolError):
            upload_id_of(etree.fromstring(text))

    def test_complete(self) -> None:
        extra = {"ChecksumCRC32": "AAAAAA==-2", "ChecksumType": "COMPOSITE"}
        root = etree.fromstring(complete_result("http://h/b/k", "b", "k", "e-2", extra))
        assert {etree.QName(element).localname: element.text for element in root} == {
            "Location": "http://h/b/k",
            "Bucket": "b",
            "Key": "k",
            "ETag": '"e-2"',
            **extra,
        }


class TestParts:
    @pytest.mark.parametrize("attributes", ["", NAMESPACED])
    def test_what_is_shown_replaces_what_the_store_said(self, attributes: str) -> None:
        own = "<ChecksumAlgorithm>SHA1</ChecksumAlgorithm><ChecksumType>X</ChecksumType>"
        page = PartsPage(
            listing(
                PART.format(1, 1, "<!-- --><ChecksumSHA1>x</ChecksumSHA1>"),
                PART.format(2, 2, "<LastModified>t</LastModified>"),
                more=own,
                attributes=attributes,
            )
        )
        assert [(part.number, part.etag) for part in page.parts] == [(1, "e1"), (2, "e2")]
        assert page.parts[1].last_modified == "t"
        page.parts[0].show(size=7, etag="mine", checksums={"ChecksumCRC32": "c"})
        page.parts[1].hide()
        page.tell_checksum("crc32", composite=False)
        root = etree.fromstring(page.to_bytes())
        (part,) = root.findall("{*}Part")
        texts = {etree.QName(item).localname: item.text for item in part if item.text != " "}
        assert texts == {
            "PartNumber": "1",
            "ETag": '"mine"',
            "Size": "7",
            "ChecksumCRC32": "c",
        }
        assert root.findtext("{*}ChecksumAlgorithm") == "CRC32"
        assert root.findtext("{*}ChecksumType") == "FULL_OBJECT"
        assert len({etree.QName(item).namespace for item in root.iter("{*}*")}) == 1

    def test_no_checksum_is_told_if_none_was_chosen(self) -> None:
        page = PartsPage(listing(more="<ChecksumAlgorithm>SHA1</ChecksumAlgorithm>"))
        page.tell_checksum(None, composite=False)
        assert etree.fromstring(page.to_bytes()).find("ChecksumAlgorithm") is None

    def test_pages(self) -> None:
        cut = "<IsTruncated>true</IsTruncated>"
        page = PartsPage(listing(more=cut + "<NextPartNumberMarker>7</NextPartNumberMarker>"))
        assert (page.truncated, page.next_marker) == (True, "7")
        assert not PartsPage(listing()).truncated
        with pytest.raises(StoreProtocolError, match="marker"):
            PartsPage(listing(more=cut))

    @pytest.mark.parametrize(
        "part",
        [
            "<Part/>",
            "<Part><PartNumber>1</PartNumber></Part>",
            "<Part><PartNumber>x</PartNumber><ETag>e</ETag></Part>",
            "<Part><PartNumber>123456</PartNumber><ETag>e</ETag></Part>",
        ],
    )
    def test_what_is_no_part(self, part: str) -> None:
        with pytest.raises(StoreProtocolError, match="number or ETag"):
            PartsPage(listing(part))

    def test_a_root_is_not_hidden(self) -> None:
        (part,) = PartsPage(listing(PART.format(1, 1, ""))).parts
        part.hide()
        with pytest.raises(AssertionError):
            part.hide()
