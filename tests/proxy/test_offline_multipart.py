"""Multipart objects opened offline: raw object, envelope and manifest as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from sseproxy import offline
from sseproxy.errors import ConfigError, CustomerKeyMissing, IntegrityError
from tests.proxies import SYSTEM_BUCKET
from tests.proxy.multipart_samples import SIZES, Multipart, bodies_of, crc32, lay
from tests.proxy.samples import KEY, LARGE, RESERVED, SMALL, body_of
from tests.proxy.wire import Wire
from tests.store.memory import MemoryStore


class Taken:
    """What lies in the store, as files."""

    def __init__(self, wire: Wire, store: MemoryStore, made: Multipart, folder: Path) -> None:
        record = made.record(wire)
        self.folder, self.manifest = folder, folder / Path(record).name
        stored = store.raw(made.bucket, made.key)
        self.envelope = stored.headers[RESERVED]
        (folder / "raw").write_bytes(stored.data)
        (folder / "keyring").write_bytes(store.raw(SYSTEM_BUCKET, "keyring").data)
        (folder / "customer").write_bytes(KEY)
        self.manifest.write_bytes(store.raw(SYSTEM_BUCKET, record).data)

    def sources(self, *, manifest: Path | None, customer: bool = False) -> offline.Sources:
        files = [self.folder / name for name in ("raw", "root.key", "keyring")]
        return offline.Sources(*files, self.folder / "customer" if customer else None, manifest)

    def decrypt(self, *, key: str = "k", customer: bool = False) -> bytes:
        plain, sources = (
            self.folder / "plain",
            self.sources(manifest=self.manifest, customer=customer),
        )
        try:
            size = offline.decrypt(sources, self.envelope, "data", key, plain)
            assert plain.stat().st_size == size
            return plain.read_bytes()
        finally:
            plain.unlink(missing_ok=True)


@pytest.mark.parametrize("sizes", [SIZES, [0], [SMALL], [LARGE, LARGE]])
@pytest.mark.parametrize("key", [None, KEY], ids=["sse-s3", "sse-c"])
async def test_decrypt(wire: Wire, store: MemoryStore, tmp_path: Path, sizes, key) -> None:
    made = await lay(wire, store, bodies_of(sizes), customer_key=key)
    taken = Taken(wire, store, made, tmp_path)
    assert taken.decrypt(customer=key is not None) == made.body
    if key:
        with pytest.raises(CustomerKeyMissing):
            taken.decrypt()


async def test_inspect(wire: Wire, store: MemoryStore, tmp_path: Path) -> None:
    made = await lay(wire, store, bodies_of(SIZES), composite=False)
    taken = Taken(wire, store, made, tmp_path)
    raw = tmp_path / "raw"
    rows = dict(offline.describe_raw(raw))
    assert rows["parts"] == f"{len(SIZES)}, by their headers"
    assert rows["plain size"] == f"{len(made.body)} (as the header says)"
    assert rows["stored size"] == f"{len(raw.read_bytes())} (as it must be)"
    sealed = dict(
        offline.describe_sealed(taken.sources(manifest=taken.manifest), taken.envelope, "data", "k")
    )
    assert sealed["ETag"] == made.etag
    assert sealed["plain size"] == str(len(made.body))
    assert sealed["stored size"] == rows["stored size"]
    assert sealed["crc32"] == crc32(made.body).hex()
    raw.write_bytes(b"".join(made.sealed[:-1]) + made.sealed[-1][:-1])
    assert "WRONG" in dict(offline.describe_raw(raw))["stored size"]
    raw.write_bytes(b"".join(made.sealed) + b"more")
    assert "WRONG" in dict(offline.describe_raw(raw))["stored size"]


async def test_without_the_manifest(wire: Wire, store: MemoryStore, tmp_path: Path) -> None:
    """The message names the folder to look in."""
    made = await lay(wire, store, bodies_of(SIZES))
    taken, plain = Taken(wire, store, made, tmp_path), tmp_path / "plain"
    with pytest.raises(ConfigError, match=f"m/{made.manifest_id.hex()}/"):
        offline.decrypt(taken.sources(manifest=None), taken.envelope, "data", "k", plain)
    taken.manifest = taken.manifest.rename(tmp_path / "another-name")
    with pytest.raises(IntegrityError, match="the name that the record has"):
        taken.decrypt()
    assert not plain.exists()


async def test_what_does_not_verify_leaves_no_file(
    wire: Wire, store: MemoryStore, tmp_path: Path
) -> None:
    made = await lay(wire, store, bodies_of([100, 200, 200]))
    taken, one, two, three = Taken(wire, store, made, tmp_path), *made.sealed
    for raw in (one + three + two, one + two, one + two + three + three, one + two + three[:-1]):
        (tmp_path / "raw").write_bytes(raw)
        with pytest.raises(IntegrityError):
            taken.decrypt()
    with pytest.raises(IntegrityError, match="is it really other"):
        taken.decrypt(key="other")
    foreign = await lay(wire, store, bodies_of([100, 200, 200]), key="foreign")
    record = store.raw(SYSTEM_BUCKET, foreign.record(wire))
    (tmp_path / "raw").write_bytes(one + two + three)
    taken.manifest.write_bytes(record.data)
    with pytest.raises(IntegrityError):
        taken.decrypt()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("tmp")) == []


async def test_a_single_put_has_one_part(wire: Wire, store: MemoryStore, tmp_path: Path) -> None:
    await wire.put("/data/k", body_of(LARGE))
    (tmp_path / "raw").write_bytes(store.raw("data", "k").data)
    rows = dict(offline.describe_raw(tmp_path / "raw"))
    assert (rows["part number"], rows["trailer"]) == ("1", "yes")
    assert "parts" not in rows
