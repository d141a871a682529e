"""SSE headers of both dialects, and the errors of protocol.md 3.4 and 1.3 in their order."""

import base64
import hashlib
import traceback
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.s3 import sse
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import Dialect
from sseproxy.s3.sse import CustomerKey, SseMode, parse_copy_source, parse_read, parse_write
from sseproxy.secret import Secret

RAW = b"0123456789ABCDEF0123456789ABCDEF"
KEY, MD5 = "MDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODlBQkNERUY=", "U5L61r7jcwdNvT7frmUG8g=="
CONTEXT = base64.b64encode(b'{"a": "b"}').decode()
S3, COS = Dialect.S3, Dialect.COS
ALGORITHM_NAME, KEY_NAME, MD5_NAME = "customer-algorithm", "customer-key", "customer-key-md5"
TRIO = {ALGORITHM_NAME: "AES256", KEY_NAME: KEY, MD5_NAME: MD5}


def named(dialect: Dialect, fields: dict[str, str], *, source: bool = False) -> dict[str, str]:
    """Headers of a dialect from the part of their name after "server-side-encryption"."""
    stem = dialect.prefix + ("copy-source-" if source else "") + "server-side-encryption"
    return {f"{stem}-{name}" if name else stem: value for name, value in fields.items()}


def write(
    headers: dict[str, str], *, secure: bool = True, insecure: bool = False
) -> sse.SseRequest:
    return parse_write(headers, secure=secure, allow_insecure_ssec=insecure)


def refusal(headers: dict[str, str], *, secure: bool = True) -> S3Error:
    with pytest.raises(S3Error) as caught:
        write(headers, secure=secure)
    return caught.value


@pytest.mark.parametrize(
    ("dialect", "value", "mode"),
    [
        (S3, "AES256", SseMode.SSE_COS),
        (S3, "aws:kms", SseMode.SSE_KMS),
        (S3, "aws:kms:dsse", SseMode.SSE_KMS),
        (COS, "AES256", SseMode.SSE_COS),
        (COS, "cos/kms", SseMode.SSE_KMS),
    ],
)
def test_modes(dialect: Dialect, value: str, mode: SseMode) -> None:
    found = write(named(dialect, {"": value}), secure=False)
    assert (found.mode, found.algorithm, found.dialect) == (mode, value, dialect)
    assert found.customer is None


def test_nothing_asked() -> None:
    assert write({}) == sse.SseRequest(None, S3)
    assert write({"x-cos-acl": "private"}).dialect is COS


@pytest.mark.parametrize("dialect", Dialect)
def test_customer_keys(dialect: Dialect) -> None:
    expected = CustomerKey(Secret(RAW), MD5)
    found = write(named(dialect, TRIO))
    assert (found.mode, found.algorithm) == (SseMode.SSE_C, "AES256")
    assert found.customer == expected
    options = {"secure": True, "allow_insecure_ssec": False}
    assert parse_read(named(dialect, TRIO), **options) == expected
    assert parse_copy_source(named(dialect, TRIO, source=True), **options) == expected
    assert parse_read(named(dialect, TRIO, source=True), **options) is None
    assert parse_copy_source(named(dialect, TRIO), **options) is None
    assert parse_copy_source({"content-type": "text/plain"}, **options) is None


def test_kms_fields() -> None:
    fields = {"": "aws:kms", "aws-kms-key-id": "k", "context": CONTEXT}
    found = write(named(S3, {**fields, "bucket-key-enabled": "True"}))
    assert (found.kms_key_id, found.context, found.bucket_key) == ("k", CONTEXT, True)
    found = write(named(COS, {"": "cos/kms", "cos-kms-key-id": "k", "context": CONTEXT}))
    assert (found.kms_key_id, found.context, found.bucket_key) == ("k", CONTEXT, None)
    assert write(named(S3, {"bucket-key-enabled": "false"})).bucket_key is False
    dsse = named(S3, {"": "aws:kms:dsse", "bucket-key-enabled": "false"})
    assert write(dsse).bucket_key is False


