"""The clients as their users run them: parts, synchronised folders, parquet with range reads.

Over buckets that are encrypted by default, and over mixed ones, in which every other object was
stored as plaintext before the proxy came.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec.implementations.arrow
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest

from tests.e2e.client_base import REGION
from tests.e2e.client_defaults import PARTS, SYNCS, Mc, McMirror, Parts, RcloneSync, Sync
from tests.e2e.clients import Access
from tests.e2e.test_clients import new_bucket

# Three parts of 5 MiB and one smaller, not ending at a segment's boundary.
LARGE_BYTES = 17 * 1024**2 + 1234
CALM_SIZES = (0, 1, 1000, 65_536, 524_288, 524_289, 700_000)
MARK = b"plaintext that must not be found in the store"


@pytest.fixture
def bucket(any_proxy: Any) -> Iterator[str]:
    with new_bucket(any_proxy) as name:
        yield name


def large_content(seed: int = 1) -> bytes:
    """Random, so that no two segments are alike, with a mark to look for at every MiB."""
    data = bytearray(random.Random(seed).randbytes(LARGE_BYTES))
    for start in range(0, LARGE_BYTES - len(MARK), 1024**2):
        data[start : start + len(MARK)] = MARK
    return bytes(data)


def make_folder(folder: Path) -> dict[str, bytes]:
    """Files below and above every threshold; their content by relative path."""
    contents = {f"small/{size}.bin": os.urandom(size) for size in CALM_SIZES}
    contents["large.bin"] = large_content()
    contents["with space/+é.txt"] = b"x" * 10
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        # awscli sends a file again that is newer than its object, and stores count in seconds.
        os.utime(path, (time.time() - 60,) * 2)
    return contents


def store_every_other_as_plaintext(proxy: Any, bucket: str, contents: dict[str, bytes]) -> None:
    raw = proxy.raw_client()
    for name in sorted(contents)[::2]:
        raw.put_object(Bucket=bucket, Key=name, Body=contents[name])
    raw.close()


@pytest.fixture(params=list(PARTS))
def client(request: pytest.FixtureRequest, any_proxy: Any, tmp_path: Path) -> Iterator[Parts]:
    folder = tmp_path / "client"
    folder.mkdir()
    made = PARTS[request.param](Access.of(any_proxy), folder)
    yield made
    made.close()


def test_a_file_in_parts_comes_back_and_lies_encrypted(
    client: Parts, any_proxy: Any, bucket: str, tmp_path: Path
) -> None:
    content = large_content()
    path = tmp_path / "large.bin"
    path.write_bytes(content)
    client.put(bucket, "large.bin", path)
    assert client.ls(bucket) == {"large.bin": LARGE_BYTES}
    assert client.get(bucket, "large.bin") == content
    raw = any_proxy.raw_get(bucket, "large.bin")
    assert len(raw) > LARGE_BYTES
    assert MARK not in raw
    client.cp(bucket, "large.bin", "copied/large.bin")
    assert client.get(bucket, "copied/large.bin") == content
    assert MARK not in any_proxy.raw_get(bucket, "copied/large.bin")


@pytest.fixture(params=list(SYNCS))
def sync(request: pytest.FixtureRequest, any_proxy: Any, tmp_path: Path) -> Sync:
    folder = tmp_path / "client"
    folder.mkdir()
    return SYNCS[request.param](Access.of(any_proxy), folder)


@pytest.mark.parametrize("mixed", [False, True], ids=["encrypted", "mixed"])
def test_a_second_sync_does_nothing(
    sync: Sync, any_proxy: Any, bucket: str, tmp_path: Path, *, mixed: bool
) -> None:
    folder = tmp_path / "files"
    contents = make_folder(folder)
    if mixed:
        store_every_other_as_plaintext(any_proxy, bucket, contents)
    assert sync.sync(folder, bucket), "the first one transfers"
    assert sync.sync(folder, bucket) == []
    assert_holds(any_proxy, bucket, contents)


def assert_holds(proxy: Any, bucket: str, contents: dict[str, bytes]) -> None:
    s3 = proxy.client()
    for name, content in contents.items():
        assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == content, name
    s3.close()


@pytest.mark.minio
def test_mc_copies_and_mirrors(proxy_http_minio: Any, tmp_path: Path) -> None:
    """Over MinIO only: over SeaweedFS a second mirror transfers again without the proxy too."""
    access = Access.of(proxy_http_minio)
    (tmp_path / "client").mkdir()
    folder = tmp_path / "files"
    contents = make_folder(folder)
    with new_bucket(proxy_http_minio) as bucket:
        mirror, mc = McMirror(access, tmp_path / "client"), Mc(access, tmp_path / "client")
        assert mirror.sync(folder, bucket), "the first one transfers"
        assert mirror.sync(folder, bucket) == []
        assert mc.ls(bucket) == {name: len(content) for name, content in contents.items()}
        mc.cp(bucket, "large.bin", "copied/large.bin")
        assert mc.get(bucket, "copied/large.bin") == contents["large.bin"]
        assert MARK not in proxy_http_minio.raw_get(bucket, "copied/large.bin")
        assert_holds(proxy_http_minio, bucket, contents)


@pytest.mark.parametrize("mixed", [False, True], ids=["encrypted", "mixed"])
def test_rclone_finds_every_byte_as_it_was(
    any_proxy: Any, bucket: str, tmp_path: Path, *, mixed: bool
) -> None:
    (tmp_path / "client").mkdir()
    rclone = RcloneSync(Access.of(any_proxy), tmp_path / "client")
    folder = tmp_path / "files"
    contents = make_folder(folder)
    if mixed:
        store_every_other_as_plaintext(any_proxy, bucket, contents)
    rclone.sync(folder, bucket)
    rclone.check(folder, bucket)
    shutil.rmtree(folder / "small")
    assert rclone.sync(folder, bucket), "what is gone here is removed there"
    rclone.check(folder, bucket)


@pytest.fixture
def arrow(any_proxy: Any) -> pyarrow.fs.S3FileSystem:
    """The AWS SDK for C++, as pyarrow brings it."""
    access = Access.of(any_proxy)
    return pyarrow.fs.S3FileSystem(
        access_key=access.access_key,
        secret_key=access.secret_key,
        endpoint_override=access.host,
        scheme="https" if access.secure else "http",
        region=REGION,
    )


def make_table() -> pa.Table:
    """A table of some 20 MB in many row groups, of numbers that don't compress."""
    rng = random.Random(7)
    ids = list(range(400_000))
    values = pa.array(rng.randbytes(8) for _ in ids)
    words = pa.array(f"{MARK.decode()} {i}" for i in ids)
    return pa.table({"id": pa.array(ids), "value": values, "word": words})


