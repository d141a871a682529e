"""Attacks on objects as they lie in the store: every one is seen, and nothing false is served."""

from __future__ import annotations

import secrets
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from tests.e2e.attacks import (
    ANY_SIZE,
    LARGE,
    PLAIN_SEGMENT,
    Attack,
    Got,
    Raw,
    fresh_bucket,
    integrity_failures,
    lay,
    md5_hex,
    send,
    signed,
    take,
    windows,
)
from tests.proxies import ProxyProcess
from tests.proxy.wire import customer
from tests.servers import Identity, MinIO, SeaweedFS, free_ports

SMALL_BYTES, LARGE_BYTES = 3_000, 9 * PLAIN_SEGMENT + 1_234
CUSTOMER = customer(secrets.token_bytes(32))
# The envelope can't be read at all, or names keys that are not there: an error, but nothing that
# was authenticated has failed.
UNREADABLE = {
    "envelope version",
    "envelope keyring",
    "envelope no base64",
    "envelope of zeros",
    "envelope twice",
    "envelope's last character",
}


class Target:
    """An object under attack, and what a client sees of it."""

    def __init__(self, proxy: ProxyProcess, size: int, headers: dict[str, str]) -> None:
        self.proxy, self.headers = proxy, headers
        self.bucket = fresh_bucket(proxy)
        self.plain, self.etag, self.raw = self._put("object", size)
        _, _, self.other = self._put("other", size)
        self._blocks = set(windows(self.plain))

    def _put(self, key: str, size: int) -> tuple[bytes, str, Raw]:
        plain = secrets.token_bytes(size)
        put = signed(self.proxy, "PUT", f"/{self.bucket}/{key}", self.headers, plain)
        assert put.status == 200, put.body
        return plain, put.headers["etag"].strip('"'), take(self.proxy, self.bucket, key)

    def ask(self, method: str, key: str = "object", **headers: str) -> Got:
        named = {} if method == "PUT" else self.headers
        named = named | {n.replace("_", "-"): v for n, v in headers.items()}
        return signed(self.proxy, method, f"/{self.bucket}/{key}", named)

    def endure(self, attack: Attack, released: int) -> None:
        """Attack, then look at it in every way. released: plain bytes that may still come."""
        raw = attack(self.raw, self.other)
        lay(self.proxy, self.bucket, "object", raw)
        self._get(self.ask("GET"), released)
        self._range(self.ask("GET", range="bytes=-100"), len(self.plain) - 100, len(self.plain))
        self._range(self.ask("GET", range="bytes=5-50"), 5, 51)
        self._head(self.ask("HEAD"))
        self._list(raw)
        self._copy()

    def _get(self, got: Got, released: int) -> None:
        assert not (got.status == 200 and got.whole), "served as if nothing had happened"
        if got.status == 200:
            assert len(got.body) <= released
            assert got.body == self.plain[: len(got.body)]
        else:
            self._refused(got)

    def _refused(self, got: Got) -> None:
        assert got.status >= 400
        assert self._blocks.isdisjoint(got.body[i : i + 16] for i in range(len(got.body)))

    def _range(self, got: Got, start: int, stop: int) -> None:
        if got.status == 206:
            assert got.body == self.plain[start:stop][: len(got.body)]
        else:
            self._refused(got)

    def _head(self, got: Got) -> None:
        if got.status == 200:
            assert int(got.headers["content-length"]) == len(self.plain)
            assert got.headers["etag"].strip('"') == self.etag
        else:
            self._refused(got)

    def _list(self, raw: Raw) -> None:
        got = signed(self.proxy, "GET", f"/{self.bucket}?list-type=2&prefix=object")
        entry = etree.fromstring(got.body).find("{*}Contents")
        shown = (int(entry.findtext("{*}Size")), entry.findtext("{*}ETag").strip('"'))
        assert shown in [(len(self.plain), self.etag), (len(raw.data), md5_hex(raw.data))]

    def _copy(self) -> None:
        source = {n.replace("x-amz-", "x-amz-copy-source-"): v for n, v in self.headers.items()}
        copy = self.ask("PUT", "copy", x_amz_copy_source=f"/{self.bucket}/object", **source)
        if copy.status != 200 or b"<Error>" in copy.body:
            return self._refused(copy) if copy.status != 200 else None
        got = signed(self.proxy, "GET", f"/{self.bucket}/copy")
        assert not (got.status == 200 and got.whole), "a copy washed the damage away"
        assert self.plain.startswith(got.body) or got.status >= 400
        return None


