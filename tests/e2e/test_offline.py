"""`sseproxy inspect` and `decrypt` on objects taken straight from the store; `check-store`."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import uuid

import pytest

from tests.proxies import SYSTEM_BUCKET

SSEPROXY = [sys.executable, "-m", "sseproxy.cli"]

SMALL, LARGE = 100_000, 1_500_001  # the large one has a trailer, and more than one read of segments
CUSTOMER_KEY = os.urandom(32)
SSE_C = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": CUSTOMER_KEY}
KEY = "folder/ü +&.bin"


def sseproxy(*arguments, cwd, env=None):
    return subprocess.run(
        [*SSEPROXY, *map(str, arguments)],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )


class Taken:
    """An object uploaded through the proxy, and all that decrypts it, in files of a folder."""

    def __init__(self, proxy, folder, size, put):
        self.folder, self.data = folder, os.urandom(size)
        self.bucket = f"taken-{uuid.uuid4().hex[:12]}"
        s3, raw = proxy.client(), proxy.raw_client()
        s3.create_bucket(Bucket=self.bucket)
        self.etag = s3.put_object(
            Bucket=self.bucket, Key=KEY, Body=self.data, ChecksumAlgorithm="SHA256", **put
        )["ETag"].strip('"')
        stored = raw.get_object(Bucket=self.bucket, Key=KEY)
        self.raw, self.envelope = stored["Body"].read(), stored["Metadata"]["sseproxy"]
        (folder / "raw").write_bytes(self.raw)
        (folder / "envelope").write_text(self.envelope + "\n")
        (folder / "keyring").write_bytes(proxy.raw_get(SYSTEM_BUCKET, "keyring"))
        (folder / "customer.key").write_bytes(CUSTOMER_KEY)
        self.keys = ("--root-key", proxy.state / "root.key", "--keyring", "keyring")
        self.name = ("--bucket", self.bucket, "--key", KEY)

    def decrypt(self, *more, raw="raw", name=None, output="plain"):
        return sseproxy(
            *("decrypt", raw, output, "--envelope", "envelope", *self.keys),
            *(name or self.name),
            *more,
            cwd=self.folder,
        )

    def refused(self, *more, status=1, **changed):
        """The one line of a refusal that leaves no file behind."""
        before = sorted(path.name for path in self.folder.iterdir())
        done = self.decrypt(*more, **changed)
        assert done.returncode == status, done.stderr
        assert sorted(path.name for path in self.folder.iterdir()) == before
        (line,) = done.stderr.splitlines()
        return line


@pytest.fixture
def take(proxy_http, tmp_path):
    def take(size=SMALL, **put):
        return Taken(proxy_http, tmp_path, size, put)

    return take


@pytest.mark.parametrize("size", [0, SMALL, LARGE])
def test_decrypt_an_sse_s3_object(take, tmp_path, size):
    taken = take(size, ServerSideEncryption="AES256")
    done = taken.decrypt()
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"plain: {size} bytes, verified\n"
    assert (tmp_path / "plain").read_bytes() == taken.data
    assert (tmp_path / "plain").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("form", ["bytes", "base64"])
def test_decrypt_an_sse_c_object(take, tmp_path, size, form):
    taken = take(size, **SSE_C)
    if form == "base64":
        (tmp_path / "customer.key").write_bytes(base64.b64encode(CUSTOMER_KEY) + b"\n")
    assert taken.decrypt("--customer-key", "customer.key").returncode == 0
    assert (tmp_path / "plain").read_bytes() == taken.data


def test_nothing_opens_an_sse_c_object_without_its_key(take, tmp_path):
    taken = take(**SSE_C)
    assert "key" in taken.refused()
    (tmp_path / "customer.key").write_bytes(os.urandom(32))
    assert "key" in taken.refused("--customer-key", "customer.key")
    (tmp_path / "customer.key").write_bytes(b"too short")
    line = taken.refused("--customer-key", "customer.key", status=2)
    assert "neither 32 bytes nor base64" in line


def test_decrypt_with_a_bare_root_key(take, tmp_path, proxy_http):
    """As it is kept in an environment variable: base64, without the keyring's id."""
    taken = take()
    bare = tmp_path / "bare.key"
    bare.write_text(json.loads((proxy_http.state / "root.key").read_text())["key"])
    bare.chmod(0o600)
    taken.keys = ("--root-key", bare, "--keyring", "keyring")
    assert taken.decrypt().returncode == 0
    assert (tmp_path / "plain").read_bytes() == taken.data


