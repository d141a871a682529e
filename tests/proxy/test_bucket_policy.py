"""Bucket policies with conditions on encryption: one document for the client, two parts behind."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from sseproxy.keys.keyring import KeyringService
from sseproxy.keys.model import settings_name
from sseproxy.proxy import bucket_policy
from sseproxy.proxy.policy import BucketPolicy
from sseproxy.s3.sse import SseMode
from tests.proxies import SYSTEM_BUCKET
from tests.proxy.conftest import Serve
from tests.proxy.samples import KEY
from tests.proxy.wire import Answer, Wire, customer
from tests.store.memory import MemoryStore
from tests.store.memory_wire import Failure

MODE = "s3:x-amz-server-side-encryption"
SSE_S3 = {"x-amz-server-side-encryption": "AES256"}
POLICY = {"policy": ""}
RULES = {"data": BucketPolicy(SseMode.NONE), "other": BucketPolicy(SseMode.NONE)}


def statement(condition: object, effect: str = "Deny", **changes: object) -> dict:
    return {
        "Effect": effect,
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::data/*",
        "Condition": condition,
        **changes,
    }


NEEDS_HEADER = statement({"Null": {MODE: "true"}})
NO_SSE_C = statement({"Null": {f"{MODE}-customer-algorithm": "false"}})
READ = {
    "Effect": "Allow",
    "Principal": "*",
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::data/*",
}


def document(*statements: dict) -> bytes:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=1).encode()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(*RULES)


class Clock:
    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def wire(serve: Serve, store: MemoryStore, clock: Clock) -> Wire:
    wire = await serve(buckets=RULES, clock=clock)
    store.requests.clear()
    return wire


async def put(wire: Wire, *statements: dict, **more) -> Answer:
    return await wire.put("/data", document(*statements), query=POLICY, **more)


async def show(wire: Wire) -> Answer:
    return await wire.get("/data", query=POLICY)


async def delete(wire: Wire) -> Answer:
    return await wire.request("DELETE", "/data", query=POLICY)


def stored(store: MemoryStore) -> list | None:
    policy = store.buckets["data"].policy
    return None if policy is None else json.loads(policy)["Statement"]


def kept(keys: KeyringService) -> int:
    return len(keys.settings.of("data").policies)


async def denied(wire: Wire, headers: dict[str, str] | None = None, **more) -> bool:
    answer = await wire.put("/data/k", b"x", headers or {}, **more)
    assert answer.status in (200, 403)
    return answer.status == 403


class TestAPolicyAboutEncryption:
    async def test_is_held_to_here_and_kept_from_the_store(self, wire: Wire, store) -> None:
        assert (await put(wire, NEEDS_HEADER, READ)).status == 204
        assert stored(store) == [READ]
        assert await denied(wire)
        assert not await denied(wire, SSE_S3)
        assert (await wire.get("/data/k")).body == b"x"

    async def test_is_shown_as_it_was_written(self, wire: Wire) -> None:
        await put(wire, NEEDS_HEADER, READ)
        shown = await show(wire)
        assert shown.body == document(NEEDS_HEADER, READ)
        assert shown.headers["content-type"] == "application/json"

    async def test_of_which_nothing_is_the_stores(self, wire: Wire, store: MemoryStore) -> None:
        await put(wire, READ)
        assert (await put(wire, NEEDS_HEADER)).status == 204
        assert stored(store) is None
        assert (await show(wire)).body == document(NEEDS_HEADER)
        assert await denied(wire)

    async def test_is_deleted_in_both_places(self, wire: Wire, store: MemoryStore) -> None:
        for statements in ((NEEDS_HEADER, READ), (NEEDS_HEADER,)):
            await put(wire, *statements)
            assert (await delete(wire)).status == 204
            assert stored(store) is None
            assert (await show(wire)).code == "NoSuchBucketPolicy"
            assert not await denied(wire)

    async def test_is_replaced_in_both_places(self, wire: Wire, store: MemoryStore) -> None:
        await put(wire, NEEDS_HEADER, READ)
        await put(wire, NO_SSE_C)
        assert not await denied(wire)
        assert await denied(wire, customer(KEY))
        assert stored(store) is None
        await put(wire, READ)
        assert not await denied(wire, customer(KEY))
        assert (await show(wire)).body == document(READ)
        assert wire.proxy.services.keys.settings.buckets == {}

    async def test_holds_for_copies_and_uploads(self, wire: Wire, store: MemoryStore) -> None:
        await wire.put("/other/from", b"x")
        await put(wire, NEEDS_HEADER)
        assert (await wire.copy("other/from", "/data/k")).code == "AccessDenied"
        assert (await wire.copy("other/from", "/data/k", SSE_S3)).status == 200
        begin = {"uploads": ""}
        refused = await wire.request("POST", "/data/k", b"", query=begin)
        assert (refused.status, refused.code) == (403, "AccessDenied")
        begun = await wire.request("POST", "/data/k", b"", SSE_S3, query=begin)
        assert begun.status == 200
        upload = {"uploadId": str(begun.text("UploadId")), "partNumber": "1"}
        part = await wire.put("/data/k", b"x", query=upload)
        assert part.status == 200, "a part says nothing of encryption"

    async def test_an_upload_that_was_begun_before_goes_on(self, wire: Wire) -> None:
        begun = await wire.request("POST", "/data/k", b"", query={"uploads": ""})
        await put(wire, NEEDS_HEADER)
        upload = {"uploadId": str(begun.text("UploadId")), "partNumber": "1"}
        assert (await wire.put("/data/k", b"x", query=upload)).status == 200

    async def test_a_default_is_no_header_as_at_amazon(self, serve: Serve, store) -> None:
        wire = await serve(buckets={"data": BucketPolicy(SseMode.SSE_COS)})
        await put(wire, NEEDS_HEADER)
        assert await denied(wire)

    async def test_names_users(self, wire: Wire, store: MemoryStore) -> None:
        for name in ("CLIENTKEY", "STOREKEY", "arn:aws:iam:::user/CLIENTKEY"):
            answer = await put(wire, statement({"Null": {MODE: "true"}}, Principal={"AWS": name}))
            assert answer.status == 204
            assert await denied(wire)
            # The store lets nobody write unsigned; it is asked, so the proxy did not deny.
            store.requests.clear()
            assert await denied(wire, anonymous=True)
            assert store.requests
        unknown = await put(
            wire, statement({"Null": {MODE: "true"}}, Principal={"AWS": "MISSPELT"})
        )
        assert (unknown.status, unknown.code) == (400, "MalformedPolicy")
        wire.proxy.services.credential_source = object()  # who knows whom it knows
        known = await put(wire, statement({"Null": {MODE: "true"}}, Principal={"AWS": "MISSPELT"}))
        assert known.status == 204

    async def test_an_allow_must_be_met(self, wire: Wire, store: MemoryStore) -> None:
        allow = statement({"StringEquals": {MODE: "AES256"}}, "Allow")
        await put(wire, allow)
        bare = {name: value for name, value in allow.items() if name != "Condition"}
        assert stored(store) == [{**bare, "Action": ["s3:PutObject"]}]
        assert await denied(wire)
        store.requests.clear()
        assert await denied(wire, anonymous=True)
        assert store.requests == []
        assert not await denied(wire, SSE_S3)

    async def test_other_workers_hold_to_it_too(self, wire: Wire, serve: Serve) -> None:
        other = await serve(buckets=RULES)
        await put(wire, NEEDS_HEADER)
        await other.proxy.services.keys.refresh()
        assert await denied(other)
        assert (await show(other)).body == document(NEEDS_HEADER)

    async def test_what_can_not_be_held_to_changes_nothing(self, wire: Wire, store) -> None:
        await put(wire, NEEDS_HEADER, READ)
        mixed = statement({"Null": {MODE: "true"}, "Bool": {"aws:SecureTransport": "false"}})
        for body in (document(mixed), b"{", b"\xff"):
            answer = await wire.put("/data", body, query=POLICY)
            assert (answer.status, answer.code) == (400, "MalformedPolicy")
        large = await wire.put("/data", b"{" + b" " * 30_000, query=POLICY)
        assert large.code == "MaxMessageLengthExceeded"
        assert (await show(wire)).body == document(NEEDS_HEADER, READ)


class TestAnyOtherPolicy:
    async def test_is_the_stores_alone(self, wire: Wire, store: MemoryStore) -> None:
        body = document(READ)
        assert (await put(wire, READ)).status == 204
        assert store.buckets["data"].policy == body
        assert (await show(wire)).body == body
        assert (await delete(wire)).status == 204
        assert (await show(wire)).code == "NoSuchBucketPolicy"
        assert wire.proxy.services.keys.settings.epoch == 1

    async def test_anonymous_requests_are_the_stores_to_refuse(self, wire: Wire, store) -> None:
        await put(wire, NEEDS_HEADER)
        store.requests.clear()
        for answer in (
            await put(wire, READ, anonymous=True),
            await put(wire, NEEDS_HEADER, anonymous=True),
            await wire.request("DELETE", "/data", query=POLICY, anonymous=True),
        ):
            assert (answer.status, answer.code) == (403, "AccessDenied")
        assert not any(asked.credential for asked in store.requests)
        assert (await show(wire)).body == document(NEEDS_HEADER)


class TestChangedPastTheProxy:
    async def test_both_parts_are_shown(self, wire: Wire, store: MemoryStore) -> None:
        await put(wire, NEEDS_HEADER, READ)
        elsewhere = {**READ, "Action": "s3:ListBucket"}
        store.buckets["data"].policy = document(elsewhere)
        assert json.loads((await show(wire)).body)["Statement"] == [elsewhere, NEEDS_HEADER]
        store.buckets["data"].policy = None
        assert json.loads((await show(wire)).body)["Statement"] == [NEEDS_HEADER]
        assert await denied(wire)

    async def test_what_the_store_refuses_to_show_is_not_shown(self, wire: Wire, store) -> None:
        await put(wire, NEEDS_HEADER)
        store.fail(Failure("GET", None, query="policy", status=403))
        assert (await show(wire)).status == 403


class TestFailures:
    """Between the two writes nothing may be weaker than before or after."""

    async def test_the_new_conditions_hold_before_the_store_knows(self, wire, store) -> None:
        await put(wire, NO_SSE_C)
        gate = asyncio.Event()
        store.fail(Failure("PUT", None, query="policy", gate=gate))
        changing = asyncio.create_task(put(wire, NEEDS_HEADER, READ))
        while not any(asked.method == "PUT" and asked.query == POLICY for asked in store.requests):
            await asyncio.sleep(0)
        assert await denied(wire), "the new"
        assert await denied(wire, customer(KEY)), "the old"
        gate.set()
        assert (await changing).status == 204
        assert kept(wire.proxy.services.keys) == 1

    async def test_a_refusal_leaves_the_old(self, wire: Wire, store: MemoryStore) -> None:
        await put(wire, NO_SSE_C, READ)
        store.fail(Failure("PUT", None, query="policy", status=403))
        refused = await put(wire, NEEDS_HEADER, READ)
        assert refused.status == 403
        assert (await show(wire)).body == document(NO_SSE_C, READ)
        assert not await denied(wire)
        store.fail(Failure("DELETE", None, query="policy", status=403))
        assert (await delete(wire)).status == 403
        assert (await show(wire)).body == document(NO_SSE_C, READ)

    async def test_who_may_not_see_the_policy_changes_nothing(self, wire: Wire, store) -> None:
        store.fail(Failure("GET", None, query="policy", status=403))
        assert (await put(wire, NEEDS_HEADER)).status == 403
        assert wire.proxy.services.keys.settings.epoch == 1
        # Nor does the answer tell which users there are.
        store.fail(Failure("GET", None, query="policy", status=403))
        unknown = {**NEEDS_HEADER, "Principal": {"AWS": "nobody-at-all"}}
        assert (await put(wire, unknown)).status == 403
        assert not await denied(wire)

    @pytest.mark.parametrize("done", [True, False])
    async def test_a_lost_answer_leaves_both_and_can_be_repeated(
        self, wire: Wire, store: MemoryStore, done: bool
    ) -> None:
        await put(wire, NO_SSE_C)
        store.fail(Failure("PUT", None, query="policy", unreachable=True, after_commit=done))
        assert (await put(wire, NEEDS_HEADER, READ)).status == 503
        assert await denied(wire)
        assert await denied(wire, customer(KEY))
        shown = document(NEEDS_HEADER, READ) if done else document(NO_SSE_C)
        assert (await show(wire)).body == shown
        assert (await put(wire, NEEDS_HEADER, READ)).status == 204
        assert not await denied(wire, SSE_S3)
        assert kept(wire.proxy.services.keys) == 1

    async def test_an_error_of_the_store_s_own_leaves_both(self, wire: Wire, store) -> None:
        await put(wire, NO_SSE_C)
        store.fail(Failure("PUT", None, query="policy", status=500))
        assert (await put(wire, NEEDS_HEADER, READ)).status == 500
        assert kept(wire.proxy.services.keys) == 2

    async def test_a_store_that_takes_too_long(self, wire: Wire, store, monkeypatch) -> None:
        monkeypatch.setattr(bucket_policy, "STORE_ANSWERS_WITHIN_S", 0)
        store.fail(Failure("PUT", None, query="policy", gate=asyncio.Event()))
        assert (await put(wire, NEEDS_HEADER, READ)).status == 503
        assert await denied(wire)

    async def test_one_change_at_a_time(self, wire: Wire, store: MemoryStore, clock) -> None:
        store.fail(Failure("PUT", None, query="policy", unreachable=True))
        await put(wire, NEEDS_HEADER, READ)
        for answer in (await put(wire, NO_SSE_C), await put(wire, READ), await delete(wire)):
            assert (answer.status, answer.code) == (409, "OperationAborted")
        clock.ahead = timedelta(minutes=2)
        wire.clock_skew = clock.ahead
        assert (await delete(wire)).status == 204, "whoever began it is gone"
        assert not await denied(wire)

    async def test_who_was_overtaken_takes_nothing_back(
        self, wire: Wire, store: MemoryStore, clock: Clock
    ) -> None:
        gate = asyncio.Event()
        store.fail(Failure("PUT", None, query="policy", gate=gate))
        changing = asyncio.create_task(put(wire, NEEDS_HEADER, READ))
        while not any(asked.method == "PUT" and asked.query == POLICY for asked in store.requests):
            await asyncio.sleep(0)
        clock.ahead = timedelta(minutes=2)
        wire.clock_skew = clock.ahead
        assert (await put(wire, NO_SSE_C)).status == 204
        gate.set()
        assert (await changing).status == 204
        assert await denied(wire, customer(KEY)), "the one that overtook"
        assert not await denied(wire), "nor the one that was overtaken"

    async def test_settings_that_can_not_be_written_keep_the_store_as_it_is(
        self, wire: Wire, store: MemoryStore
    ) -> None:
        await put(wire, READ)
        name = settings_name(wire.proxy.services.keys.for_reading().id)
        store.fail(Failure("PUT", name, count=99, unreachable=True))
        assert (await put(wire, NEEDS_HEADER)).status == 503
        assert stored(store) == [READ]
        assert SYSTEM_BUCKET in store.buckets