@pytest.mark.parametrize("headers", [{}, CUSTOMER], ids=["sse-s3", "sse-c"])
def test_a_small_object_under_every_attack(any_proxy: ProxyProcess, headers) -> None:
    target = Target(any_proxy, SMALL_BYTES, headers)
    for name, attack in ANY_SIZE.items():
        before = integrity_failures(any_proxy)
        target.endure(attack, 0)
        moved = integrity_failures(any_proxy) - before
        assert moved > 0 or name in UNREADABLE, name


def test_a_large_object_under_every_attack(any_proxy: ProxyProcess) -> None:
    target = Target(any_proxy, LARGE_BYTES, {})
    attacks = {name: (attack, 0) for name, attack in ANY_SIZE.items()} | LARGE
    for name, (attack, segments) in attacks.items():
        before = integrity_failures(any_proxy)
        target.endure(attack, segments * PLAIN_SEGMENT)
        moved = integrity_failures(any_proxy) - before
        assert moved > 0 or name in UNREADABLE, name


@pytest.mark.parametrize("size", [SMALL_BYTES, LARGE_BYTES])
def test_objects_moved_by_the_store(any_proxy: ProxyProcess, size: int) -> None:
    """To another key, to the same key of another bucket, and swapped: with all their metadata."""
    target = Target(any_proxy, size, {})
    elsewhere = fresh_bucket(any_proxy)
    raw = any_proxy.raw_client()
    places = [(target.bucket, "moved"), (elsewhere, "object"), (target.bucket, "other")]
    for bucket, key in places:
        raw.copy_object(
            Bucket=bucket, Key=key, CopySource={"Bucket": target.bucket, "Key": "object"}
        )
        assert take(any_proxy, bucket, key) == target.raw, "a copy with everything it had"
        for method, headers in (("GET", {}), ("GET", {"range": "bytes=0-9"}), ("HEAD", {})):
            got = signed(any_proxy, method, f"/{bucket}/{key}", headers)
            assert got.status == 500, (bucket, key, method)
            target._refused(got)
        attributes = {"x-amz-object-attributes": "ETag,ObjectSize"}
        assert signed(any_proxy, "GET", f"/{bucket}/{key}?attributes", attributes).status == 500
        source = {"x-amz-copy-source": f"/{bucket}/{key}"}
        assert signed(any_proxy, "PUT", f"/{elsewhere}/copied", source).status == 500


def test_the_untouched_object_is_served(any_proxy: ProxyProcess) -> None:
    """Laying the same bytes down again is no attack: what fails above fails for its reason."""
    for size, headers in ((SMALL_BYTES, {}), (LARGE_BYTES, {}), (SMALL_BYTES, CUSTOMER)):
        target = Target(any_proxy, size, headers)
        lay(any_proxy, target.bucket, "object", target.raw)
        got = target.ask("GET")
        assert (got.status, got.whole, got.body) == (200, True, target.plain)


# -- buckets that require encryption ----------------------------------------------------------


