"""Policies at the store that would refuse what the proxy writes, as far as they can be seen."""

from __future__ import annotations

import json

import pytest

from sseproxy.errors import StoreUnavailable
from sseproxy.secret import Secret
from sseproxy.store.objects import StoreCredential
from sseproxy.store.policy_check import check_policies
from tests.store.memory import MemoryStore
from tests.store.memory_wire import Failure

CREDENTIAL = StoreCredential("svc", Secret("s"))
DENY = {
    "Sid": "needs-sse",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:PutObject",
    "Resource": "*",
    "Condition": {"Null": {"s3:x-amz-server-side-encryption": "true"}},
}
ALLOW = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore("bare", "open", "refusing")
    store.buckets["open"].policy = json.dumps({"Statement": [ALLOW]}).encode()
    store.buckets["refusing"].policy = json.dumps({"Statement": [ALLOW, DENY]}).encode()
    return store


async def test_every_bucket_that_the_key_may_list(store: MemoryStore) -> None:
    report = await check_policies(store, CREDENTIAL, [])
    assert report.refusing == {"refusing": ["needs-sse"]}
    assert report.unread == []


async def test_without_a_list_the_configured_buckets(store: MemoryStore) -> None:
    store.fail(Failure("GET", status=403))
    report = await check_policies(store, CREDENTIAL, ["refusing", "missing"])
    assert report.refusing == {"refusing": ["needs-sse"]}
    (line,) = report.unread
    assert "listing buckets: the store answered 403" in line
    assert "only the buckets of the configuration" in line


@pytest.mark.parametrize("document", [b"{", b"\xff", b'{"Statement": [7]}'])
async def test_what_can_not_be_read_is_said(store: MemoryStore, document: bytes) -> None:
    store.buckets["open"].policy = document
    store.fail(Failure("GET", query="policy", status=403))  # the first: "bare"
    report = await check_policies(store, CREDENTIAL, [])
    assert report.refusing == {"refusing": ["needs-sse"]}
    first, second = report.unread
    assert first.startswith("bucket bare: reading its policy: the store answered 403")
    assert second.startswith("bucket open: ")


async def test_a_store_that_is_down_is_an_error(store: MemoryStore) -> None:
    store.fail(Failure("GET", query="policy", unreachable=True))
    with pytest.raises(StoreUnavailable):
        await check_policies(store, CREDENTIAL, [])