SHORT, MANGLED = base64.b64encode(b"short").decode(), KEY[:-1]
# Each row is wrong in one more way than the one above it needs: what is checked first, wins.
ROWS: list[tuple[dict[str, str], str, Fault]] = [
    ({"": "bad", ALGORITHM_NAME: "X", KEY_NAME: SHORT}, "incompatible", Fault.InvalidArgument),
    ({"": "AES256", **TRIO}, "incompatible", Fault.InvalidArgument),
    ({"": "", **TRIO}, "incompatible", Fault.InvalidArgument),
    (
        {ALGORITHM_NAME: "AES128", KEY_NAME: SHORT, MD5_NAME: "x"},
        "AES256",
        Fault.InvalidEncryptionAlgorithmError,
    ),
    ({ALGORITHM_NAME: ""}, "AES256", Fault.InvalidEncryptionAlgorithmError),
    ({KEY_NAME: SHORT, MD5_NAME: "x"}, "valid encryption algorithm", Fault.InvalidArgument),
    ({MD5_NAME: MD5}, "valid encryption algorithm", Fault.InvalidArgument),
    ({ALGORITHM_NAME: "AES256"}, "appropriate secret key", Fault.InvalidArgument),
    ({ALGORITHM_NAME: "AES256", MD5_NAME: "x"}, "appropriate secret key", Fault.InvalidArgument),
    ({**TRIO, KEY_NAME: SHORT, MD5_NAME: "x"}, "was invalid", Fault.InvalidArgument),
    ({**TRIO, KEY_NAME: ""}, "was invalid", Fault.InvalidArgument),
    ({**TRIO, KEY_NAME: MANGLED}, "was invalid", Fault.InvalidArgument),
    ({**TRIO, KEY_NAME: "é"}, "was invalid", Fault.InvalidArgument),
    ({ALGORITHM_NAME: "AES256", KEY_NAME: SHORT}, "was invalid", Fault.InvalidArgument),
    ({ALGORITHM_NAME: "AES256", KEY_NAME: KEY}, "MD5 of the secret key", Fault.InvalidArgument),
    ({**TRIO, MD5_NAME: "é\udcff"}, "did not match", Fault.InvalidArgument),
    ({**TRIO, MD5_NAME: MD5.lower()}, "did not match", Fault.InvalidArgument),
]


@pytest.mark.parametrize(("fields", "gist", "fault"), ROWS)
@pytest.mark.parametrize("dialect", Dialect)
def test_customer_key_errors_in_their_order(
    dialect: Dialect, fields: dict[str, str], gist: str, fault: Fault
) -> None:
    error = refusal(named(dialect, fields))
    expected = Fault.InvalidArgument if dialect is COS else fault
    assert error.fault is expected
    assert gist in error.message
    names_mode = {"ArgumentName": f"{dialect.prefix}server-side-encryption"}
    assert error.fields == (names_mode if expected is Fault.InvalidArgument else {})
    if "" in fields:
        return
    for parse, source in ((parse_read, False), (parse_copy_source, True)):
        with pytest.raises(S3Error) as caught:
            parse(named(dialect, fields, source=source), secure=True, allow_insecure_ssec=False)
        assert (caught.value.fault, caught.value.message) == (expected, error.message)


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("fields", [TRIO, {KEY_NAME: SHORT}, {"": "AES256", **TRIO}])
def test_customer_keys_need_tls_before_anything_else(
    dialect: Dialect, fields: dict[str, str]
) -> None:
    error = refusal(named(dialect, fields), secure=False)
    assert error.fault is Fault.InvalidRequest
    assert "secure connection" in error.message
    if "" not in fields:
        for parse, source in ((parse_read, False), (parse_copy_source, True)):
            with pytest.raises(S3Error, match="secure connection"):
                parse(
                    named(dialect, fields, source=source), secure=False, allow_insecure_ssec=False
                )