@pytest.fixture(scope="module")
def strict_proxy(tmp_path_factory) -> Iterator[ProxyProcess]:
    """A YAML: bucket `public-locked` serves no plaintext, `open` is passed through."""
    folder: Path = tmp_path_factory.mktemp("strict")
    user = Identity.make("client", "Admin", "Read", "Write", "List", "Tagging")
    with SeaweedFS(identities=[user]) as store:
        with ProxyProcess(store, folder) as first:
            state = first.state  # the first start makes the keyring
        proxy = ProxyProcess(store, folder, yaml=folder / "sseproxy.yaml", state=state)
        proxy.ports = free_ports(2)
        (folder / "clients.txt").write_text(
            f"{proxy.access_key} {proxy.secret_key} {user.access_key} {user.secret_key}\n"
        )
        (folder / "clients.txt").chmod(0o600)
        proxy.yaml.write_text(
            f"""
listen: "127.0.0.1:{proxy.ports[0]}"
admin: {{listen: "127.0.0.1:{proxy.ports[1]}"}}
store: {{endpoint: "{store.endpoint}"}}
service_account: {{access_key: "{store.access_key}", secret: {{env: AWS_SECRET_ACCESS_KEY}}}}
state: "{state}"
credentials: {{file: "clients.txt"}}
default_encryption: sse-cos
buckets:
  public-locked: {{require_encryption: read-write}}
  open: {{passthrough: true}}
"""
        )
        with proxy:
            for bucket in ("public-locked", "open", "free"):
                proxy.client().create_bucket(Bucket=bucket)
            yield proxy


PLAINTEXT = b"plaintext that the store's operator put there " * 40


def test_plaintext_in_place_of_ciphertext_is_refused(strict_proxy: ProxyProcess) -> None:
    put = signed(strict_proxy, "PUT", "/public-locked/key", {}, b"the client's own")
    assert put.status == 200
    lay(strict_proxy, "public-locked", "key", Raw(PLAINTEXT))
    before = integrity_failures(strict_proxy)
    copy_source = {"x-amz-copy-source": "/public-locked/key"}
    attributes = {"x-amz-object-attributes": "ETag,ObjectSize"}
    asked: list[tuple[str, str, dict[str, str]]] = [
        ("GET", "/public-locked/key", {}),
        ("GET", "/public-locked/key", {"range": "bytes=0-9"}),
        ("GET", "/public-locked/key", {"if-none-match": '"x"'}),
        ("GET", "/public-locked/key?partNumber=1", {}),
        ("GET", "/public-locked/key?torrent", {}),
        ("GET", "/public-locked/key?unknown", {}),
        ("GET", "/public-locked/key?attributes", attributes),
        ("HEAD", "/public-locked/key", {}),
        ("PUT", "/public-locked/copy", copy_source),
        ("PUT", "/free/copy", copy_source),
        ("PUT", "/open/copy", copy_source),
        ("PUT", "/open/copy?partNumber=1&uploadId=u", copy_source),
    ]
    for method, target, headers in asked:
        got = signed(strict_proxy, method, target, headers)
        assert got.status == 500, (method, target, headers)
        assert b"plaintext that" not in got.body
    assert integrity_failures(strict_proxy) - before == len(asked)
    for method, target, headers in asked[:8]:
        anonymous = send(strict_proxy.endpoint, method, target, headers)
        assert anonymous.status == 500, (method, target)
        assert b"plaintext that" not in anonymous.body
    # The client can still put its own object back.
    assert signed(strict_proxy, "PUT", "/public-locked/key", {}, b"again").status == 200
    assert signed(strict_proxy, "GET", "/public-locked/key").body == b"again"


