"""Keys and metadata that a store can't keep are refused before it hears of them."""

from __future__ import annotations

import pytest

from sseproxy.proxy.exchange import StoreLimits
from tests.proxy.wire import Wire
from tests.store.memory import MemoryStore

ODD = ["/data/a//b", "/data//lead", "/data/end//"]


@pytest.fixture
def folding(wire: Wire) -> Wire:
    """A proxy whose probe found a store that folds names and loses folder bodies."""
    wire.proxy.services.store_limits = StoreLimits(
        folds_slashes=True,
        folds_leading_slash=True,
        drops_folder_bodies=True,
        metadata_bytes=1000,
        has_minio_api=False,
    )
    return wire


@pytest.mark.parametrize("path", ODD)
async def test_a_store_that_keeps_them_gets_odd_keys_as_sent(
    wire: Wire, store: MemoryStore, path: str
) -> None:
    assert (await wire.put(path, b"odd")).status == 200
    assert path.removeprefix("/data/") in store.keys("data")
    assert (await wire.get(path)).body == b"odd"


@pytest.mark.parametrize("path", ODD)
async def test_a_store_that_folds_them_never_hears_of_them(
    folding: Wire, store: MemoryStore, path: str
) -> None:
    assert (await folding.put("/data/fine", b"x")).status == 200
    document = f"<Delete><Object><Key>{path.removeprefix('/data/')}</Key></Object></Delete>"
    store.requests.clear()
    for answer in (
        await folding.put(path, b"odd"),
        await folding.get(path),
        await folding.request("DELETE", path),
        await folding.copy(path, "/data/copy"),
        await folding.copy("/data/fine", path),
        await folding.request("POST", "/data", document.encode(), query={"delete": ""}),
    ):
        assert (answer.status, answer.code) == (400, "InvalidArgument")
    assert store.requests == []


async def test_data_under_a_folder_key_is_refused_and_an_empty_folder_is_not(
    folding: Wire, store: MemoryStore
) -> None:
    store.requests.clear()
    refused = await folding.put("/data/folder/", b"data")
    assert (refused.status, refused.code) == (400, "InvalidArgument")
    assert store.requests == []
    made = await folding.put("/data/folder/", b"")
    assert made.status == 200
    assert "x-amz-server-side-encryption" not in made.headers, "nothing was encrypted"
    assert (await folding.get("/data/folder/")).body == b""


@pytest.mark.parametrize("size", [10, 600_000])
async def test_metadata_counts_with_the_envelope(
    folding: Wire, store: MemoryStore, size: int
) -> None:
    fits, too_large = {"x-amz-meta-a": "v" * 400}, {"x-amz-meta-a": "v" * 900}
    assert (await folding.put("/data/k", b"x" * size, fits)).status == 200
    before = store.raw("data", "k")
    refused = await folding.put("/data/k", b"y" * size, too_large)
    assert (refused.status, refused.code) == (400, "MetadataTooLarge")
    assert store.raw("data", "k") == before


async def test_the_name_of_minios_api_is_a_bucket_elsewhere(folding: Wire, wire: Wire) -> None:
    assert (await folding.request("PUT", "/minio")).status == 200
    wire.proxy.services.store_limits = StoreLimits()
    assert (await wire.get("/minio/admin/v3/info")).code == "InvalidBucketName"
