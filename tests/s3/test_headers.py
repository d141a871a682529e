"""Which headers and query parameters cross the proxy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.s3 import headers
from sseproxy.s3.faults import Fault, S3Error

KEPT = {
    "content-type": "text/plain",
    "cache-control": "no-cache",
    "x-amz-meta-a": "1",
    "x-amz-acl": "private",
    "x-amz-tagging": "a=b",
    "x-amz-storage-class": "STANDARD",
    "x-amz-checksum-algorithm": "CRC32",
    "x-amz-checksum-crc32": "AAAAAA==",
    "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==",
    "if-match": '"e"',
    "range": "bytes=0-1",
    "user-agent": "test",
}
DROPPED = (
    "host authorization content-length expect te date connection keep-alive transfer-encoding "
    "trailer upgrade proxy-authorization x-amz-date x-amz-content-sha256 x-amz-security-token "
    "x-amz-decoded-content-length x-amz-trailer x-amz-sdk-checksum-algorithm x-forwarded-for "
    "x-forwarded-proto forwarded x-amz-server-side-encryption accept-encoding "
    "x-amz-server-side-encryption-customer-key x-cos-server-side-encryption "
    "x-amz-copy-source-server-side-encryption-customer-key x-http-method-override"
)


def test_requests_lose_what_is_of_the_clients_connection_signature_and_keys() -> None:
    sent = {**KEPT, **dict.fromkeys(DROPPED.split(), "x")}
    assert headers.forwarded_request_headers(sent) == KEPT


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("aws-chunked", {}),
        ("AWS-Chunked,gzip", {"content-encoding": "gzip"}),
        ("gzip, aws-chunked, br", {"content-encoding": "gzip,br"}),
        ("gzip", {"content-encoding": "gzip"}),
        ("", {}),
    ],
)
def test_aws_chunked_is_not_stored(encoding: str, expected: dict[str, str]) -> None:
    assert headers.forwarded_request_headers({"content-encoding": encoding}) == expected


def test_connection_names_hop_by_hop_headers_but_none_of_s3s() -> None:
    sent = {"connection": "X-Hop, x-amz-acl, If-Match", "x-hop": "1", "x-amz-acl": "private"}
    sent["if-match"] = '"e"'
    kept = {"x-amz-acl": "private", "if-match": '"e"'}
    assert headers.forwarded_request_headers(sent) == kept
    assert headers.forwarded_response_headers(sent) == kept


@pytest.mark.parametrize(
    "name", ["x-amz-meta-sseproxy", "X-Amz-Meta-SSEProxy-2", "x-cos-meta-sseproxy"]
)
def test_a_client_never_sets_the_proxys_metadata(name: str) -> None:
    for function in (
        headers.forwarded_request_headers,
        headers.forwarded_query,
        headers.hoisted_headers,
    ):
        with pytest.raises(S3Error) as caught:
            function({name: "x"})
        assert caught.value.fault is Fault.InvalidArgument


def test_answers_lose_the_stores_own_and_the_proxys_metadata() -> None:
    kept = {
        "etag": '"e"',
        "x-amz-meta-a": "1",
        "x-amz-checksum-crc32": "AAAAAA==",
        "x-amz-version-id": "v",
        "last-modified": "x",
        "access-control-allow-origin": "*",
    }
    dropped = (
        "content-length connection transfer-encoding server date alt-svc x-amz-meta-sseproxy "
        "x-amz-server-side-encryption x-amz-server-side-encryption-customer-key-md5"
    )
    sent = {**kept, **dict.fromkeys(dropped.split(), "x")}
    assert headers.forwarded_response_headers(sent) == kept


def test_digests_of_the_plaintext_stay_here() -> None:
    digests = {"content-md5", "x-amz-checksum-algorithm", "x-amz-checksum-crc32"}
    assert headers.without_digests({**KEPT, "x-cos-hash-crc64ecma": "1"}) == {
        name: value for name, value in KEPT.items() if name not in digests
    }


def test_conditions_can_be_taken_out() -> None:
    conditions = {*headers.CONDITION_HEADERS, *headers.COPY_CONDITION_HEADERS}
    assert len(conditions) == 8
    assert headers.without_conditions({"a": "1", **dict.fromkeys(conditions, "x")}) == {"a": "1"}


QUERY = {
    "prefix": "a",
    "acl": "",
    "versionId": "v",
    "X-Amz-Signature": "s",
    "X-Amz-Expires": "1",
    "AWSAccessKeyId": "a",
    "q-ak": "x",
    "x-id": "PutObject",
    "x-amz-acl": "private",
    "X-Amz-Meta-A": "1",
    "content-type": "text/plain",
    "x-amz-server-side-encryption": "AES256",
}


def test_the_query_goes_on_without_signature_and_hoisted_headers() -> None:
    assert headers.forwarded_query(QUERY) == [("prefix", "a"), ("acl", ""), ("versionId", "v")]
    assert headers.hoisted_headers(QUERY) == {
        "x-amz-acl": "private",
        "x-amz-meta-a": "1",
        "content-type": "text/plain",
    }


def _may_be_sent(name: str) -> bool:
    """Whether a client may send the header: the proxy's own names are refused in any case."""
    return "sseproxy" not in name.lower()


NAMES = st.sampled_from(sorted([*KEPT, *DROPPED.split()])) | st.text(min_size=1).filter(
    _may_be_sent
)


@given(st.dictionaries(NAMES, st.text()))
def test_forwarding_invents_nothing_and_is_idempotent(sent: dict[str, str]) -> None:
    kept = headers.forwarded_request_headers(sent)
    assert set(kept) <= set(sent) - set(DROPPED.split())
    assert headers.forwarded_request_headers(kept) == kept


@pytest.mark.parametrize(
    "query",
    [
        {"x-amz-meta-a": "one\r\nx-amz-copy-source: /b/k"},
        {"x-amz-meta-a:b": "value"},
        {"x-amz-meta-a ": "value"},
    ],
)
def test_the_query_cannot_forge_headers(query: dict[str, str]) -> None:
    with pytest.raises(S3Error) as caught:
        headers.hoisted_headers(query)
    assert caught.value.fault is Fault.InvalidArgument