def test_customer_keys_without_tls_if_allowed() -> None:
    options = {"secure": False, "allow_insecure_ssec": True}
    assert write(named(S3, TRIO), secure=False, insecure=True).mode is SseMode.SSE_C
    assert parse_read(named(S3, TRIO), **options) is not None
    assert parse_copy_source(named(S3, TRIO, source=True), **options) is not None


@pytest.mark.parametrize(
    ("dialect", "fields", "fault", "gist"),
    [
        (S3, {"": "aes256"}, Fault.InvalidArgument, "not supported"),
        (S3, {"": "cos/kms"}, Fault.InvalidArgument, "not supported"),
        (S3, {"": ""}, Fault.InvalidArgument, "not supported"),
        (S3, {"": "SM4"}, Fault.InvalidArgument, "SM4"),
        (COS, {"": "aws:kms"}, Fault.SSEContentNotSupported, "not supported"),
        (COS, {"": "SM4"}, Fault.SSEContentNotSupported, "SM4"),
        (S3, {"aws-kms-key-id": "k"}, Fault.InvalidArgument, "requires the header"),
        (S3, {"": "AES256", "aws-kms-key-id": "k"}, Fault.InvalidArgument, "requires the header"),
        (S3, {**TRIO, "aws-kms-key-id": "k"}, Fault.InvalidArgument, "requires the header"),
        (S3, {"context": CONTEXT}, Fault.InvalidArgument, "requires the header"),
        (COS, {"cos-kms-key-id": "k"}, Fault.InvalidArgument, "requires the header"),
        (S3, {"": "aws:kms", "context": "{}"}, Fault.InvalidArgument, "base64 of a JSON"),
        (S3, {"": "aws:kms", "context": "W10="}, Fault.InvalidArgument, "base64 of a JSON"),
        (S3, {"": "aws:kms", "context": "eyJhIjoxfQ=="}, Fault.InvalidArgument, "string values"),
        (S3, {"bucket-key-enabled": "yes"}, Fault.InvalidArgument, "true or false"),
        (S3, {"": "aws:kms:dsse", "bucket-key-enabled": "true"}, Fault.InvalidArgument, "dsse"),
    ],
)
def test_other_refusals(dialect: Dialect, fields: dict[str, str], fault: Fault, gist: str) -> None:
    error = refusal(named(dialect, fields))
    assert error.fault is fault
    assert gist in error.message


def test_a_context_can_be_nested_too_deep() -> None:
    deep = base64.b64encode(b"[" * 200_000).decode()
    assert "base64" in refusal(named(S3, {"": "aws:kms", "context": deep})).message


@pytest.mark.parametrize("fields", [{"": "AES256"}, {"": "AES256", **TRIO}, {"context": CONTEXT}])
def test_a_read_chooses_no_mode(fields: dict[str, str]) -> None:
    for dialect, fault in ((S3, Fault.InvalidArgument), (COS, Fault.SSEHeaderNotAllowed)):
        with pytest.raises(S3Error, match="not supported for this operation") as caught:
            parse_read(named(dialect, fields), secure=True, allow_insecure_ssec=False)
        assert caught.value.fault is fault


def test_two_dialects_at_once_are_refused() -> None:
    error = refusal({**named(S3, {"": "AES256"}), **named(COS, TRIO)})
    assert error.fault is Fault.InvalidArgument


@pytest.mark.parametrize(
    ("mode", "dialect", "options", "expected"),
    [
        (SseMode.NONE, S3, {}, {}),
        (SseMode.SSE_COS, S3, {}, {"": "AES256"}),
        (SseMode.SSE_COS, COS, {"kms_key_id": "k"}, {"": "AES256"}),
        (SseMode.SSE_C, S3, {"customer_md5": MD5}, {ALGORITHM_NAME: "AES256", MD5_NAME: MD5}),
        (SseMode.SSE_C, COS, {"customer_md5": MD5}, {ALGORITHM_NAME: "AES256", MD5_NAME: MD5}),
        (SseMode.SSE_KMS, S3, {}, {"": "aws:kms"}),
        (
            SseMode.SSE_KMS,
            S3,
            {"kms_key_id": "k", "context": "c", "bucket_key": True, "dsse": True},
            {
                "": "aws:kms:dsse",
                "aws-kms-key-id": "k",
                "context": "c",
                "bucket-key-enabled": "true",
            },
        ),
        (
            SseMode.SSE_KMS,
            COS,
            {"kms_key_id": "k", "context": "c", "bucket_key": True, "dsse": True},
            {"": "cos/kms", "cos-kms-key-id": "k"},
        ),
    ],
)
def test_answers(
    mode: SseMode, dialect: Dialect, options: dict[str, str], expected: dict[str, str]
) -> None:
    assert sse.response_headers(mode, dialect, **options) == named(dialect, expected)