def test_a_passed_through_bucket_is_no_way_around(strict_proxy: ProxyProcess) -> None:
    """Not to the system bucket, and encryption that was asked for is never silently left out."""
    sources = ["sseproxy-system/keyring", "/SSEPROXY-system/keyring", "sseproxy%2Dsystem/keyring"]
    for source in sources:
        for query in ("", "?partNumber=1&uploadId=u", "?renameObject"):
            for header in ("x-amz-copy-source", "x-amz-rename-source"):
                got = signed(strict_proxy, "PUT", f"/open/stolen{query}", {header: source})
                assert got.status in (400, 404, 501), (source, query, header)
    for headers in (CUSTOMER, {"x-amz-server-side-encryption": "AES256"}):
        assert signed(strict_proxy, "PUT", "/open/secret", headers, PLAINTEXT).status == 400
    listed = signed(strict_proxy, "GET", "/open?list-type=2")
    assert b"stolen" not in listed.body
    assert b"secret" not in listed.body
    # A copy out of an encrypted bucket arrives as plaintext, readable there.
    assert signed(strict_proxy, "PUT", "/free/source", {}, PLAINTEXT).status == 200
    copy = {"x-amz-copy-source": "/free/source"}
    assert signed(strict_proxy, "PUT", "/open/copy", copy).status == 200
    assert signed(strict_proxy, "GET", "/open/copy").body == PLAINTEXT


def test_the_system_bucket_does_not_exist(any_proxy: ProxyProcess) -> None:
    """By no spelling: case, encoding, slashes, dots, a copy's source, another host."""
    bucket = fresh_bucket(any_proxy)
    straight = ["sseproxy-system", "SSEPROXY-SYSTEM", "sseproxy%2Dsystem", "%73seproxy-system"]
    tricks = [
        f"{bucket}/../sseproxy-system",
        f"{bucket}/%2E%2E/sseproxy-system",
        f"{bucket}/a/../../sseproxy-system",
        f"{bucket}/..%2Fsseproxy-system",
        f"{bucket}/..%5Csseproxy-system",
        f"{bucket}//../sseproxy-system",
        f"/{bucket}/../sseproxy-system",
        "./sseproxy-system",
        "/sseproxy-system",
        f"{bucket}%2F..%2Fsseproxy-system",
        "sseproxy-system%00",
        "sseproxy-system.",
    ]
    for path in (*straight, *tricks):
        for method, rest in (("GET", "/keyring"), ("HEAD", "/keyring"), ("GET", "?list-type=2")):
            got = signed(any_proxy, method, f"/{path}{rest}")
            assert got.status >= 400 or b"<Key>" not in got.body, (path, rest)
            assert got.status >= 400 or rest.startswith("?"), (path, rest)
        for method in ("PUT", "DELETE"):
            signed(any_proxy, method, f"/{path}/keyring", {}, b"x" * (method == "PUT"))
        for source in (path, f"/{path}", urllib.parse.quote(path)):
            copy = {"x-amz-copy-source": f"{source}/keyring"}
            got = signed(any_proxy, "PUT", f"/{bucket}/stolen", copy)
            assert got.status >= 400, source
    assert b"sseproxy-system" not in signed(any_proxy, "GET", "/").body
    assert signed(any_proxy, "PUT", "/sseproxy-system").status == 409
    if isinstance(any_proxy.store, MinIO):
        assert signed(any_proxy, "PUT", "/minio").status == 400
        assert signed(any_proxy, "GET", "/minio/admin/v3/info").status == 400
    keyring = take(any_proxy, "sseproxy-system", "keyring")
    assert len(keyring.data) > 100, "it was overwritten"


def test_no_listing_shows_envelopes(any_proxy: ProxyProcess) -> None:
    """MinIO lists metadata on demand."""
    bucket = fresh_bucket(any_proxy, "public")
    headers = {"x-amz-meta-mine": "shown"}
    assert signed(any_proxy, "PUT", f"/{bucket}/key", headers, b"data").status == 200
    got = signed(any_proxy, "GET", f"/{bucket}?list-type=2&metadata=true")
    assert got.status == 200
    assert b"<Key>key</Key>" in got.body
    assert b"sseproxy" not in got.body.lower()
    anonymous = send(any_proxy.endpoint, "GET", f"/{bucket}?list-type=2&metadata=true")
    assert b"sseproxy" not in anonymous.body.lower()
