"""SigV4: the published examples, agreement with botocore both ways, and every refusal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import quote, urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.s3.claims import parse_claim
from sseproxy.s3.faults import S3Error
from sseproxy.s3.request import RequestHead, encode_key, encode_query, make_head
from sseproxy.s3.sigv4 import (
    UNSIGNED_PAYLOAD,
    ChunkSigner,
    RequestSigner,
    SigV4Claim,
    signing_key,
    verify,
)
from sseproxy.secret import Secret

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
PLAIN_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SECRET = Secret(PLAIN_SECRET)
NOW = datetime(2013, 5, 24, tzinfo=UTC)
AMZ_DATE = "20130524T000000Z"
SCOPE = "20130524/us-east-1/s3/aws4_request"
HOST = "examplebucket.s3.amazonaws.com"
EMPTY = sha256(b"").hexdigest()
ODD_KEYS = [
    "a//b",
    "/leading",
    "trailing/",
    "../x/./..",
    "%2F",
    "a+b c",
    "tilde~!*'();:@&=$,[]",
    "emoji 🦆/腾讯云",
    "x" * 1024,
]
ODD_QUERIES = [
    [],
    [("acl", "")],
    [("prefix", "a/b +%2F&=?"), ("list-type", "2")],
    [("a-b", "1"), ("a", "2"), ("a", "1"), ("A", "🦆")],
    [("response-content-type", "text/html; charset=utf-8"), ("versionId", "null")],
]


def head_of(method: str, target: str, headers: Mapping[str, str]) -> RequestHead:
    return make_head(method, target, headers.items(), secure=False)


def check(head: RequestHead, *, now: datetime = NOW, **options: tuple[str, ...]) -> ChunkSigner:
    claim = parse_claim(head)
    assert isinstance(claim, SigV4Claim)
    return verify(claim, head, SECRET, now=now, **options)


def refused(head: RequestHead, *, now: datetime = NOW, **options: tuple[str, ...]) -> S3Error:
    with pytest.raises(S3Error) as caught:
        check(head, now=now, **options)
    assert PLAIN_SECRET not in repr((caught.value, caught.value.fields))
    return caught.value


def signed_head(
    method: str = "GET",
    target: str = "/bucket/key",
    headers: Mapping[str, str] | None = None,
    *,
    at: datetime = NOW,
    payload_hash: str = EMPTY,
    sent_target: str | None = None,
) -> RequestHead:
    """A request signed by this package; a test then changes what it is about."""
    url = urlsplit(target)
    query = [(n, v) for n, _, v in (p.partition("=") for p in url.query.split("&") if p)]
    given = dict(headers or {})
    given |= RequestSigner(ACCESS_KEY, SECRET, "us-east-1").sign(
        method, HOST, url.path, query, given, payload_hash=payload_hash, now=at
    )
    return head_of(method, sent_target or target, {"host": HOST, **given})


def authorization(signed: str, signature: str) -> str:
    return (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{SCOPE},SignedHeaders={signed},"
        f"Signature={signature}"
    )


def with_header(head: RequestHead, name: str, value: str | None) -> RequestHead:
    headers = {k: v for k, v in head.headers.items() if k != name}
    if value is not None:
        headers[name] = value
    return make_head(head.method, _target(head), headers.items(), secure=False)


def _target(head: RequestHead) -> str:
    return head.raw_path + ("?" + head.raw_query if head.raw_query else "")


PRESIGNED = {
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": f"{ACCESS_KEY}/{SCOPE}",
    "X-Amz-Date": AMZ_DATE,
    "X-Amz-Expires": "86400",
    "X-Amz-SignedHeaders": "host",
    "X-Amz-Signature": "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
}


def presigned_head(extra: str = "", headers: Mapping[str, str] | None = None, **changed: str):
    fields = {**PRESIGNED, **{"X-Amz-" + name: value for name, value in changed.items()}}
    query = encode_query([(name, value) for name, value in fields.items() if value != "absent"])
    return head_of("GET", f"/test.txt?{query}{extra}", {"host": HOST, **(headers or {})})


class TestPublishedExamples:
    @pytest.mark.parametrize(
        ("method", "target", "headers", "signed", "payload_hash", "signature"),
        [
            pytest.param(
                "GET",
                "/test.txt",
                {"Range": "bytes=0-9"},
                "host;range;x-amz-content-sha256;x-amz-date",
                EMPTY,
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
                id="get-object",
            ),
            pytest.param(
                "PUT",
                "/test%24file.text",
                {
                    "Date": "Fri, 24 May 2013 00:00:00 GMT",
                    "x-amz-storage-class": "REDUCED_REDUNDANCY",
                },
                "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
                id="put-object",
            ),
            pytest.param(
                "GET",
                "/?lifecycle",
                {},
                "host;x-amz-content-sha256;x-amz-date",
                EMPTY,
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
                id="get-bucket-lifecycle",
            ),
            pytest.param(
                "GET",
                "/?max-keys=2&prefix=J",
                {},
                "host;x-amz-content-sha256;x-amz-date",
                EMPTY,
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
                id="list-objects",
            ),
        ],
    )
    def test_a_header_signature_verifies(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        signed: str,
        payload_hash: str,
        signature: str,
    ) -> None:
        head = head_of(
            method,
            target,
            {
                "Host": HOST,
                **headers,
                "x-amz-date": AMZ_DATE,
                "x-amz-content-sha256": payload_hash,
                "Authorization": authorization(signed, signature),
            },
        )
        check(head)

    def test_a_presigned_url_verifies(self) -> None:
        claim = parse_claim(presigned_head())
        assert claim is not None
        assert (claim.presigned, claim.expires_s) == (True, 86400)
        assert claim.payload_hash == UNSIGNED_PAYLOAD
        check(presigned_head())

    @pytest.mark.parametrize(
        ("kind", "extra", "seed", "chunks"),
        [
            (
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                {"content-length": "66824"},
                "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
                [
                    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
                    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
                    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
                ],
            ),
            (
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
                {"x-amz-trailer": "x-amz-checksum-crc32c"},
                "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
                [
                    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
                    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
                    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
                ],
            ),
        ],
        ids=["chunks", "chunks-and-trailer"],
    )
    def test_the_chunks_chain_from_the_seed(
        self, kind: str, extra: dict[str, str], seed: str, chunks: list[str]
    ) -> None:
        headers = {
            "content-encoding": "aws-chunked",
            "host": "s3.amazonaws.com",
            "x-amz-content-sha256": kind,
            "x-amz-date": AMZ_DATE,
            "x-amz-decoded-content-length": "66560",
            "x-amz-storage-class": "REDUCED_REDUNDANCY",
            **extra,
        }
        headers["authorization"] = authorization(";".join(sorted(headers)), seed)
        signer = check(head_of("PUT", "/examplebucket/chunkObject.txt", headers))
        bodies = [b"a" * 65536, b"a" * 1024, b""]
        assert [signer.next_chunk_signature(sha256(body).hexdigest()) for body in bodies] == chunks
        if "x-amz-trailer" in extra:
            trailer = sha256(b"x-amz-checksum-crc32c:sOO8/Q==\n").hexdigest()
            assert (
                signer.trailer_signature(trailer)
                == "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"
            )


@pytest.fixture(autouse=True)
def _botocore_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None))


def botocore_signed(
    method: str, url: str, headers: Mapping[str, str], *, presign: bool, token: str | None = None
) -> RequestHead:
    request = AWSRequest(method, url, headers=dict(headers), data=b"")
    credentials = Credentials(ACCESS_KEY, PLAIN_SECRET, token)
    if presign:
        signer = botocore.auth.S3SigV4QueryAuth(credentials, "s3", "eu-west-3", expires=600)
    else:
        signer = botocore.auth.S3SigV4Auth(credentials, "s3", "eu-west-3")
    signer.add_auth(request)
    parts = urlsplit(request.url)
    target = parts.path + ("?" + parts.query if parts.query else "")
    return head_of(method, target, {"host": parts.netloc, **dict(request.headers.items())})


class TestBotocore:
    @pytest.mark.parametrize("presign", [False, True], ids=["header", "presigned"])
    @pytest.mark.parametrize("query", ODD_QUERIES, ids=range(len(ODD_QUERIES)))
    @pytest.mark.parametrize("key", ODD_KEYS, ids=range(len(ODD_KEYS)))
    def test_what_it_signs_verifies(
        self, key: str, query: list[tuple[str, str]], presign: bool
    ) -> None:
        url = f"http://127.0.0.1:8080/bucket/{quote(key, safe='/~')}?{encode_query(query)}"
        headers = {"x-amz-meta-a": "two  spaces", "content-type": "text/plain"}
        check(botocore_signed("PUT", url, headers, presign=presign))

    @pytest.mark.parametrize("presign", [False, True], ids=["header", "presigned"])
    def test_a_session_token_is_signed_and_told(self, presign: bool) -> None:
        head = botocore_signed("GET", f"http://{HOST}/k", {}, presign=presign, token="tok/en+=")
        claim = parse_claim(head)
        assert claim is not None
        assert claim.session_token == "tok/en+="
        assert "tok/en" not in repr(claim)
        check(head)

    @given(st.text(st.characters(codec="utf-8"), max_size=40))
    def test_any_key_verifies(self, key: str) -> None:
        request = AWSRequest("GET", f"http://{HOST}/b/{encode_key(key)}", data=b"")
        original = botocore.auth.get_current_datetime
        botocore.auth.get_current_datetime = lambda: NOW.replace(tzinfo=None)
        try:
            credentials = Credentials(ACCESS_KEY, PLAIN_SECRET)
            botocore.auth.S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
        finally:
            botocore.auth.get_current_datetime = original
        check(head_of("GET", f"/b/{encode_key(key)}", {"host": HOST, **dict(request.headers)}))

    @pytest.mark.parametrize("query", ODD_QUERIES, ids=range(len(ODD_QUERIES)))
    @pytest.mark.parametrize("key", ODD_KEYS, ids=range(len(ODD_KEYS)))
    def test_signs_the_same(self, key: str, query: list[tuple[str, str]]) -> None:
        path = "/bucket/" + encode_key(key)
        headers = {
            "Content-Type": "text/plain",
            "Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg==",
            "Range": "bytes=0-9",
            "x-amz-meta-b": " x  y ",
        }
        url = f"http://127.0.0.1:9000{path}?{encode_query(query)}"
        theirs = botocore_signed("GET", url, headers, presign=False)
        ours = RequestSigner(ACCESS_KEY, SECRET, "eu-west-3").sign(
            "GET",
            "127.0.0.1:9000",
            path,
            query,
            headers | {"x-amz-meta-b": "x  y", "Accept": "*/*"},
            payload_hash=EMPTY,
            now=NOW,
        )
        assert ours == {name: theirs.headers[name] for name in ours}
        assert set(ours) == {"x-amz-date", "x-amz-content-sha256", "authorization"}


class TestSpellings:
    """The wire form, or its canonical re-encoding, may be what was signed; nothing else."""

    @pytest.mark.parametrize(
        ("signed", "sent"),
        [
            ("/b/a%2Bb%20c", "/b/a+b%20c"),
            ("/b/%C3%A9", "/b/%c3%a9"),
            ("/b/k?prefix=a/b", "/b/k?prefix=a%2Fb"),
            ("/b/k?prefix=a b", "/b/k?prefix=a+b"),
            ("/b/k?prefix=a/b", "/b/k?prefix=a/b&&"),
            ("/b/a%2Bb?prefix=a/b", "/b/a+b?prefix=a/b"),
        ],
    )
    def test_the_same_meaning_verifies(self, signed: str, sent: str) -> None:
        check(signed_head(target=signed, sent_target=sent))

    @pytest.mark.parametrize(
        ("signed", "sent"),
        [
            ("/b/a%252Fb", "/b/a%2Fb"),
            ("/b/a//b", "/b/a/b"),
            ("/b/x/../a", "/b/a"),
            ("/b/a+b", "/b/a%20b"),
            ("/b/k?versionId=1", "/b/k?versionId=2"),
            ("/b/k?versionId=1", "/b/k"),
            ("/b/k", "/b/k?acl"),
            ("/b/k?a=1&a=2", "/b/k?a=1"),
        ],
    )
    def test_another_meaning_does_not(self, signed: str, sent: str) -> None:
        assert refused(signed_head(target=signed, sent_target=sent)).code == (
            "SignatureDoesNotMatch"
        )

    def test_query_pairs_are_sorted_by_name_before_value(self) -> None:
        check(signed_head(target="/b?a-b=1&a=2&a=1", sent_target="/b?a=1&a-b=1&a=2"))


class TestAnonymous:
    @pytest.mark.parametrize("headers", [{}, {"authorization": ""}, {"x-amz-date": AMZ_DATE}])
    def test_no_signature_is_anonymous(self, headers: dict[str, str]) -> None:
        assert parse_claim(head_of("GET", "/b/k?versionId=1&Expires=5", headers)) is None

    @pytest.mark.parametrize(
        ("target", "headers", "code"),
        [
            ("/k", {"authorization": "AWS AKID"}, "InvalidArgument"),
            ("/k", {"authorization": "AWS AKID:c2ln"}, "AccessDenied"),
            ("/k", {"authorization": "AWS3 AKID:c2ln"}, "InvalidRequest"),
            ("/k", {"authorization": "AWS4-ECDSA-P256-SHA256 Credential=a"}, "InvalidRequest"),
            ("/k", {"authorization": "q-sign-algorithm=sha1&q-ak=a"}, "InvalidRequest"),
            ("/k", {"authorization": "Bearer x"}, "InvalidArgument"),
            ("/k", {"authorization": "AWS4-HMAC-SHA256"}, "AuthorizationHeaderMalformed"),
            ("/k?Signature=b", {}, "AccessDenied"),
            ("/k?signature=b&expires=1&awsaccesskeyid=a", {}, "AccessDenied"),
            ("/k?Signature=b&X-Amz-Signature=b", {}, "InvalidArgument"),
            ("/k?q-sign-algorithm=sha1&q-ak=a", {}, "InvalidRequest"),
            ("/k?X-Amz-Signature=b", {}, "AuthorizationQueryParametersError"),
            ("/k?X-Amz-Algorithm=AWS4-HMAC-SHA256", {}, "AuthorizationQueryParametersError"),
            ("/k?x-amz-algorithm=AWS4-HMAC-SHA256", {}, "AuthorizationQueryParametersError"),
            ("/k?X%2DAmz-Credential=a", {}, "AuthorizationQueryParametersError"),
        ],
    )
    def test_whatever_looks_signed_is_not(
        self, target: str, headers: dict[str, str], code: str
    ) -> None:
        assert refused(head_of("GET", target, headers)).code == code

    def test_two_mechanisms_are_refused(self) -> None:
        head = presigned_head(headers={"authorization": authorization("host", "0" * 64)})
        assert refused(head).code == "InvalidArgument"


class TestHeaderRefusals:
    @pytest.mark.parametrize("skew", [timedelta(seconds=901), timedelta(seconds=-901)])
    def test_skew_both_ways(self, skew: timedelta) -> None:
        error = refused(signed_head(at=NOW + skew))
        assert error.code == "RequestTimeTooSkewed"
        assert error.fields["MaxAllowedSkewMilliseconds"] == "900000"

    @pytest.mark.parametrize("skew", [timedelta(seconds=900), timedelta(seconds=-900)])
    def test_fifteen_minutes_are_allowed(self, skew: timedelta) -> None:
        check(signed_head(at=NOW + skew))

    @pytest.mark.parametrize(
        "value",
        [
            "AWS4-HMAC-SHA256 Credential=a,SignedHeaders=host",
            f"AWS4-HMAC-SHA256 Credential=a/{SCOPE},SignedHeaders=host,Signature=0,Signature=1",
            f"AWS4-HMAC-SHA256 Credential=a/{SCOPE},SignedHeaders=host,Signature=0,Extra=1",
            "AWS4-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=0",
            f"AWS4-HMAC-SHA256 Credential=/{SCOPE},SignedHeaders=host,Signature=0",
            f"AWS4-HMAC-SHA256 Credential=a/{SCOPE}x,SignedHeaders=host,Signature=0",
            f"AWS4-HMAC-SHA256 Credential=a/{SCOPE},SignedHeaders=host,Signature=é",
            f"AWS4-HMAC-SHA256 Credential=a/{SCOPE.replace('s3', 'sts')},SignedHeaders=host,"
            "Signature=0",
            f"AWS4-HMAC-SHA256 Credential=a/{SCOPE.replace('0524', '0523')},SignedHeaders=host,"
            "Signature=0",
        ],
        ids=range(9),
    )
    def test_malformed(self, value: str) -> None:
        error = refused(with_header(signed_head(), "authorization", value))
        assert error.code == "AuthorizationHeaderMalformed"

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "",
            "20130524",
            "20130524T000000",
            "2013-05-24T00:00:00Z",
            "20131324T000000Z",
            "20130524T000061Z",
            "2013052\u0664T000000Z",
            "+0130524T000000Z",
        ],
    )
    def test_no_usable_date(self, value: str | None) -> None:
        assert refused(with_header(signed_head(), "x-amz-date", value)).code == "AccessDenied"

    @pytest.mark.parametrize("value", ["nonsense", "Fri, 31 Dec 9999 23:59:59 -1400", "(", "9"])
    def test_no_usable_http_date(self, value: str) -> None:
        head = with_header(with_header(signed_head(), "x-amz-date", None), "date", value)
        assert refused(head).code == "AccessDenied"

    def test_the_date_header_stands_in_for_x_amz_date(self) -> None:
        request = AWSRequest("GET", f"http://{HOST}/k", headers={"Date": "x"}, data=b"")
        botocore.auth.S3SigV4Auth(Credentials(ACCESS_KEY, PLAIN_SECRET), "s3", "r").add_auth(
            request
        )
        head = head_of("GET", "/k", {"host": HOST, **dict(request.headers)})
        assert "x-amz-date" not in head.headers
        check(head)

    def test_the_payload_hash_is_required(self) -> None:
        head = with_header(signed_head(), "x-amz-content-sha256", None)
        assert refused(head).code == "InvalidRequest"

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("x-amz-content-sha256", UNSIGNED_PAYLOAD),
            ("x-amz-meta-a", "2"),
            ("x-amz-meta-a", "\ud800"),
            ("x-amz-meta-a", None),
            ("host", "other.example"),
            ("host", HOST + ":8080"),
            ("range", "bytes=0-1"),
        ],
    )
    def test_a_changed_signed_header(self, name: str, value: str | None) -> None:
        head = signed_head(headers={"x-amz-meta-a": "1", "range": "bytes=0-0"})
        assert refused(with_header(head, name, value)).code == "SignatureDoesNotMatch"

    def test_the_method_is_signed(self) -> None:
        head = signed_head("GET")
        other = make_head("DELETE", _target(head), head.headers.items(), secure=False)
        error = refused(other)
        assert error.code == "SignatureDoesNotMatch"
        assert error.fields["AWSAccessKeyId"] == ACCESS_KEY

    def test_the_region_is_signed(self) -> None:
        head = signed_head()
        value = head.headers["authorization"].replace("us-east-1", "us-east-2")
        assert refused(with_header(head, "authorization", value)).code == "SignatureDoesNotMatch"

    def test_another_secret(self) -> None:
        head = signed_head()
        claim = parse_claim(head)
        assert claim is not None
        with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
            verify(claim, head, Secret("other"), now=NOW)

    def test_the_error_does_not_repeat_a_customer_key(self) -> None:
        name = "x-amz-server-side-encryption-customer-key"
        head = with_header(signed_head(headers={name: "c2VjcmV0"}), "range", "bytes=0-0")
        broken = with_header(head, "host", "other")
        assert "c2VjcmV0" not in repr(refused(broken).fields)

    @pytest.mark.parametrize(
        "name", ["x-amz-acl", "x-amz-server-side-encryption", "x-cos-copy-source"]
    )
    def test_headers_that_act_must_be_signed(self, name: str) -> None:
        error = refused(with_header(signed_head(), name, "x"))
        assert error.code == "AccessDenied"
        assert error.fields["HeadersNotSigned"] == name
        check(with_header(signed_head(), "x-amzn-trace-id", "x"))

    def test_the_host_must_be_signed(self) -> None:
        head = signed_head()
        value = head.headers["authorization"].replace("=host;", "=")
        error = refused(with_header(head, "authorization", value))
        assert error.fields["HeadersNotSigned"] == "host"

    def test_metadata_bytes_that_are_not_utf8_are_signed_as_sent(self) -> None:
        value = b"caf\xe9".decode("utf-8", "surrogateescape")
        head = signed_head(headers={"x-amz-meta-a": value})
        check(head)
        assert refused(with_header(head, "x-amz-meta-a", "caf")).code == "SignatureDoesNotMatch"


class TestHosts:
    @pytest.mark.parametrize(
        "host", ["s3.amazonaws.com", HOST, HOST.upper(), HOST + ":80", "S3.amazonaws.com:443"]
    )
    def test_a_host_of_the_store_is_refused(self, host: str) -> None:
        signed = RequestSigner(ACCESS_KEY, SECRET, "us-east-1").sign(
            "GET", host, "/k", [], {}, payload_hash=EMPTY, now=NOW
        )
        head = head_of("GET", "/k", {"host": host, **signed})
        check(head)
        assert refused(head, hosts_refused=("S3.amazonaws.com",)).code == "AccessDenied"
        check(head, hosts_refused=("3.amazonaws.com", "s3.amazonaws.com:9000"))

    def test_only_allowed_hosts(self) -> None:
        check(signed_head(), hosts_allowed=("x.example", "s3.amazonaws.com"))
        assert refused(signed_head(), hosts_allowed=("x.example",)).code == "AccessDenied"


class TestPresignedRefusals:
    @pytest.mark.parametrize(
        "changed",
        [
            {"Expires": "0"},
            {"Expires": "604801"},
            {"Expires": "-1"},
            {"Expires": "1e3"},
            {"Expires": "\u0661"},
            {"Expires": "9" * 5000},
            {"Expires": "absent"},
            {"Algorithm": "AWS4-ECDSA-P256-SHA256"},
            {"Date": "20130524"},
            {"Date": "20130523T000000Z"},
            {"Credential": "x"},
            {"Credential": f"{ACCESS_KEY}/{SCOPE.replace('s3', 'sts')}"},
            {"Signature": "absent"},
            {"SignedHeaders": "absent"},
        ],
        ids=str,
    )
    def test_parameters_that_are_wrong(self, changed: dict[str, str]) -> None:
        assert refused(presigned_head(**changed)).code == "AuthorizationQueryParametersError"

    @pytest.mark.parametrize(
        "extra", ["&X-Amz-Signature=0", "&X-Amz-Expires=604800", "&X%2DAmz-Date=1"]
    )
    def test_duplicated_parameters(self, extra: str) -> None:
        assert refused(presigned_head(extra)).code == "AuthorizationQueryParametersError"

    @pytest.mark.parametrize("extra", ["&versionId=1", "&acl", "&x-amz-acl=public-read"])
    def test_added_parameters(self, extra: str) -> None:
        assert refused(presigned_head(extra)).code == "SignatureDoesNotMatch"

    def test_expiry(self) -> None:
        check(presigned_head(), now=NOW + timedelta(days=1))
        error = refused(presigned_head(), now=NOW + timedelta(days=1, seconds=1))
        assert (error.code, error.message) == ("AccessDenied", "Request has expired")
        assert error.fields["X-Amz-Expires"] == "86400"

    def test_a_date_in_the_future(self) -> None:
        check(presigned_head(), now=NOW - timedelta(minutes=15))
        error = refused(presigned_head(), now=NOW - timedelta(minutes=15, seconds=1))
        assert (error.code, error.message) == ("AccessDenied", "Request is not valid yet")

    def test_unsigned_headers_are_refused(self) -> None:
        error = refused(presigned_head(headers={"x-amz-server-side-encryption": "AES256"}))
        assert error.fields["HeadersNotSigned"] == "x-amz-server-side-encryption"

    def test_an_unsigned_payload_hash_must_say_unsigned(self) -> None:
        name = "x-amz-content-sha256"
        check(presigned_head(headers={name: UNSIGNED_PAYLOAD}))
        for value in (EMPTY, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"):
            assert refused(presigned_head(headers={name: value})).code == "AccessDenied"

    def test_a_signed_payload_hash_counts(self) -> None:
        head = presigned_head(
            headers={"x-amz-content-sha256": EMPTY}, SignedHeaders="host;x-amz-content-sha256"
        )
        claim = parse_claim(head)
        assert claim is not None
        assert claim.payload_hash == EMPTY

    def test_a_signed_header_must_be_sent(self) -> None:
        name = "x-amz-server-side-encryption"
        head = botocore_signed("PUT", f"http://{HOST}/k", {name: "AES256"}, presign=True)
        check(head)
        assert refused(with_header(head, name, None)).code == "SignatureDoesNotMatch"


def test_signing_keys_differ_by_secret_and_scope() -> None:
    scopes = [("20130524", "a", "s3"), ("20130525", "a", "s3"), ("20130524", "b", "s3")]
    keys = {signing_key(secret, *scope) for secret in (SECRET, Secret("x")) for scope in scopes}
    assert len(keys) == 6
    assert keys == {
        signing_key(secret, *scope) for secret in (SECRET, Secret("x")) for scope in scopes
    }


def test_a_claim_shows_no_signature() -> None:
    claim = parse_claim(presigned_head())
    assert isinstance(claim, SigV4Claim)
    assert PRESIGNED["X-Amz-Signature"] not in repr(claim)


_HEADER_NAMES = st.sampled_from(
    ["authorization", "host", "date", "x-amz-date", "x-amz-content-sha256", "x-amz-acl"]
)
_PIECES = st.sampled_from(
    [
        "AWS4-HMAC-SHA256 ",
        f"Credential={ACCESS_KEY}/{SCOPE}",
        "SignedHeaders=host;x-amz-date",
        "Signature=" + "0" * 64,
        ", ",
        AMZ_DATE,
        UNSIGNED_PAYLOAD,
    ]
)
_VALUES = st.lists(st.one_of(_PIECES, st.text(max_size=5)), max_size=8).map("".join)
_PAIRS = st.tuples(st.sampled_from(sorted(PRESIGNED)), st.one_of(_VALUES, st.just(AMZ_DATE)))


@given(st.dictionaries(_HEADER_NAMES, _VALUES), st.lists(_PAIRS, max_size=7))
def test_arbitrary_requests_raise_only_s3_errors(
    headers: dict[str, str], pairs: list[tuple[str, str]]
) -> None:
    query = "&".join(
        f"{name}={quote(value.encode('utf-8', 'replace'), safe='')}" for name, value in pairs
    )
    try:
        head = make_head("GET", f"/b/k?{query}", headers.items(), secure=False)
        claim = parse_claim(head)
        if claim is not None:
            verify(claim, head, SECRET, now=NOW)
    except S3Error:
        return
    assert claim is None
