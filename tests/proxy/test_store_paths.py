"""Paths of MinIO's own: refused, or passed as they are, and nothing else by that way."""

from __future__ import annotations

import pytest

from tests.proxy.conftest import CREDENTIAL, Serve
from tests.proxy.wire import Wire
from tests.store.memory import MemoryStore

KNOWN = [
    "/minio/health/live",
    "/minio/health/cluster/read",
    "/minio/v2/metrics/cluster",
    "/minio/metrics/v3/api",
    "/minio/prometheus/metrics",
    "/minio/admin/v3/info",
    "/minio/admin/v3/heal/",
    "/minio/kms/v1/status",
]


@pytest.fixture
async def passing(serve: Serve, store: MemoryStore) -> Wire:
    wire = await serve(passes_store_paths=True, domains=["s3.test"])
    store.requests.clear()
    return wire


@pytest.mark.parametrize("path", KNOWN)
@pytest.mark.parametrize("anonymous", [True, False])
async def test_refused_unless_configured(
    wire: Wire, store: MemoryStore, path: str, anonymous: bool
) -> None:
    answer = await wire.get(path, anonymous=anonymous)
    assert (answer.status, answer.code) == (400, "InvalidBucketName")
    assert store.requests == []


@pytest.mark.parametrize("path", KNOWN)
async def test_passed_with_the_clients_store_key_or_none(
    passing: Wire, store: MemoryStore, path: str
) -> None:
    await passing.get(path, query={"a": "b"})
    await passing.get(path, anonymous=True)
    await passing.put(path, b"a setting")
    assert [(asked.method, asked.bucket, f"/{asked.key}") for asked in store.requests] == [
        ("GET", None, path),
        ("GET", None, path),
        ("PUT", None, path),
    ]
    assert [asked.credential for asked in store.requests] == [CREDENTIAL, None, CREDENTIAL]
    assert store.requests[0].query == {"a": "b"}
    assert "authorization" not in store.requests[0].headers


async def test_a_token_of_the_stores_own_is_left_alone(passing: Wire, store: MemoryStore) -> None:
    headers = {"authorization": "Bearer a.metrics.token"}
    await passing.get("/minio/v2/metrics/cluster", headers, anonymous=True)
    (asked,) = store.requests
    assert asked.credential is None
    assert asked.headers["authorization"] == "Bearer a.metrics.token"
    elsewhere = await passing.get("/data/k", headers, anonymous=True)
    assert elsewhere.status == 400


async def test_a_wrong_signature_is_refused(passing: Wire, store: MemoryStore) -> None:
    passing.secret_key = "another"
    answer = await passing.get("/minio/admin/v3/info")
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    assert store.requests == []
    failures = passing.proxy.metric(
        "sseproxy_authentication_failures_total", reason="SignatureDoesNotMatch"
    )
    assert failures == 1


@pytest.mark.parametrize(
    "target",
    [
        "/minio",
        "/minio/",
        "/minio/storage/x",
        "/minio/healthy",
        "/minio/health/../../data/k",
        "/minio/health/./live",
        "/minio/health//live",
        "/minio/health/%2e%2e/%2e%2e/data/k",
        "/minio/health/..%2f..%2fdata/k",
        "/%6dinio/health/live",
        "/MINIO/health/live",
        "//minio/health/live",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_what_a_store_could_take_for_anything_else_is_not_passed(
    passing: Wire, store: MemoryStore, target: str, method: str
) -> None:
    async with passing.connect() as connection:
        line = f"{method} {target} HTTP/1.1\r\nhost: {passing.host}\r\ncontent-length: 0\r\n\r\n"
        await connection.send(line.encode())
        answer = await connection.answer()
    assert answer.status == 400
    assert store.requests == []


async def test_in_a_bucket_of_a_virtual_host_it_is_a_key(passing: Wire, store: MemoryStore) -> None:
    put = await passing.put("/minio/health/live", b"x", {"host": "data.s3.test"})
    assert put.status == 200
    assert store.keys("data") == ["minio/health/live"]


async def test_another_store_has_a_bucket_of_that_name(passing: Wire, store: MemoryStore) -> None:
    limits = type(passing.proxy.services.store_limits)(has_minio_api=False)
    passing.proxy.services.store_limits = limits
    await passing.put("/minio", b"")
    assert (await passing.put("/minio/health/live", b"x")).status == 200
    assert store.keys("minio") == ["health/live"]
