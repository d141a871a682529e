"""Processes that die: the store keeps one whole object, and a client is never told a lie."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.attacks import fresh_bucket, send, signed, take
from tests.proxies import ProxyProcess
from tests.servers import SeaweedFS

LARGE_BYTES = 4_000_003
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def mortal(start_proxy, seaweedfs) -> ProxyProcess:
    """A proxy of its own, to be killed and started again at the same place."""
    return start_proxy(seaweedfs)


def kill(proxy: ProxyProcess) -> None:
    assert proxy.pid is not None
    os.kill(proxy.pid, signal.SIGKILL)
    proxy.stop(keep=True)


def presigned(proxy: ProxyProcess, bucket: str, key: str) -> str:
    url = proxy.client().generate_presigned_url("put_object", {"Bucket": bucket, "Key": key})
    return str(url).removeprefix(proxy.endpoint)


def begin_put(proxy: ProxyProcess, target: str, length: int) -> socket.socket:
    place = proxy.endpoint.split("//")[1]
    host, port = place.split(":")
    client = socket.create_connection((host, int(port)), timeout=20)
    head = f"PUT {target} HTTP/1.1\r\nHost: {place}\r\nContent-Length: {length}\r\n\r\n"
    client.sendall(head.encode())
    return client


@pytest.mark.parametrize(
    "sent", [0, 1, 70_000, 600_000, 2_000_000, LARGE_BYTES - 70_000, LARGE_BYTES - 1, LARGE_BYTES]
)
def test_a_killed_proxy_leaves_the_old_object_or_the_new(mortal: ProxyProcess, sent: int) -> None:
    """sent: bytes of the body that the proxy got before it died."""
    bucket = fresh_bucket(mortal, "crash")
    old, new = secrets.token_bytes(LARGE_BYTES), secrets.token_bytes(LARGE_BYTES)
    assert signed(mortal, "PUT", f"/{bucket}/object", {}, old).status == 200
    before = take(mortal, bucket, "object")
    for key in ("object", "never-there"):
        client = begin_put(mortal, presigned(mortal, bucket, key), LARGE_BYTES)
        client.sendall(new[:sent])
        kill(mortal)
        client.close()
        mortal.start()
    if sent < LARGE_BYTES:
        assert take(mortal, bucket, "object") == before
        assert signed(mortal, "GET", f"/{bucket}/never-there").status == 404
    for key, allowed in (("object", (old, new)), ("never-there", (new,))):
        got = signed(mortal, "GET", f"/{bucket}/{key}")
        if got.status == 200:
            assert got.whole
            assert got.body in allowed
        else:
            assert (key, got.status) == ("never-there", 404)


@pytest.mark.parametrize("target", ["copy", "object"])
def test_a_proxy_killed_in_a_copy(mortal: ProxyProcess, target: str) -> None:
    """A streamed copy: to another key, and an object onto itself."""
    bucket = fresh_bucket(mortal, "crash")
    plain = secrets.token_bytes(16 * MIB)
    assert signed(mortal, "PUT", f"/{bucket}/object", {}, plain).status == 200
    headers = {"x-amz-copy-source": f"/{bucket}/object", "x-amz-metadata-directive": "REPLACE"}
    key = {
        "x-amz-server-side-encryption-customer-algorithm": "AES256",
        "x-amz-server-side-encryption-customer-key": "MDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODlBQkNERUY=",
        "x-amz-server-side-encryption-customer-key-md5": "U5L61r7jcwdNvT7frmUG8g==",
    }
    for _ in range(3):
        begun = threading.Event()

        def copy(begun: threading.Event = begun) -> None:
            begun.set()
            with contextlib.suppress(OSError, http.client.HTTPException):
                signed(mortal, "PUT", f"/{bucket}/{target}", {**headers, **key})

        thread = threading.Thread(target=copy)
        thread.start()
        begun.wait()
        _until_it_reads(mortal)
        kill(mortal)
        thread.join()
        mortal.start()
        as_it_was = signed(mortal, "GET", f"/{bucket}/{target}")
        sealed_anew = signed(mortal, "GET", f"/{bucket}/{target}", key)
        if target == "copy" and as_it_was.status == 404:
            continue
        whole = as_it_was if as_it_was.status == 200 else sealed_anew
        assert (whole.status, whole.whole, whole.body) == (200, True, plain)
        if sealed_anew.status == 200:
            break


def _until_it_reads(proxy: ProxyProcess) -> None:
    """Until the proxy has asked the store for the source."""
    for _ in range(200):
        with contextlib.suppress(OSError):
            lines = proxy.metrics().splitlines()
            if any(
                line.startswith("sseproxy_store_requests_total") and "GET" in line for line in lines
            ):
                return


@pytest.fixture
def doomed(tmp_path) -> Iterator[tuple[SeaweedFS, ProxyProcess]]:
    """A store to be killed, and a proxy over it."""
    with SeaweedFS() as store, ProxyProcess(store, tmp_path) as proxy:
        yield store, proxy


def slow_get(proxy: ProxyProcess, target: str) -> http.client.HTTPResponse:
    """A GET whose client reads only when it is told to."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    host, port = proxy.endpoint.split("//")[1].split(":")
    client.settimeout(30)
    client.connect((host, int(port)))
    client.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    answer = http.client.HTTPResponse(client)
    answer.begin()
    client.close()
    return answer


