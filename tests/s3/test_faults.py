"""Errors as clients read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from sseproxy.errors import SseProxyError
from sseproxy.s3.faults import Fault, S3Error, error_xml
from sseproxy.s3.request import Dialect


def test_every_fault_is_a_client_or_server_error_with_a_message() -> None:
    for fault in Fault:
        assert 400 <= fault.status <= 599
        assert fault.message
        assert fault.code.isascii()


def test_no_fault_is_another_by_accident() -> None:
    assert len(Fault.__members__) == len(list(Fault))


def test_members_are_named_as_their_codes() -> None:
    others = {"RequestExpired": "AccessDenied", "UnsupportedSignature": "InvalidRequest"}
    for name, fault in Fault.__members__.items():
        bare = fault.code.replace("KMS.KMS", "KMS").replace("KMS.", "KMS")
        assert bare == others.get(name, name)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault.SignatureDoesNotMatch, 403),
        (Fault.InvalidAccessKeyId, 403),
        (Fault.NoSuchKey, 404),
        (Fault.PreconditionFailed, 412),
        (Fault.InvalidRange, 416),
        (Fault.MissingContentLength, 411),
        (Fault.MethodNotAllowed, 405),
        (Fault.NotImplemented, 501),
        (Fault.BadDigest, 400),
    ],
)
def test_statuses(fault: Fault, status: int) -> None:
    assert S3Error(fault).status == status


def test_message_defaults_to_the_faults() -> None:
    error = S3Error(Fault.NoSuchKey)
    assert isinstance(error, SseProxyError)
    assert (error.code, error.message) == ("NoSuchKey", Fault.NoSuchKey.message)
    assert str(S3Error(Fault.NoSuchKey, "gone")) == "NoSuchKey: gone"


def test_unavailable_says_when_to_come_back() -> None:
    assert int(S3Error(Fault.ServiceUnavailable).headers["retry-after"]) > 0
    assert S3Error(Fault.InternalError).headers == {}


def test_xml_has_what_the_cos_sdk_needs() -> None:
    error = S3Error(Fault.InvalidArgument, "a < b", ArgumentName="x")
    body = error_xml(error, resource="/b/k&", request_id="R", host_id="T", dialect=Dialect.COS)
    assert body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
    assert [(item.tag, item.text) for item in etree.fromstring(body)] == [
        ("Code", "InvalidArgument"),
        ("Message", "a < b"),
        ("ArgumentName", "x"),
        ("Resource", "/b/k&"),
        ("RequestId", "R"),
        ("TraceId", "T"),
    ]


def test_xml_of_s3_has_a_host_id() -> None:
    body = error_xml(S3Error(Fault.NoSuchKey), resource="/", request_id="R", host_id="H")
    assert etree.fromstring(body).findtext("HostId") == "H"


@given(st.text(st.characters()))
def test_any_text_gives_well_formed_xml(text: str) -> None:
    body = error_xml(S3Error(Fault.NoSuchKey, text, Key=text), resource=text, request_id=text)
    assert etree.fromstring(body).findtext("Code") == "NoSuchKey"