@pytest.mark.parametrize("at", [20, 70, SMALL // 2, -1])
def test_a_flipped_byte_leaves_no_file(take, tmp_path, at):
    taken = take()
    altered = bytearray(taken.raw)
    altered[at] ^= 1
    (tmp_path / "altered").write_bytes(altered)
    taken.refused(raw="altered")


def test_an_object_cut_short_leaves_no_file(take, tmp_path):
    taken = take(LARGE)
    (tmp_path / "cut").write_bytes(taken.raw[:-1])
    assert "are not a sealed object of" in taken.refused(raw="cut")


def test_another_name_is_refused_with_a_hint(take):
    taken = take()
    line = taken.refused(name=("--bucket", taken.bucket, "--key", "other"))
    assert f"is it really other in bucket {taken.bucket}?" in line


def test_another_root_key_is_refused(take, tmp_path):
    taken = take()
    other = tmp_path / "other.key"
    other.write_text("0" * 64)
    other.chmod(0o600)
    taken.keys = ("--root-key", other, "--keyring", "keyring")
    assert "restore the right root key" in taken.refused()
    taken.keys = ("--root-key", "absent.key", "--keyring", "keyring")
    assert "absent.key is not there" in taken.refused()


def test_an_existing_file_is_not_overwritten(take, tmp_path):
    taken = take()
    (tmp_path / "plain").write_text("mine")
    assert "plain is there already" in taken.refused(status=2)
    assert (tmp_path / "plain").read_text() == "mine"


@pytest.mark.parametrize(
    ("put", "mode", "upper"),
    [
        ({"ServerSideEncryption": "AES256"}, "sse-cos", "master key version 1"),
        (SSE_C, "sse-c", "(the customer's)"),
    ],
)
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_inspect(take, proxy_http, tmp_path, put, mode, upper, size):
    taken = take(size, **put)
    keyring = json.loads((proxy_http.state / "root.key").read_text())["keyring"]
    done = sseproxy("inspect", taken.envelope, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = dict(map(split, done.stdout.splitlines()))
    assert rows["mode"] == mode
    assert rows["format version"] == "1"
    assert rows["keyring id"] == keyring
    assert rows["upper key"] == upper
    assert sseproxy("inspect", "envelope", cwd=tmp_path).stdout == done.stdout

    done = sseproxy(
        *("inspect", "raw", "--envelope", "envelope", *taken.keys, *taken.name), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    rows = dict(map(split, done.stdout.splitlines()))
    assert rows["mode"] == mode
    assert rows["plain size"] == str(size)
    assert rows["stored size"] == f"{len(taken.raw)} (as it must be)"
    assert rows["ETag"] == taken.etag
    assert rows["sha256"] == hashlib.sha256(taken.data).hexdigest()
    assert rows["trailer"] == ("yes" if size == LARGE else "no")


def split(line):
    return line[:22].strip(), line[22:]


@pytest.mark.parametrize("store", ["seaweedfs", pytest.param("minio", marks=pytest.mark.minio)])
def test_check_store(request, tmp_path, store):
    server = request.getfixturevalue(store)
    keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    done = sseproxy("check-store", "--store", server.endpoint, cwd=tmp_path, env=environ(keys))
    assert done.returncode == 0, done.stderr
    assert "this store can be used safely" in done.stdout
    assert server.endpoint in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_check_store_with_a_wrong_key(seaweedfs, tmp_path):
    keys = {"AWS_ACCESS_KEY_ID": seaweedfs.access_key, "AWS_SECRET_ACCESS_KEY": "wrong-secret"}
    done = sseproxy("check-store", "--store", seaweedfs.endpoint, cwd=tmp_path, env=environ(keys))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "the store answered 403" in line
    assert "wrong-secret" not in line


def environ(more):
    return {**os.environ, **more}
