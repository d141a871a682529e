"""Targets and headers as they come on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import (
    Dialect,
    RequestHead,
    decode,
    encode_key,
    encode_query,
    make_head,
)

TEXT = st.text(st.characters(codec="utf-8"))


def head(target: str, *items: tuple[str, str]) -> RequestHead:
    return make_head("get", target, items, secure=False)


def test_origin_form_is_kept_as_sent() -> None:
    found = make_head("put", "/b//a%2F..%2f+?x=%20+&acl&x=2", [("Host", " h:1 ")], secure=True)
    assert found == RequestHead(
        "PUT", "/b//a%2F..%2f+", "x=%20+&acl&x=2", {"x": "  ", "acl": ""}, {"host": "h:1"}, True
    )
    assert found.host == "h:1"


@pytest.mark.parametrize(
    ("target", "path", "query", "host"),
    [
        ("http://h.example:80/b/k?a=1", "/b/k", "a=1", "h.example:80"),
        ("HTTPS://h", "/", "", "h"),
        ("http://h?a", "/", "a", "h"),
        ("http://[::1]:9000/b", "/b", "", "[::1]:9000"),
    ],
)
def test_absolute_form_names_the_host(target: str, path: str, query: str, host: str) -> None:
    found = head(target, ("Host", "other"))
    assert (found.raw_path, found.raw_query, found.host) == (path, query, host)


@pytest.mark.parametrize(
    "target",
    [
        *("", "*", "b/k", "h:443", "/b#f", "/b?a#f", "/b/%", "/b/%2", "/b/%zz", "/b?%zz=1"),
        *("/b/%ff", "/b?%ff=1", "/b?a=%c3%28", "/b k", "/b\x00", "/b\n", "/ü"),
        *("http://user@h/b", "http:///b", "ftp://h/b"),
    ],
)
def test_malformed_targets_are_refused(target: str) -> None:
    with pytest.raises(S3Error) as caught:
        head(target)
    assert caught.value.fault is Fault.InvalidURI


def test_repeated_headers_are_joined_in_order() -> None:
    found = head("/", ("X-Amz-Meta-A", "1"), ("x-amz-meta-a", "\t2 "), ("B", "3"))
    assert found.headers == {"x-amz-meta-a": "1,2", "b": "3"}


def test_two_hosts_are_refused() -> None:
    with pytest.raises(S3Error) as caught:
        head("/", ("Host", "a"), ("host", "b"))
    assert caught.value.fault is Fault.BadRequest


def test_no_host_is_empty() -> None:
    assert head("/").host == ""


def test_repr_shows_neither_headers_nor_query() -> None:
    shown = repr(head("/b/k?token=hidden", ("authorization", "hidden")))
    assert shown == "RequestHead(GET /b/k)"


def test_prefixes_of_the_dialects() -> None:
    assert [dialect.prefix for dialect in Dialect] == ["x-amz-", "x-cos-"]


def test_encode_key_leaves_only_unreserved_and_slash() -> None:
    assert encode_key("a b/+~_-.é%*'") == "a%20b/%2B~_-.%C3%A9%25%2A%27"


@given(TEXT)
def test_a_key_survives_the_path(key: str) -> None:
    found = head("/" + encode_key(key))
    assert decode(found.raw_path) == "/" + key


@given(st.dictionaries(TEXT.filter(bool), TEXT))
def test_a_query_survives(query: dict[str, str]) -> None:
    assert head("/?" + encode_query(query.items())).query == query


@given(st.text())
def test_any_target_gives_a_head_or_an_s3_error(target: str) -> None:
    try:
        outcome: object = head(target).raw_path[0]
    except S3Error as error:
        outcome = error.fault
    assert outcome in ("/", Fault.InvalidURI)