def _rest(answer: http.client.HTTPResponse) -> bytes:
    """What still comes, until the connection ends."""
    got = bytearray()
    with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
        while piece := answer.read1(MIB):
            got += piece
    return bytes(got)


def get_url(proxy: ProxyProcess, bucket: str, key: str) -> str:
    url = proxy.client().generate_presigned_url("get_object", {"Bucket": bucket, "Key": key})
    return str(url).removeprefix(proxy.endpoint)


@pytest.mark.parametrize("which", ["store", "proxy"])
def test_a_death_in_mid_get_drops_the_connection(doomed, which: str) -> None:
    store, proxy = doomed
    bucket, plain = fresh_bucket(proxy), secrets.token_bytes(64 * MIB)
    assert signed(proxy, "PUT", f"/{bucket}/object", {}, plain).status == 200
    answer = slow_get(proxy, get_url(proxy, bucket, "object"))
    assert answer.status == 200
    got = answer.read(MIB)
    if which == "store":
        store.stop(keep=True)
    else:
        kill(proxy)
    got += _rest(answer)
    assert len(got) < len(plain), "the store was dead before all could be read"
    assert plain.startswith(got)
    answer.close()
    if which == "store":
        dead = signed(proxy, "GET", f"/{bucket}/object")
        assert dead.status == 503
        assert "retry-after" in dead.headers


def test_a_client_that_leaves_keeps_nobody_waiting(proxy_http: ProxyProcess) -> None:
    """Half a PUT, half a GET, then gone: the old object stays, and the next request is served."""
    bucket, old = fresh_bucket(proxy_http), secrets.token_bytes(LARGE_BYTES)
    assert signed(proxy_http, "PUT", f"/{bucket}/object", {}, old).status == 200
    for sent in (0, 100, 2_000_000, LARGE_BYTES - 1):
        client = begin_put(proxy_http, presigned(proxy_http, bucket, "object"), LARGE_BYTES)
        client.sendall(bytes(sent))
        client.close()
    for _ in range(4):
        answer = slow_get(proxy_http, get_url(proxy_http, bucket, "object"))
        answer.read(1000)
        answer.close()
    got = signed(proxy_http, "GET", f"/{bucket}/object")
    assert (got.status, got.body) == (200, old)


def test_slow_readers_get_their_own_bytes(any_proxy: ProxyProcess) -> None:
    """Several objects read a little at a time, while others borrow the same buffers."""
    bucket, size = fresh_bucket(any_proxy, "slow"), 8 * MIB
    plains = {f"object-{i}": secrets.token_bytes(size) for i in range(5)}
    for key, plain in plains.items():
        assert signed(any_proxy, "PUT", f"/{bucket}/{key}", {}, plain).status == 200
    answers = {
        key: slow_get(any_proxy, get_url(any_proxy, bucket, key)) for key in plains for _ in "x"
    }
    digests = {key: hashlib.sha256() for key in plains}
    disturber = secrets.token_bytes(3 * MIB)
    with ThreadPoolExecutor(2) as pool:
        for turn in range(size // (256 * 1024)):
            for key, answer in answers.items():
                digests[key].update(answer.read(256 * 1024))
            if turn % 8 == 0:
                pool.submit(signed, any_proxy, "PUT", f"/{bucket}/d{turn}", {}, disturber)
                pool.submit(signed, any_proxy, "GET", f"/{bucket}/object-{turn % 5}")
    for key, plain in plains.items():
        assert answers[key].read() == b""
        answers[key].close()
        assert digests[key].digest() == hashlib.sha256(plain).digest(), key


# -- requests that were meant for the store -----------------------------------------------------


def test_a_request_signed_for_the_store_is_refused(any_proxy: ProxyProcess) -> None:
    """Replayed at the proxy, a request for the store says so: its Host is the store's.

    The store's own key is a client's here (the easy mode), so the signature itself is right.
    """
    store = any_proxy.store
    bucket = fresh_bucket(any_proxy)
    assert signed(any_proxy, "PUT", f"/{bucket}/object", {}, b"secret plaintext").status == 200
    pair = (store.access_key, store.secret_key)
    assert signed(any_proxy, "GET", f"/{bucket}/object", credentials=pair).status == 200
    place = store.endpoint.split("//")[1]
    for host in (place, f"{bucket}.{place}"):
        for method in ("GET", "HEAD", "DELETE"):
            target = f"/{bucket}/object"
            got = signed(any_proxy, method, target, credentials=pair, host=host)
            assert got.status == 403, (host, method)
            assert b"secret plaintext" not in got.body
    url = any_proxy.raw_client().generate_presigned_url(
        "get_object", {"Bucket": bucket, "Key": "object"}
    )
    target = url.removeprefix(store.endpoint)
    replayed = send(any_proxy.endpoint, "GET", target, {"host": place})
    assert replayed.status == 403
    # Under another Host the signature is wrong; in absolute form the authority is the Host.
    other = send(any_proxy.endpoint, "GET", target)
    assert (other.status, b"SignatureDoesNotMatch" in other.body) == (403, True)
    absolute = send(any_proxy.endpoint, "GET", url, {"host": any_proxy.endpoint.split("//")[1]})
    assert absolute.status == 403
    assert signed(any_proxy, "GET", f"/{bucket}/object").body == b"secret plaintext"
