"""Copies whose source is written while they run: begun anew, as S3 copies what there is.

A client that asked for no condition is never told that one failed.
"""

from __future__ import annotations

import pytest

from tests.proxy.copy_samples import create
from tests.proxy.samples import SMALL, body_of
from tests.proxy.wire import Answer, Wire
from tests.store.memory import MemoryResponse, MemoryStore

OLD = body_of(SMALL)
REPLACE = {"x-amz-metadata-directive": "REPLACE", "x-amz-meta-turn": "copy"}
# Source and target: each pair is copied in another way, and pinned by another request.
WAYS = {
    "by the store": ("/plain/from", "/plain/to"),
    "wrapped anew": ("/data/from", "/data/to"),
    "streamed": ("/data/from", "/plain/to"),
    "onto itself": ("/data/from", "/data/from"),
    "as a part": ("/plain/from", "/plain/parts"),
}


class Races:
    """Loses `left` pinned requests to a write that seems to have come in between."""

    def __init__(self, store: MemoryStore) -> None:
        self.send, self.left = store.send, 0
        self.reads = True  # as well as writes

    async def losing(self, credential, method, bucket, key, *, headers=None, **more):
        headers = headers or {}
        pinned = "if-match" in headers or "x-amz-copy-source-if-match" in headers
        if self.left and pinned and (self.reads or method != "GET"):
            self.left -= 1
            return MemoryResponse(412, {}, b"<Error><Code>PreconditionFailed</Code></Error>")
        return await self.send(credential, method, bucket, key, headers=headers, **more)


@pytest.fixture
def races(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Races:
    races = Races(store)
    monkeypatch.setattr(store, "send", races.losing)
    return races


async def copy(wire: Wire, way: str, headers: dict[str, str] | None = None) -> Answer:
    source, target = WAYS[way]
    if way != "as a part":
        return await wire.copy(source, target, REPLACE | (headers or {}))
    query = {"partNumber": "1", "uploadId": await create(wire, target)}
    return await wire.copy(source, target, headers, query=query)


@pytest.mark.parametrize("way", WAYS)
async def test_it_is_begun_anew(wire: Wire, races: Races, way: str) -> None:
    source, target = WAYS[way]
    await wire.put(source, OLD)
    races.left, races.reads = 2, way != "onto itself"
    assert (await copy(wire, way)).code is None
    assert races.left == 0
    if way != "as a part":
        assert (await wire.get(target)).body == OLD


@pytest.mark.parametrize("way", WAYS)
async def test_a_source_that_never_rests(wire: Wire, races: Races, way: str) -> None:
    source, target = WAYS[way]
    await wire.put(source, OLD)
    races.left, races.reads = 100, way != "onto itself"
    answer = await copy(wire, way)
    assert (answer.status, answer.code) == (503, "ServiceUnavailable")
    assert "retry-after" in answer.headers
    assert races.left == 95, "begun a few times, not for ever"
    races.left = 0
    assert (await wire.get(target)).status == (200 if target == source else 404)


@pytest.mark.parametrize("way", ["by the store", "as a part"])
async def test_the_client_s_own_condition_is_told(wire: Wire, races: Races, way: str) -> None:
    """It goes along to the store, which may judge it otherwise than the proxy did."""
    source, _ = WAYS[way]
    etag = (await wire.put(source, OLD)).etag
    races.left = 100
    answer = await copy(wire, way, {"x-amz-copy-source-if-match": f'"{etag}"'})
    assert (answer.status, answer.code) == (412, "PreconditionFailed")
    assert races.left == 99


async def test_onto_itself_where_nothing_may_be(wire: Wire, races: Races) -> None:
    """`If-None-Match: *` fails for what it is, not for a race."""
    await wire.put("/data/from", OLD)
    answer = await wire.copy("/data/from", "/data/from", REPLACE | {"if-none-match": "*"})
    assert (answer.status, answer.code) == (412, "PreconditionFailed")
