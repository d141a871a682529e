"""SigV2: the published examples, agreement with botocore, and every refusal."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
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
from sseproxy.s3.sigv2 import SIGNED_QUERY, SigV2Claim, verify
from sseproxy.secret import Secret

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
PLAIN_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SECRET = Secret(PLAIN_SECRET)
NOW = datetime(2007, 3, 27, 19, 36, 42, tzinfo=UTC)
DATE = "Tue, 27 Mar 2007 19:36:42 +0000"
BUCKET = "awsexamplebucket1"
HOST = f"{BUCKET}.us-west-1.s3.amazonaws.com"
SSE = "x-amz-server-side-encryption"


def head_of(method: str, target: str, headers: Mapping[str, str]) -> RequestHead:
    return make_head(method, target, headers.items(), secure=False)


def check(
    head: RequestHead,
    *,
    now: datetime = NOW,
    secret: Secret = SECRET,
    bucket: str | None = None,
    **hosts: tuple[str, ...],
) -> SigV2Claim:
    claim = parse_claim(head)
    assert isinstance(claim, SigV2Claim)
    verify(claim, head, secret, now=now, bucket_of_host=bucket, **hosts)
    return claim


def refused(head: RequestHead, **options) -> S3Error:
    with pytest.raises(S3Error) as caught:
        check(head, **options)
    assert PLAIN_SECRET not in repr((caught.value, caught.value.fields))
    return caught.value


def signature_of(*lines: str) -> str:
    """By the words of the specification, and nothing else."""
    digest = hmac.new(PLAIN_SECRET.encode(), "\n".join(lines).encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def signed_head(
    method: str = "GET",
    target: str = "/bucket/key",
    headers: Mapping[str, str] | None = None,
    *,
    resource: str | None = None,
    sent_target: str | None = None,
    date: str = DATE,
) -> RequestHead:
    """A request signed here, sent perhaps with another target than was signed."""
    lower = {"date": date, "host": "h"} | {n.lower(): v for n, v in (headers or {}).items()}
    amz = sorted((n, v) for n, v in lower.items() if n.startswith("x-amz-"))
    lower["authorization"] = f"AWS {ACCESS_KEY}:" + signature_of(
        method,
        lower.get("content-md5", ""),
        lower.get("content-type", ""),
        "" if "x-amz-date" in lower else lower.get("date", ""),
        *(f"{name}:{value}" for name, value in amz),
        resource or target,
    )
    return head_of(method, sent_target or target, lower)


def changed(head: RequestHead, name: str, value: str | None) -> RequestHead:
    headers = {n: v for n, v in head.headers.items() if n != name}
    if value is not None:
        headers[name] = value
    return head_of(head.method, _target(head), headers)


def _target(head: RequestHead) -> str:
    return head.raw_path + ("?" + head.raw_query if head.raw_query else "")


class TestPublishedExamples:
    """Of "Signing and Authenticating REST Requests"."""

    @pytest.mark.parametrize(
        ("method", "target", "host", "headers", "bucket", "signature"),
        [
            pytest.param(
                *("GET", "/photos/puppy.jpg", HOST, {"Date": DATE}, BUCKET),
                "qgk2+6Sv9/oM7G3qLEjTH1a1l1g=",
                id="object-get",
            ),
            pytest.param(
                *("PUT", "/photos/puppy.jpg", HOST),
                {
                    "Content-Type": "image/jpeg",
                    "Content-Length": "94328",
                    "Date": "Tue, 27 Mar 2007 21:15:45 +0000",
                },
                *(BUCKET, "iqRzw+ileNPu1fhspnRs8nOjjIA="),
                id="object-put",
            ),
            pytest.param(
                *("GET", "/?prefix=photos&max-keys=50&marker=puppy", HOST),
                {"User-Agent": "Mozilla/5.0", "Date": "Tue, 27 Mar 2007 19:42:41 +0000"},
                *(BUCKET, "m0WP8eCtspQl5Ahe6L1SozdX9YA="),
                id="list",
            ),
            pytest.param(
                *("GET", "/?acl", HOST, {"Date": "Tue, 27 Mar 2007 19:44:46 +0000"}, BUCKET),
                "82ZHiFIjc+WbcwFKGUVEQspPn+0=",
                id="fetch",
            ),
            pytest.param(
                *("DELETE", f"/{BUCKET}/photos/puppy.jpg", "s3.us-west-1.amazonaws.com"),
                {"User-Agent": "dotnet", "Date": "Tue, 27 Mar 2007 21:20:26 +0000"},
                *(None, "XbyTlbQdu9Xw5o8P4iMwPktxQd8="),
                id="delete",
            ),
            pytest.param(
                *("PUT", "/db-backup.dat.gz", "static.example.com:8080"),
                {
                    "User-Agent": "curl/7.15.5",
                    "Date": "Tue, 27 Mar 2007 21:06:08 +0000",
                    "x-amz-acl": "public-read",
                    "content-type": "application/x-download",
                    "Content-MD5": "4gJE4saaMU4BqNR0kLY+lw==",
                    "X-Amz-Meta-ReviewedBy": "joe@example.com,jane@example.com",
                    "X-Amz-Meta-FileChecksum": "0x02661779",
                    "X-Amz-Meta-ChecksumAlgorithm": "crc32",
                    "Content-Disposition": "attachment; filename=database.dat",
                    "Content-Encoding": "gzip",
                    "Content-Length": "5913339",
                },
                *("static.example.com", "jtBQa0Aq+DkULFI8qrpwIjGEx0E="),
                id="upload",
            ),
            pytest.param(
                *("GET", "/", "s3.us-west-1.amazonaws.com"),
                {"Date": "Wed, 28 Mar 2007 01:29:59 +0000"},
                *(None, "qGdzdERIC03wnaRNKh6OqZehG9s="),
                id="list-all-my-buckets",
            ),
            pytest.param(
                *("GET", "/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re"),
                *("s3.us-west-1.amazonaws.com", {"Date": "Wed, 28 Mar 2007 01:49:49 +0000"}),
                *(None, "DNEZGsoieTZ92F3bUfSPQcbGmlM="),
                id="unicode-keys",
            ),
        ],
    )
    def test_a_header_signature_verifies(
        self,
        method: str,
        target: str,
        host: str,
        headers: dict[str, str],
        bucket: str | None,
        signature: str,
    ) -> None:
        sent = {"Host": host, **headers, "Authorization": f"AWS {ACCESS_KEY}:{signature}"}
        now = datetime.strptime(headers["Date"], "%a, %d %b %Y %H:%M:%S %z")
        assert check(head_of(method, target, sent), now=now, bucket=bucket).presigned is False

    def test_a_presigned_url_verifies(self) -> None:
        query = f"AWSAccessKeyId={ACCESS_KEY}&Signature={{}}&Expires=1175139620"
        for signature in ("NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D", "NpgCjnDzrM+WFzoENXmpNDUsSn8="):
            target = f"/photos/puppy.jpg?{query.format(signature)}"
            claim = check(head_of("GET", target, {"host": "h"}), bucket="johnsmith")
            assert claim.presigned is True
            assert claim.moment == datetime.fromtimestamp(1175139620, UTC)


@pytest.fixture(autouse=True)
def _botocore_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.auth, "formatdate", lambda usegmt: DATE)
    monkeypatch.setattr(botocore.auth.time, "time", NOW.timestamp)


def botocore_signed(
    method: str,
    url: str,
    headers: Mapping[str, str],
    *,
    presign: bool,
    token: str | None = None,
    auth_path: str | None = None,
) -> RequestHead:
    request = AWSRequest(method, url, headers=dict(headers), data=b"", auth_path=auth_path)
    credentials = Credentials(ACCESS_KEY, PLAIN_SECRET, token)
    signer = botocore.auth.HmacV1Auth(credentials)
    if presign:
        signer = botocore.auth.HmacV1QueryAuth(credentials, expires=600)
    signer.add_auth(request)
    parts = urlsplit(request.url)
    target = parts.path + ("?" + parts.query if parts.query else "")
    sent = {} if presign else dict(request.headers.items())
    return head_of(method, target, {"host": parts.netloc, **sent})


BOTH = pytest.mark.parametrize("presign", [False, True], ids=["header", "presigned"])
ODD_KEYS = ["a//b", "trailing/", "../x", "%2F", "a+b c", "~!*'();:@&=$,[]", "🦆/腾讯云", "x" * 1024]
ODD_QUERIES = [
    [],
    [("uploads", "")],
    [("prefix", "a/b +%2F&=?"), ("delimiter", "/")],
    [("versionId", "a+/="), ("response-content-disposition", 'attachment; filename="ü"')],
    [("uploadId", "x.y-z"), ("partNumber", "2")],
]


class TestBotocore:
    @BOTH
    @pytest.mark.parametrize("query", ODD_QUERIES, ids=range(len(ODD_QUERIES)))
    @pytest.mark.parametrize("key", ODD_KEYS, ids=range(len(ODD_KEYS)))
    def test_what_it_signs_verifies(
        self, key: str, query: list[tuple[str, str]], presign: bool
    ) -> None:
        url = f"http://127.0.0.1:8080/bucket/{quote(key, safe='/~')}?{encode_query(query)}"
        headers = {"x-amz-meta-a": "two  spaces", "content-type": "text/plain", SSE: "AES256"}
        check(botocore_signed("PUT", url, headers, presign=presign))

    @BOTH
    @pytest.mark.parametrize("path", ["/", "/k%20ey"])
    def test_virtual_host_style(self, path: str, presign: bool) -> None:
        url = f"http://photos.s3.example.com{path}?acl"
        head = botocore_signed("GET", url, {}, presign=presign, auth_path="/photos" + path)
        check(head, bucket="photos")
        assert refused(head, bucket="other").code == "SignatureDoesNotMatch"
        assert refused(head).code == "SignatureDoesNotMatch"

    @BOTH
    def test_a_session_token_is_signed_and_told(self, presign: bool) -> None:
        head = botocore_signed("GET", "http://h/b/k", {}, presign=presign, token="tok/en+=")
        claim = check(head)
        assert claim.session_token == "tok/en+="
        assert "tok/en" not in repr(claim)
        assert claim.signature not in repr(claim)

    @given(st.text(st.characters(codec="utf-8"), max_size=40))
    def test_any_key_verifies(self, key: str) -> None:
        url = f"http://h/b/{encode_key(key)}"
        check(botocore_signed("GET", url, {}, presign=True))

    def test_what_it_signs_of_a_query_is_signed_here(self) -> None:
        assert set(botocore.auth.HmacV1Auth.QSAOfInterest) <= SIGNED_QUERY


class TestSpellings:
    @pytest.mark.parametrize(
        ("resource", "sent"),
        [
            ("/b/a%2Bb%20c", "/b/a+b%20c"),
            ("/b/%C3%A9", "/b/%c3%a9"),
            ("/b/", "/b"),
            ("/b/?acl", "/b?acl"),
            ("/b?acl=", "/b?acl"),
            ("/b?acl", "/b?acl="),
            ("/b/k?versionId=a b", "/b/k?versionId=a+b"),
            ("/b/k?partNumber=1&uploadId=x", "/b/k?uploadId=x&partNumber=1"),
            ("/b", "/b?prefix=a&list-type=2&max-keys=5&x-id=ListObjectsV2"),
            ("/b/k", "/b/k?ignored=1"),
            ("/b/k", "/b/k?versionid=2"),
        ],
    )
    def test_the_same_meaning_verifies(self, resource: str, sent: str) -> None:
        check(signed_head(resource=resource, sent_target=sent))

    @pytest.mark.parametrize(
        ("resource", "sent"),
        [
            ("/b/a%252Fb", "/b/a%2Fb"),
            ("/b/a//b", "/b/a/b"),
            ("/b/k/", "/b/k"),
            ("/b/k?versionId=1", "/b/k?versionId=2"),
            ("/b/k?versionId=1", "/b/k?versionId=2&versionId=1"),
            ("/b/k?versionId=1", "/b/k"),
            ("/b/k", "/b/k?acl"),
            ("/b/k", "/b/k?versionId=1"),
            ("/b/k", "/b/k?response-content-type=a"),
            ("/b/k", "/b/k?x-amz-acl=public-read"),
            ("/b/k", "/b/k?X-AMZ-ACL=public-read"),
        ],
    )
    def test_another_meaning_does_not(self, resource: str, sent: str) -> None:
        error = refused(signed_head(resource=resource, sent_target=sent))
        assert error.code == "SignatureDoesNotMatch"
        assert error.fields["AWSAccessKeyId"] == ACCESS_KEY

    @pytest.mark.parametrize(
        "name", sorted(name for name in SIGNED_QUERY if not name.startswith("response-"))
    )
    def test_no_sub_resource_can_be_added(self, name: str) -> None:
        for text in (name, f"{name}=1"):
            assert refused(signed_head(sent_target=f"/bucket/key?{text}")).status == 403
        check(signed_head(target=f"/bucket/key?{name}"))


class TestNotCovered:
    @pytest.mark.parametrize(
        ("method", "query"),
        [
            ("GET", "unknown"),
            ("GET", "ci-process=x"),
            ("GET", "lambdaArn=x"),
            ("GET", "x-oss-process=x"),
            ("GET", "x-cos-acl=public-read"),
            ("GET", "X-Minio-Extract=true"),
            ("HEAD", "unknown="),
            ("PUT", "unknown=1"),
            ("PUT", "append=1"),
            ("DELETE", "unknown=1"),
            ("PUT", "VersioniD=1&Acl=1"),
        ],
    )
    def test_parameters_that_could_act_are_refused(self, method: str, query: str) -> None:
        head = signed_head(method, resource="/b/k", sent_target=f"/b/k?{query}")
        error = refused(head)
        assert error.code == "AccessDenied"
        assert query.rpartition("&")[2].partition("=")[0] in error.fields["HeadersNotSigned"]

    @pytest.mark.parametrize(
        "query",
        ["x-amz-meta-a=1%0Ax-amz-acl:public-read", "x-amz-meta-a=%00", "x-amz-meta%20a=1"],
        ids=["line break", "NUL", "name"],
    )
    def test_what_no_header_can_be_is_none_in_the_query(self, query: str) -> None:
        head = signed_head("PUT", "/b/k", sent_target=f"/b/k?{query}")
        assert refused(head).code == "AccessDenied"

    @pytest.mark.parametrize("name", ["x-cos-acl", "x-cos-copy-source"])
    def test_headers_of_the_other_dialect(self, name: str) -> None:
        error = refused(changed(signed_head("PUT"), name, "x"))
        assert (error.code, error.fields["HeadersNotSigned"]) == ("AccessDenied", name)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("x-amz-meta-a", "2"),
            ("x-amz-meta-a", None),
            ("x-amz-acl", "public-read"),
            ("x-amz-copy-source", "/b/other"),
            (SSE, "AES256"),
            ("content-type", "text/html"),
            ("content-type", None),
            ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
            ("date", "Tue, 27 Mar 2007 19:36:43 +0000"),
        ],
    )
    @BOTH
    def test_what_is_signed_can_not_be_changed(
        self, name: str, value: str | None, presign: bool
    ) -> None:
        headers = {"x-amz-meta-a": "1", "content-type": "text/plain"}
        head = botocore_signed("PUT", "http://h/b/k", headers, presign=presign)
        check(head)
        if presign and (value is None or name == "date"):
            return  # there is no such header
        assert refused(changed(head, name, value)).code == "SignatureDoesNotMatch"

    def test_the_method_is_signed(self) -> None:
        head = signed_head("GET")
        other = head_of("DELETE", _target(head), head.headers)
        assert refused(other).code == "SignatureDoesNotMatch"

    def test_another_secret(self) -> None:
        assert refused(signed_head(), secret=Secret("other")).code == "SignatureDoesNotMatch"

    @pytest.mark.parametrize("value", ["é", "\ud800", "x"])
    def test_a_signature_that_is_none(self, value: str) -> None:
        head = changed(signed_head(), "authorization", f"AWS {ACCESS_KEY}:{value}")
        assert refused(head).code == "SignatureDoesNotMatch"

    def test_headers_in_the_query_may_be_sent_too(self) -> None:
        head = botocore_signed("PUT", "http://h/b/k", {SSE: "AES256"}, presign=True)
        check(changed(head, SSE, "AES256"))
        assert refused(changed(head, SSE, "aws:kms")).code == "SignatureDoesNotMatch"

    @pytest.mark.parametrize("name", [f"{SSE}-customer-key", "x-amz-security-token"])
    def test_the_error_repeats_no_secret(self, name: str) -> None:
        head = signed_head("PUT", "/b/k", {name: "c2VjcmV0"}, sent_target="/b/other")
        assert "c2VjcmV0" not in repr(refused(head).fields)
        plain = refused(signed_head("PUT", "/b/k", sent_target="/b/other"))
        assert plain.fields["StringToSign"].endswith("/b/other")

    def test_metadata_bytes_that_are_not_utf8_are_signed_as_sent(self) -> None:
        head = signed_head(headers={"x-amz-meta-a": "x"})
        value = b"caf\xe9".decode("utf-8", "surrogateescape")
        assert refused(changed(head, "x-amz-meta-a", value)).code == "SignatureDoesNotMatch"


class TestTime:
    @pytest.mark.parametrize("skew", [timedelta(seconds=901), timedelta(seconds=-901)])
    def test_skew_both_ways(self, skew: timedelta) -> None:
        error = refused(signed_head(), now=NOW + skew)
        assert error.code == "RequestTimeTooSkewed"
        assert error.fields["MaxAllowedSkewMilliseconds"] == "900000"

    @pytest.mark.parametrize("skew", [timedelta(seconds=900), timedelta(seconds=-900)])
    def test_fifteen_minutes_are_allowed(self, skew: timedelta) -> None:
        check(signed_head(), now=NOW + skew)

    @pytest.mark.parametrize("date", [DATE, "20070327T193642Z", "Tue, 27 Mar 2007 20:36:42 +0100"])
    def test_x_amz_date_takes_the_place_of_date(self, date: str) -> None:
        head = signed_head(headers={"x-amz-date": date}, date="Mon, 01 Jan 1990 00:00:00 GMT")
        check(head)
        check(changed(head, "date", None))
        assert refused(head, now=NOW + timedelta(hours=1)).code == "RequestTimeTooSkewed"
        other = changed(head, "x-amz-date", "Tue, 27 Mar 2007 19:36:43 +0000")
        assert refused(other).code == "SignatureDoesNotMatch"

    @pytest.mark.parametrize("date", [None, "", "yesterday", "1175024202"])
    def test_no_usable_date(self, date: str | None) -> None:
        assert refused(changed(signed_head(), "date", date)).code == "AccessDenied"

    def test_expiry(self) -> None:
        head = botocore_signed("GET", "http://h/b/k", {}, presign=True)
        check(head, now=NOW + timedelta(seconds=600))
        error = refused(head, now=NOW + timedelta(seconds=601))
        assert (error.code, error.message) == ("AccessDenied", "Request has expired")
        assert error.fields["Expires"] == "20070327T194642Z"

    def test_expiry_can_not_be_put_off(self) -> None:
        head = botocore_signed("GET", "http://h/b/k", {}, presign=True)
        later = _target(head).replace("Expires=", "Expires=9")
        assert refused(head_of("GET", later, {"host": "h"})).code == "SignatureDoesNotMatch"


class TestMalformed:
    @pytest.mark.parametrize("value", ["AWS ", "AWS x", "AWS :", "AWS x:", "AWS :x"])
    def test_headers(self, value: str) -> None:
        error = refused(changed(signed_head(), "authorization", value))
        assert (error.code, error.fields["ArgumentName"]) == ("InvalidArgument", "Authorization")

    @pytest.mark.parametrize(
        "query",
        [
            "AWSAccessKeyId=a",
            "Signature=b&Expires=1",
            "AWSAccessKeyId=a&Signature=b",
            "AWSAccessKeyId=a&Signature=b&Expires=",
            "AWSAccessKeyId=a&Signature=b&Expires=soon",
            "AWSAccessKeyId=a&Signature=b&Expires=-1",
            "AWSAccessKeyId=a&Signature=b&Expires=1e9",
            "AWSAccessKeyId=a&Signature=b&Expires=%D9%A1",
            "AWSAccessKeyId=a&Signature=b&Expires=999999999999",
            "awsaccesskeyid=a&signature=b&expires=9999999999",
        ],
    )
    def test_queries(self, query: str) -> None:
        assert refused(head_of("GET", f"/b/k?{query}", {})).code == "AccessDenied"

    @pytest.mark.parametrize(
        "target", ["/b/k?AWSAccessKeyId=a&Signature=b&Expires=9", "/b/k?X-Amz-Signature=b"]
    )
    def test_two_mechanisms(self, target: str) -> None:
        head = head_of("GET", target, {"authorization": "AWS a:b", "date": DATE})
        assert refused(head).code == "InvalidArgument"

    def test_the_largest_expiry_is_a_time(self) -> None:
        target = "/b/k?AWSAccessKeyId=a&Signature=b&Expires=99999999999"
        assert refused(head_of("GET", target, {})).code == "SignatureDoesNotMatch"


class TestHosts:
    """A V2 signature does not cover Host: the check is for clients that meant another server."""

    def test_a_host_of_the_store_is_refused(self) -> None:
        head = signed_head(headers={"host": "store:9000"})
        check(head)
        assert refused(head, hosts_refused=("store:9000",)).code == "AccessDenied"

    def test_only_allowed_hosts(self) -> None:
        check(signed_head(headers={"host": "b.mine"}), hosts_allowed=("mine",))
        assert refused(signed_head(), hosts_allowed=("mine",)).code == "AccessDenied"


_HEADER_NAMES = st.sampled_from(["authorization", "date", "x-amz-date", "x-amz-acl", "host"])
_PIECES = st.sampled_from(["AWS ", ACCESS_KEY, ":", DATE, "c2ln", "20070327T193642Z"])
_VALUES = st.lists(st.one_of(_PIECES, st.text(max_size=5)), max_size=6).map("".join)
_PAIRS = st.tuples(
    st.sampled_from(["AWSAccessKeyId", "Signature", "Expires", "acl", "x-amz-acl", "x"]),
    st.one_of(_VALUES, st.just("1175024302")),
)


@given(st.dictionaries(_HEADER_NAMES, _VALUES), st.lists(_PAIRS, max_size=6))
def test_arbitrary_requests_raise_only_s3_errors(
    headers: dict[str, str], pairs: list[tuple[str, str]]
) -> None:
    query = "&".join(f"{n}={quote(v.encode('utf-8', 'replace'), safe='')}" for n, v in pairs)
    claim = None
    try:
        head = make_head("GET", f"/b/k?{query}", headers.items(), secure=False)
        claim = parse_claim(head)
        if isinstance(claim, SigV2Claim):
            verify(claim, head, SECRET, now=NOW)
    except S3Error:
        return
    assert claim is None
