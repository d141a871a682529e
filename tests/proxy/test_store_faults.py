"""A store that is down, cuts its answers, or holds something else than was written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.proxy.samples import (
    KEY,
    LARGE,
    SMALL,
    asked,
    body_of,
    sealed_size,
    state_of,
    until,
)
from tests.proxy.wire import Dropped, Wire, customer, md5
from tests.store.memory import Failure, MemoryResponse, MemoryStore

SEGMENT, SEALED = 65536, 65552
RANGE = {"range": "bytes=0-10"}


class TestDown:
    @pytest.mark.parametrize("size", [SMALL, LARGE])
    @pytest.mark.parametrize("bucket", ["data", "plain"])
    async def test_unreachable(
        self, wire: Wire, store: MemoryStore, bucket: str, size: int
    ) -> None:
        path, body = f"/{bucket}/k", body_of(size)
        await wire.put(path, body)
        before = state_of(store)
        wire.proxy.services.cache._entries.clear()
        for method, target, headers in (
            ("PUT", path, {}),
            ("PUT", path, customer(KEY)),
            ("GET", path, {}),
            ("GET", path, RANGE),
            ("GET", path, {"if-match": "*"}),
            ("HEAD", path, {}),
            ("DELETE", path, {}),
            ("GET", f"/{bucket}", {}),
            ("GET", "/", {}),
            ("PUT", f"/{bucket}/to", {"x-amz-copy-source": path}),
        ):
            store.failures = [Failure(unreachable=True)]
            sent = body if method == "PUT" and "x-amz-copy-source" not in headers else b""
            answer = await wire.request(method, target, sent, headers)
            assert answer.status == 503, (method, headers)
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.code == (None if method == "HEAD" else "ServiceUnavailable")
            assert state_of(store) == before
        assert wire.proxy.metric("sseproxy_store_errors_total", reason="unavailable") == 10

    async def test_it_recovers(self, wire: Wire, store: MemoryStore) -> None:
        store.fail(Failure(unreachable=True))
        assert (await wire.put("/data/k", b"x")).status == 503
        assert (await wire.put("/data/k", b"x")).status == 200
        assert (await wire.get("/data/k")).body == b"x"

    @pytest.mark.parametrize("size", [SMALL, LARGE])
    async def test_a_write_is_never_repeated(
        self, wire: Wire, store: MemoryStore, size: int
    ) -> None:
        store.fail(Failure(method="PUT", unreachable=True, after_commit=True))
        assert (await wire.put("/data/k", body_of(size))).status == 503
        assert asked(store, "PUT") == 1

    @pytest.mark.parametrize("status", [500, 503, 403])
    @pytest.mark.parametrize("bucket", ["data", "plain"])
    async def test_an_error_is_passed_on(
        self, wire: Wire, store: MemoryStore, bucket: str, status: int
    ) -> None:
        for size in (SMALL, LARGE):
            await wire.put(f"/{bucket}/k", b"there")
            before = state_of(store)
            for method, headers in (
                *(("PUT", {}), ("GET", {}), ("GET", RANGE), ("HEAD", {}), ("DELETE", {})),
                ("GET", {"if-none-match": '"0"'}),
            ):
                wire.proxy.services.cache._entries.clear()
                store.failures = [Failure(status=status, count=2)]
                sent = body_of(size) if method == "PUT" else b""
                answer = await wire.request(method, f"/{bucket}/k", sent, headers)
                assert answer.status == status, (method, headers)
                assert state_of(store) == before
            store.failures = []

    async def test_a_failed_write_is_not_answered_as_a_sealed_one(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        store.fail(Failure(method="PUT", status=500))
        put = await wire.put("/data/k", b"x")
        assert "etag" not in put.headers
        assert "x-amz-server-side-encryption" not in put.headers


class TestCut:
    @pytest.mark.parametrize("key", [None, KEY], ids=["sse-s3", "sse-c"])
    @pytest.mark.parametrize("headers", [{}, {"range": f"bytes=10-{LARGE - 10}"}])
    async def test_in_mid_body_the_connection_is_dropped(
        self, wire: Wire, store: MemoryStore, key: bytes | None, headers: dict[str, str]
    ) -> None:
        body, keys = body_of(LARGE), customer(key) if key else {}
        await wire.put("/data/k", body, keys)
        expected = body[10:-9] if headers else body
        await wire.get("/data/k", keys | RANGE)  # a look would be cut in its stead
        for cut in (SEALED + 64, 3 * SEALED, sealed_size(LARGE) - 400):
            store.fail(Failure(method="GET", cut_after_bytes=cut))
            with pytest.raises(Dropped) as dropped:
                await wire.get("/data/k", keys | headers)
            assert dropped.value.status in (200, 206)
            assert expected.startswith(dropped.value.got)
            assert len(dropped.value.got) < len(expected)
        assert wire.proxy.metric("sseproxy_store_errors_total", reason="cut") >= 3

    async def test_before_the_first_segment_it_is_503(self, wire: Wire, store: MemoryStore) -> None:
        for size, cut in ((SMALL, 70), (SMALL, 10), (LARGE, 10), (LARGE, SEALED - 1)):
            await wire.put("/data/k", body_of(size))
            store.fail(Failure(method="GET", cut_after_bytes=cut))
            got = await wire.get("/data/k")
            assert (got.status, got.code) == (503, "ServiceUnavailable")
            assert "etag" not in got.headers

    async def test_plaintext_too(self, wire: Wire, store: MemoryStore) -> None:
        body = body_of(LARGE)
        await wire.put("/plain/k", body)
        store.fail(Failure(method="GET", cut_after_bytes=600_000))
        with pytest.raises(Dropped) as dropped:
            await wire.get("/plain/k")
        assert dropped.value.status == 200
        assert body.startswith(dropped.value.got)
        assert len(dropped.value.got) <= 600_000

    async def test_the_source_of_a_copy(self, wire: Wire, store: MemoryStore) -> None:
        for size in (SMALL, LARGE):
            for source, target, headers in (
                ("data", "plain", {}),
                ("plain", "data", {}),
                ("data", "data", customer(KEY)),
            ):
                await wire.put(f"/{source}/from", body_of(size))
                await wire.put(f"/{target}/to", b"there")
                before = state_of(store)
                # The look, the tags, and then the read.
                store.failures = [
                    Failure(method="GET", count=2),
                    Failure(method="GET", cut_after_bytes=size // 2),
                ]
                copied = await wire.copy(f"{source}/from", f"/{target}/to", headers)
                assert (copied.status, copied.code) == (503, "ServiceUnavailable")
                assert state_of(store) == before


class Restless(MemoryStore):
    """Calls `before_read` just before a read that is pinned or whole reaches the object."""

    before_read: Callable[[], None] | None = None

    async def send(self, credential, method, bucket, key, **more) -> MemoryResponse:
        headers = more.get("headers", {})
        if method == "GET" and "if-match" in headers and self.before_read is not None:
            self.before_read()
        return await super().send(credential, method, bucket, key, **more)


class TestChangesBetweenLookAndRead:
    @pytest.fixture
    def store(self) -> Restless:
        return Restless("data", "other", "plain", public=["public"])

    @pytest.mark.parametrize("old", [SMALL, LARGE])
    @pytest.mark.parametrize("new", [SMALL, LARGE, 5])
    @pytest.mark.parametrize("headers", [{"range": "bytes=3-20"}, {"if-none-match": '"0"'}])
    async def test_the_answer_is_of_one_object(
        self, wire: Wire, store: Restless, old: int, new: int, headers: dict[str, str]
    ) -> None:
        replacement = body_of(new, seed=2)
        await wire.put("/data/k", replacement)
        later = store.raw("data", "k")
        await wire.put("/data/k", body_of(old, seed=1))

        def replace() -> None:
            store.buckets["data"].versions["k"] = [later]

        store.before_read = replace
        got = await wire.get("/data/k", headers)
        expected = replacement[3:21] if "range" in headers else replacement
        assert (got.body, got.etag) == (expected, md5(replacement))

    async def test_it_became_plaintext_or_is_gone(self, wire: Wire, store: Restless) -> None:
        await wire.put("/plain/k", b"plain now")
        plain = store.raw("plain", "k")
        for versions, status, body in (({"k": [plain]}, 206, b"pla"), ({}, 404, None)):
            await wire.put("/data/k", body_of(SMALL))

            def replace(versions=versions) -> None:
                store.buckets["data"].versions = dict(versions)

            store.before_read = replace
            got = await wire.get("/data/k", {"range": "bytes=0-2"})
            assert got.status == status
            assert body is None or got.body == body

    async def test_a_whole_read_of_a_large_one(self, wire: Wire, store: Restless) -> None:
        """Its trailer is looked at while the read stands open."""
        bodies = [body_of(LARGE, seed=1), body_of(LARGE, seed=2)]
        await wire.put("/data/k", bodies[1])
        later = store.raw("data", "k")
        await wire.put("/data/k", bodies[0])
        wire.proxy.services.cache._entries.clear()
        store.requests.clear()
        store.fail(Failure(method="GET"))  # the read, left alone
        gate = asyncio.Event()
        store.fail(Failure(method="GET", gate=gate))
        reading = asyncio.create_task(wire.get("/data/k"))
        await until(lambda: asked(store, "GET") == 2)
        store.buckets["data"].versions["k"] = [later]
        gate.set()
        got = await reading
        assert (got.body, got.etag) == (bodies[1], md5(bodies[1]))

    async def test_what_never_rests_is_503(self, wire: Wire, store: Restless) -> None:
        versions = []
        for seed in (1, 2):
            await wire.put("/data/k", body_of(SMALL, seed=seed))
            versions.append(store.raw("data", "k"))

        def replace() -> None:
            other = next(v for v in versions if v is not store.raw("data", "k"))
            store.buckets["data"].versions["k"] = [other]

        store.before_read = replace
        got = await wire.get("/data/k", {"if-none-match": '"0"'})
        assert (got.status, got.code) == (503, "ServiceUnavailable")

    async def test_what_is_remembered_is_never_served(self, wire: Wire, store: Restless) -> None:
        """Another worker replaced it: the cache only picks the window."""
        await wire.put("/data/k", body_of(5, seed=2))
        later = store.raw("data", "k")
        await wire.put("/data/k", body_of(LARGE, seed=1))
        await wire.get("/data/k", RANGE)
        store.buckets["data"].versions["k"] = [later]
        assert (await wire.get("/data/k", {"range": "bytes=600000-"})).status == 416
        got = await wire.get("/data/k", {"range": "bytes=-3"})
        assert (got.body, got.etag) == (body_of(5, seed=2)[-3:], md5(body_of(5, seed=2)))