def test_answers_about_customer_keys() -> None:
    assert sse.customer_key_missing(S3).fault is Fault.InvalidRequest
    assert sse.customer_key_wrong(S3).fault is Fault.AccessDenied
    assert sse.customer_key_missing(COS).fault is Fault.SsecDecryptHeaderInvalid
    assert sse.customer_key_wrong(COS).fault is Fault.SsecDecryptHeaderInvalid
    assert sse.customer_key_not_applicable().fault is Fault.InvalidRequest


def test_sse_headers_are_known_by_name() -> None:
    for dialect, source in product(Dialect, (False, True)):
        for name in named(dialect, {"": "", "new-thing": "", **TRIO}, source=source):
            assert sse.is_sse_header(name)
            assert sse.is_sse_header(name.upper())
    assert not sse.is_sse_header("x-amz-meta-server-side-encryption")


def test_pre_signing_hoists_for_s3_only() -> None:
    query = {"X-Amz-Server-Side-Encryption": "AES256", "x-amz-acl": "private"}
    assert sse.hoisted_headers(query) == {"x-amz-server-side-encryption": "AES256"}
    with pytest.raises(S3Error, match="as a header"):
        sse.hoisted_headers({"x-cos-server-side-encryption": "AES256"})


PLACES = ["", ALGORITHM_NAME, KEY_NAME, MD5_NAME, "aws-kms-key-id", "context", "cos-kms-key-id"]
PLACES += ["bucket-key-enabled"]


@given(
    st.sampled_from(Dialect),
    st.dictionaries(
        st.sampled_from(PLACES), st.sampled_from([KEY, MD5, "AES256", "aws:kms", "cos/kms", "x"])
    ),
    st.booleans(),
)
def test_no_error_and_no_repr_has_the_key(
    dialect: Dialect, fields: dict[str, str], secure: bool
) -> None:
    shown = ""
    for parse in (parse_write, parse_read):
        try:
            found = parse(named(dialect, fields), secure=secure, allow_insecure_ssec=False)
            customer = found.customer if isinstance(found, sse.SseRequest) else found
            shown += repr(customer)
        except S3Error as error:
            shown += repr(error) + str(error.fields)
            shown += "".join(traceback.format_exception_only(error))
    assert KEY not in shown
    assert RAW.decode() not in shown


@given(st.binary(max_size=48))
def test_only_32_bytes_with_their_md5_are_a_key(raw: bytes) -> None:
    headers = named(
        S3,
        {
            ALGORITHM_NAME: "AES256",
            KEY_NAME: base64.b64encode(raw).decode(),
            MD5_NAME: base64.b64encode(hashlib.md5(raw).digest()).decode(),
        },
    )
    if len(raw) == 32:
        found = write(headers).customer
        assert found is not None
        assert found.key.reveal() == raw
    else:
        assert refusal(headers).fault is Fault.InvalidArgument


@given(st.dictionaries(st.sampled_from(PLACES), st.text()), st.sampled_from(Dialect))
def test_any_text_is_parsed_or_refused(fields: dict[str, str], dialect: Dialect) -> None:
    outcome: object
    try:
        outcome = write(named(dialect, fields)).dialect
    except S3Error as error:
        outcome = error.status
    assert outcome in (400, dialect, S3)
