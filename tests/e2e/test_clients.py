"""Real clients through the proxy, over HTTP and HTTPS: their framing of a PUT differs.

The fixtures `proxy_http` and `proxy_https` have .endpoint, .access_key, .secret_key, .ca_file
(None for HTTP), .pid (of the proxy's process) and .raw_get(bucket, key), the object as the store
has it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients import CLIENTS, Access, Client, boto3_client
from tests.e2e.memory import PeakMemory

SIZES = [0, 1, 65_536, 524_289, 9_000_001]
KEYS = ["plain.bin", "folder/sub folder/café +&=%41.bin", "日本/🙂.bin"]

HEAVY_BYTES = 5_000_000_000
HEAVY_DISK_BYTES = 4 * HEAVY_BYTES
RSS_GROWTH_BYTES = 150 * 1024**2
# The minio SDK splits what it uploads; these send one PUT.
HEAVY_CLIENTS = ["boto3", "awscli", "rclone", "s3cmd"]


@pytest.fixture(
    params=[
        "proxy_http",
        "proxy_https",
        pytest.param("proxy_http_minio", marks=pytest.mark.minio),
        pytest.param("proxy_https_minio", marks=pytest.mark.minio),
    ]
)
def proxy(request: pytest.FixtureRequest) -> Any:
    """The proxy, over each scheme and store."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=list(CLIENTS))
def client(request: pytest.FixtureRequest, proxy: Any, tmp_path: Path) -> Iterator[Client]:
    """Each client, with the proxy's credentials."""
    made = CLIENTS[request.param](Access.of(proxy), tmp_path)
    yield made
    made.close()


@pytest.fixture
def bucket(proxy: Any) -> Iterator[str]:
    """A new bucket, made through the proxy and removed with its objects."""
    with new_bucket(proxy) as name:
        yield name


class new_bucket:  # noqa: N801  (a context manager, used like a function)
    """A bucket for the time of a `with`."""

    def __init__(self, proxy: Any) -> None:
        self._s3 = boto3_client(Access.of(proxy))
        self.name = f"clients-{uuid.uuid4().hex[:12]}"

    def __enter__(self) -> str:
        self._s3.create_bucket(Bucket=self.name)
        return self.name

    def __exit__(self, *_: object) -> None:
        for item in self._s3.list_objects_v2(Bucket=self.name).get("Contents", ()):
            self._s3.delete_object(Bucket=self.name, Key=item["Key"])
        self._s3.delete_bucket(Bucket=self.name)
        self._s3.close()


def make_file(folder: Path, size: int) -> tuple[Path, bytes]:
    """A file of recognisable content, and the content."""
    line = b"plaintext that must not be found in the store\n"
    content = (line * (size // len(line) + 1))[:size]
    path = folder / f"{size}.bin"
    path.write_bytes(content)
    return path, content


def assert_sealed(raw: bytes, plain: bytes) -> None:
    """The raw object is longer than the plaintext and holds no piece of it."""
    assert len(raw) > len(plain)
    if len(plain) >= 16:
        assert plain[:16] not in raw


@pytest.mark.parametrize("size", SIZES)
def test_what_was_put_comes_back_and_lies_encrypted(
    client: Client, proxy: Any, bucket: str, tmp_path: Path, size: int
) -> None:
    path, content = make_file(tmp_path, size)
    client.put(bucket, "object.bin", path, encrypt=True)
    assert client.get(bucket, "object.bin") == content
    assert_sealed(proxy.raw_get(bucket, "object.bin"), content)


def test_the_default_encryption_holds_without_a_header(
    client: Client, proxy: Any, bucket: str, tmp_path: Path
) -> None:
    path, content = make_file(tmp_path, 100_000)
    client.put(bucket, "object.bin", path)
    assert client.get(bucket, "object.bin") == content
    assert_sealed(proxy.raw_get(bucket, "object.bin"), content)


def test_keys_arrive_as_sent_and_listings_have_plain_sizes(
    client: Client, bucket: str, tmp_path: Path
) -> None:
    contents = {}
    for key, size in zip(KEYS, (10, 70_000, 600_000), strict=True):
        path, contents[key] = make_file(tmp_path, size)
        client.put(bucket, key, path)
    assert client.ls(bucket) == {key: len(content) for key, content in contents.items()}
    assert {key: client.get(bucket, key) for key in KEYS} == contents


@pytest.mark.parametrize("size", [1000, 600_000])
def test_a_copy_opens_under_its_new_name(
    client: Client, proxy: Any, bucket: str, tmp_path: Path, size: int
) -> None:
    path, content = make_file(tmp_path, size)
    client.put(bucket, "source.bin", path)
    client.cp(bucket, "source.bin", "folder/target.bin")
    assert client.get(bucket, "folder/target.bin") == content
    assert_sealed(proxy.raw_get(bucket, "folder/target.bin"), content)


def test_what_was_removed_is_gone(client: Client, bucket: str, tmp_path: Path) -> None:
    path, _ = make_file(tmp_path, 1000)
    for key in ("kept.bin", "removed.bin"):
        client.put(bucket, key, path)
    client.rm(bucket, "removed.bin")
    assert set(client.ls(bucket)) == {"kept.bin"}


@dataclass(frozen=True)
class HeavyFile:
    """A file of HEAVY_BYTES and the SHA-256 of its content."""

    path: Path
    sha256: str


@pytest.fixture(scope="module")
def heavy_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeavyFile]:
    """Random 8 MiB, repeated: cheap to make, and no two segments of a period alike."""
    folder = tmp_path_factory.mktemp("heavy")
    free = shutil.disk_usage(folder).free
    assert free > HEAVY_DISK_BYTES, f"{folder}: {HEAVY_DISK_BYTES} bytes must be free, {free} are"
    # An odd length, so that the period never lines up with segments or the store's chunks.
    block = os.urandom(8 * 1024**2 + 13)
    digest = hashlib.sha256()
    with (folder / "heavy.bin").open("wb") as file:
        left = HEAVY_BYTES
        while left:
            piece = block[:left]
            file.write(piece)
            digest.update(piece)
            left -= len(piece)
    yield HeavyFile(folder / "heavy.bin", digest.hexdigest())
    shutil.rmtree(folder)


@pytest.mark.heavy
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("scheme", ["proxy_http", "proxy_https"])
@pytest.mark.parametrize("name", HEAVY_CLIENTS)
def test_five_gigabytes_in_one_put_and_get_with_flat_memory(
    request: pytest.FixtureRequest, tmp_path: Path, heavy_file: HeavyFile, name: str, scheme: str
) -> None:
    proxy = request.getfixturevalue(scheme)
    client = CLIENTS[name](Access.of(proxy), tmp_path)
    with new_bucket(proxy) as bucket, PeakMemory(proxy.pid) as memory:
        client.put(bucket, "heavy.bin", heavy_file.path)
        assert client.ls(bucket) == {"heavy.bin": HEAVY_BYTES}
        digest = hashlib.sha256()
        for piece in client.read(bucket, "heavy.bin"):
            digest.update(piece)
        client.rm(bucket, "heavy.bin")
    client.close()
    assert digest.hexdigest() == heavy_file.sha256
    print(f"{name} over {scheme}: peak memory grew by {memory.growth_bytes / 2**20:.0f} MiB")
    assert memory.growth_bytes < RSS_GROWTH_BYTES