def test_pyarrow_writes_parquet_and_reads_ranges_of_it(
    arrow: pyarrow.fs.S3FileSystem, any_proxy: Any, bucket: str
) -> None:
    table = make_table()
    where = f"{bucket}/table.parquet"
    pq.write_table(table, where, filesystem=arrow, row_group_size=20_000, compression="none")
    assert MARK not in any_proxy.raw_get(bucket, "table.parquet")
    assert pq.read_table(where, filesystem=arrow).equals(table)
    with arrow.open_input_file(where) as file:
        parquet = pq.ParquetFile(file)
        assert parquet.num_row_groups == 20
        group = parquet.read_row_group(13, columns=["id", "word"])
    assert group["id"].to_pylist() == list(range(260_000, 280_000))
    assert group["word"][5].as_py() == f"{MARK.decode()} 260005"


def test_fsspec_lists_seeks_and_reads(
    arrow: pyarrow.fs.S3FileSystem, any_proxy: Any, bucket: str
) -> None:
    files = fsspec.implementations.arrow.ArrowFSWrapper(arrow)
    content = large_content()
    with files.open(f"{bucket}/folder/large.bin", "wb") as file:
        file.write(content)
    any_proxy.raw_client().put_object(Bucket=bucket, Key="folder/plain.bin", Body=b"before")
    listed = {entry["name"]: entry["size"] for entry in files.ls(f"{bucket}/folder", detail=True)}
    assert listed == {
        f"{bucket}/folder/large.bin": LARGE_BYTES,
        f"{bucket}/folder/plain.bin": 6,
    }
    with files.open(f"{bucket}/folder/large.bin", "rb", seekable=True) as file:
        for start, size in ((0, 1), (5 * 1024**2 - 3, 10), (65_535, 65_538), (LARGE_BYTES - 7, 7)):
            file.seek(start)
            assert file.read(size) == content[start : start + size]
    with files.open(f"{bucket}/folder/large.bin", "rb") as file:
        assert hashlib.sha256(file.read()).digest() == hashlib.sha256(content).digest()
