"""Which bucket and key a request addresses."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sseproxy.s3.addressing import Addressing, Target, check_key
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import encode_key, make_head


def resolve(target: str, host: str = "127.0.0.1:8080", domains: tuple[str, ...] = ()) -> Target:
    return Addressing(domains).resolve(make_head("GET", target, [("host", host)], secure=False))


@pytest.mark.parametrize(
    ("target", "bucket", "key"),
    [
        ("/", None, None),
        ("/b", "b", None),
        ("/b/", "b", None),
        ("/b/k", "b", "k"),
        ("/b//", "b", "/"),
        ("/b//k", "b", "/k"),
        ("/b/k/", "b", "k/"),
        ("/b/a%2Fb", "b", "a/b"),
        ("/b/a%252Fb", "b", "a%2Fb"),
        ("/b/a+b", "b", "a+b"),
        ("/b/a/../c", "b", "a/../c"),
        ("/b/./a", "b", "./a"),
        ("/b/%F0%9F%98%80%20%00", "b", "😀 \x00"),
        ("/B_1.x/k", "B_1.x", "k"),
    ],
)
def test_path_style(target: str, bucket: str | None, key: str | None) -> None:
    assert resolve(target) == Target(bucket, key)


@pytest.mark.parametrize(
    ("host", "target", "expected"),
    [
        ("photos.s3.test", "/k/x", Target("photos", "k/x")),
        ("Photos.S3.test:9000", "/", Target("photos", None)),
        ("a.b.s3.test", "//k", Target("a.b", "/k")),
        ("s3.test:80", "/b/k", Target("b", "k")),
        ("other.test", "/b/k", Target("b", "k")),
        ("xs3.test", "/b/k", Target("b", "k")),
        ("b.eu.s3.test", "/k", Target("b", "k")),
        ("eu.s3.test", "/b/k", Target("b", "k")),
        ("[::1]:80", "/b/k", Target("b", "k")),
        ("", "/b/k", Target("b", "k")),
    ],
)
def test_virtual_hosts_below_known_domains(host: str, target: str, expected: Target) -> None:
    assert resolve(target, host, ("s3.test", ".EU.s3.test", "")) == expected


@pytest.mark.parametrize(
    "target", ["//k", "/./k", "/../k", "/%2E%2E/k", "/a%2Fb/k", "/a%00/k", f"/{'b' * 256}/k"]
)
def test_what_could_be_a_path_is_no_bucket(target: str) -> None:
    with pytest.raises(S3Error) as caught:
        resolve(target)
    assert caught.value.fault is Fault.InvalidBucketName


def test_an_empty_label_is_no_bucket() -> None:
    with pytest.raises(S3Error) as caught:
        resolve("/k", ".s3.test", ("s3.test",))
    assert caught.value.fault is Fault.InvalidBucketName


def test_keys_have_at_most_1024_bytes() -> None:
    assert resolve("/b/" + "%C3%BC" * 512).key == "ü" * 512
    with pytest.raises(S3Error) as caught:
        resolve("/b/" + "%C3%BC" * 512 + "a")
    assert caught.value.fault is Fault.KeyTooLongError
    assert caught.value.fields == {"Size": "1025", "MaxSizeAllowed": "1024"}


@pytest.mark.parametrize("key", ["..", "../b", "%2e%2e/other/k", "a/../../b", "/..", "./../b"])
def test_no_key_leads_out_of_its_bucket(key: str) -> None:
    with pytest.raises(S3Error) as caught:
        resolve("/b/" + key)
    assert caught.value.fault is Fault.InvalidURI


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=256))
def test_a_key_arrives_as_sent(key: str) -> None:
    assume(".." not in key)
    assert resolve("/b/" + encode_key(key)) == Target("b", key)
    assert resolve("/" + encode_key(key), "b.s3.test", ("s3.test",)) == Target("b", key)
    assert check_key(key) == key
    source = Addressing().resolve_copy_source("b/" + encode_key(key))
    assert source == (Target("b", key), None)


@pytest.mark.parametrize(
    ("value", "version"),
    [("/b/k%20%3F+", None), ("b/k%20%3F+?versionId=v%201", "v 1")],
)
def test_copy_sources(value: str, version: str | None) -> None:
    assert Addressing().resolve_copy_source(value) == (Target("b", "k ?+"), version)


@pytest.mark.parametrize(
    "value",
    [
        *("", "/", "b", "b/", "/b/", "b/k?x=1", "b/k?versionId", "b/k?versionId="),
        "arn:aws:s3:eu:1:accesspoint/p/object/k",
    ],
)
def test_what_is_no_copy_source(value: str) -> None:
    with pytest.raises(S3Error) as caught:
        Addressing().resolve_copy_source(value)
    assert caught.value.fault is Fault.InvalidArgument


@pytest.mark.parametrize("value", ["b/%ff", "b/../k", "../b/k"])
def test_copy_sources_are_no_way_round(value: str) -> None:
    with pytest.raises(S3Error):
        Addressing().resolve_copy_source(value)
