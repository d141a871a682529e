"""What the fields of a form mean: headers, tags, the answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.post_fields import answer, key_of, upload_headers, with_filename

BASE = "https://s3.test/bucket/"


def tagging(*tags: str) -> dict[str, str]:
    return {"tagging": f"<Tagging><TagSet>{''.join(tags)}</TagSet></Tagging>"}


def refused(fields: dict[str, str]) -> S3Error:
    with pytest.raises(S3Error) as caught:
        upload_headers(fields)
    return caught.value


class TestKey:
    def test_it_is_needed(self) -> None:
        for fields in ({}, {"key": ""}):
            with pytest.raises(S3Error) as caught:
                key_of(fields)
            assert caught.value.fault is Fault.InvalidArgument
            assert caught.value.fields["ArgumentName"] == "key"

    def test_it_is_held_to_the_rules_of_keys(self) -> None:
        assert key_of({"key": "a/../b"}) == "a/../b"
        with pytest.raises(S3Error) as caught:
            key_of({"key": "a/../../b"})
        assert caught.value.fault is Fault.InvalidURI

    def test_the_files_name(self) -> None:
        fields = {"key": "a/${filename}", "acl": "${filename}${filename}", "b": "$filename"}
        expected = {"key": "a/x", "acl": "xx", "b": "$filename"}
        assert with_filename(fields, "x") == expected


class TestHeaders:
    def test_which_fields_are_headers(self) -> None:
        headers = {
            "content-type": "a/b",
            "cache-control": "c",
            "content-disposition": "d",
            "content-encoding": "e",
            "content-language": "f",
            "content-md5": "g",
            "expires": "h",
            "x-amz-meta-a": "ü",
            "x-amz-storage-class": "STANDARD",
            "x-cos-server-side-encryption": "AES256",
        }
        others = {
            *("key", "policy", "success_action_status", "signature", "awsaccesskeyid", "bucket"),
            *("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "host"),
            *("x-amz-security-token", "x-cos-security-token", "x-amz-content-sha256", "range"),
            *("x-amz-decoded-content-length", "x-amz-trailer", "content-length", "submit"),
            *("x-minio-extract", "transfer-encoding", "if-match", "authorization", "content-range"),
        }
        assert upload_headers(headers | dict.fromkeys(others, "v")) == headers

    def test_acl_and_white_space(self) -> None:
        assert upload_headers({"acl": "private", "expires": " \t0 "}) == {
            "x-amz-acl": "private",
            "expires": "0",
        }

    @pytest.mark.parametrize(
        "fields",
        [
            {"x-amz-meta-a": "b\r\nc: d"},
            {"x-amz-meta-a": "b\x00"},
            {"x-amz-meta-a b": "c"},
            {"x-amz-meta-a:b": "c"},
            {"x-amz-meta-ü": "c"},
            {"acl": "a\nb"},
        ],
    )
    def test_what_can_not_be_a_header(self, fields: dict[str, str]) -> None:
        assert refused(fields).fault is Fault.InvalidArgument

    @given(st.dictionaries(st.text(), st.text()))
    def test_no_line_is_added(self, fields: dict[str, str]) -> None:
        named = {f"x-amz-meta-{name}": value for name, value in fields.items()}
        try:
            headers = upload_headers(named)
        except S3Error:
            return
        assert not any(set("\r\n\0") & set(name + value) for name, value in headers.items())


class TestTagging:
    def test_a_document_becomes_a_header(self) -> None:
        fields = tagging(
            "<Tag><Key>a b</Key><Value>1&amp;2</Value></Tag>", "<Tag><Key>ü</Key><Value/></Tag>"
        )
        assert upload_headers(fields) == {"x-amz-tagging": "a%20b=1%262&%C3%BC="}
        assert upload_headers({"tagging": "<Tagging/>"}) == {"x-amz-tagging": ""}

    @pytest.mark.parametrize(
        "fields",
        [
            {"tagging": "a=b"},
            {"tagging": ""},
            {"tagging": "<TagSet/>"},
            {"tagging": '<!DOCTYPE T [<!ENTITY a "b">]><Tagging/>'},
            tagging("<Tag><Value>1</Value></Tag>"),
            tagging("<Tag><Key/><Value>1</Value></Tag>"),
            tagging("<Tag><Key>a</Key></Tag>"),
        ],
    )
    def test_malformed(self, fields: dict[str, str]) -> None:
        assert refused(fields).fault is Fault.MalformedXML

    def test_a_tag_occurs_once(self) -> None:
        twice = tagging(*["<Tag><Key>a</Key><Value>1</Value></Tag>"] * 2)
        assert refused(twice).fault is Fault.InvalidTag


class TestAnswer:
    @pytest.mark.parametrize(
        ("status", "expected"), [(None, 204), ("200", 200), ("204", 204), ("", 204), ("500", 204)]
    )
    def test_statuses(self, status: str | None, expected: int) -> None:
        fields = {} if status is None else {"success_action_status": status}
        told = answer(fields, "bucket", "a/ü", "e", BASE)
        assert (told.status, told.body) == (expected, b"")
        assert told.headers == {"location": f"{BASE}a%2F%C3%BC"}

    def test_a_document(self) -> None:
        told = answer({"success_action_status": "201"}, "bucket", "a<b", "e", BASE)
        assert told.status == 201
        assert told.headers == {"location": f"{BASE}a%3Cb", "content-type": "application/xml"}
        assert told.body.partition(b"?>\n")[2] == (
            b"<PostResponse><Location>https://s3.test/bucket/a%3Cb</Location>"
            b'<Bucket>bucket</Bucket><Key>a&lt;b</Key><ETag>"e"</ETag></PostResponse>'
        )

    @pytest.mark.parametrize(
        ("target", "location"),
        [
            ("http://a.test", "http://a.test?{}"),
            ("https://a.test/b?c=d", "https://a.test/b?c=d&{}"),
            ("http://a.test/b?#top", "http://a.test/b?{}#top"),
        ],
    )
    @pytest.mark.parametrize("name", ["success_action_redirect", "redirect"])
    def test_redirects(self, name: str, target: str, location: str) -> None:
        fields = {name: target, "success_action_status": "201"}
        told = answer(fields, "bucket", "a/b c", "e", BASE)
        result = "bucket=bucket&key=a%2Fb%20c&etag=%22e%22"
        assert (told.status, told.body) == (303, b"")
        assert told.headers == {"location": location.format(result)}

    @pytest.mark.parametrize(
        "target",
        [
            *("", "/relative", "ftp://a.test/", "javascript:alert(1)", "http://", "//a.test/"),
            *("http://a.test/ b", "http://a.test/\r\nx: y", "http://ü.test/", "http://[a.test/"),
        ],
    )
    def test_what_is_no_address_counts_as_not_said(self, target: str) -> None:
        told = answer({"success_action_redirect": target}, "bucket", "k", "e", BASE)
        assert (told.status, told.headers) == (204, {"location": f"{BASE}k"})
