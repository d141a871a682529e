"""Signatures as real clients make them, beyond SigV4 in the header: SigV2, and temporary keys."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.e2e.client_base import REGION, Access, boto3_client
from tests.e2e.client_programs import CommandFailed, S3cmd
from tests.proxies import ProxyProcess
from tests.servers import LOOPBACK, MinIO, free_ports

DATA = b"signed in an older way " * 1000
KEYS = ["plain.bin", "folder/sub folder/café +&=%41.bin", "日本/🙂.bin"]
SSE = "x-amz-server-side-encryption"


@pytest.fixture
def bucket(any_proxy: ProxyProcess) -> Iterator[str]:
    s3 = any_proxy.client()
    name = f"signed-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    yield name
    for item in s3.list_objects_v2(Bucket=name).get("Contents", ()):
        s3.delete_object(Bucket=name, Key=item["Key"])
    s3.delete_bucket(Bucket=name)


@pytest.mark.parametrize("key", KEYS)
def test_boto3_signing_with_v2(any_proxy: ProxyProcess, bucket: str, key: str) -> None:
    s3 = boto3_client(Access.of(any_proxy), signature_version="s3")
    signed: list[Any] = []
    s3.meta.events.register("before-send.s3", lambda request, **_: signed.append(request))
    s3.put_object(Bucket=bucket, Key=key, Body=DATA, ContentType="text/x", Metadata={"a": "b"})
    assert DATA not in any_proxy.raw_get(bucket, key)
    got = s3.get_object(Bucket=bucket, Key=key, Range="bytes=5-9")
    assert (got["Body"].read(), got["ContentType"]) == (DATA[5:10], "text/x")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]
    assert [(item["Key"], item["Size"]) for item in listed] == [(key, len(DATA))]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    tags = {"TagSet": [{"Key": "k", "Value": "v"}]}
    s3.put_object_tagging(Bucket=bucket, Key="copy", Tagging=tags)
    assert s3.get_object_tagging(Bucket=bucket, Key="copy")["TagSet"] == tags["TagSet"]
    s3.delete_object(Bucket=bucket, Key=key)
    assert all(request.headers["Authorization"].startswith(b"AWS ") for request in signed)


@pytest.mark.parametrize("key", KEYS)
def test_presigned_urls_as_boto3_makes_them_by_default(
    any_proxy: ProxyProcess, bucket: str, key: str
) -> None:
    s3 = boto3_client(Access.of(any_proxy))
    where = {"Bucket": bucket, "Key": key}
    asked = where | {"ServerSideEncryption": "AES256", "ContentType": "text/x"}
    put = s3.generate_presigned_url("put_object", Params=asked)
    assert "AWSAccessKeyId=" in put, "SigV2"
    assert f"{SSE}=AES256" in put
    status, headers, _ = fetch("PUT", put, DATA)
    assert (status, headers[SSE]) == (200, "AES256")
    assert DATA not in any_proxy.raw_get(bucket, key)
    disposition = {"ResponseContentDisposition": 'attachment; filename="ü +.bin"'}
    get = s3.generate_presigned_url("get_object", Params=where | disposition)
    status, headers, body = fetch("GET", get)
    assert (status, body) == (200, DATA)
    assert headers["content-type"] == "text/x"
    assert "attachment" in headers["content-disposition"]
    assert fetch("GET", get + "&acl")[0] == 403
    assert fetch("GET", get.replace("Expires=", "Expires=9"))[0] == 403
    gone = s3.generate_presigned_url("get_object", Params=where, ExpiresIn=-1)
    assert fetch("GET", gone)[0] == 403


def test_presigned_urls_of_version_4_with_encryption(any_proxy: ProxyProcess, bucket: str) -> None:
    s3 = boto3_client(Access.of(any_proxy), signature_version="s3v4")
    asked = {"Bucket": bucket, "Key": "k", "ServerSideEncryption": "AES256"}
    put = s3.generate_presigned_url("put_object", Params=asked)
    assert SSE in put, "signed"
    assert fetch("PUT", put, DATA)[0] == 403, "what is signed must be sent"
    assert fetch("PUT", put, DATA, {SSE: "AES256"})[0] == 200
    assert DATA not in any_proxy.raw_get(bucket, "k")


def fetch(
    method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body), with these headers only: a signature may cover Content-Type."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body, headers or {})
        answer = connection.getresponse()
        lower = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, lower, answer.read()
    finally:
        connection.close()


class S3cmdV2(S3cmd):
    """s3cmd, told to sign with SigV2."""

    def arguments(self) -> list[str]:
        return [*super().arguments(), "--signature-v2"]


@pytest.mark.parametrize("key", KEYS)
def test_s3cmd_signing_with_v2(
    any_proxy: ProxyProcess, bucket: str, key: str, tmp_path: Path
) -> None:
    client = S3cmdV2(Access.of(any_proxy), tmp_path)
    source = tmp_path / "source"
    source.write_bytes(DATA)
    client.put(bucket, key, source, encrypt=True)
    assert DATA not in any_proxy.raw_get(bucket, key)
    assert b"".join(client.read(bucket, key)) == DATA
    assert client.ls(bucket) == {key: len(DATA)}
    client.cp(bucket, key, "copy")
    client.rm(bucket, key)
    assert client.ls(bucket) == {"copy": len(DATA)}
    wrong = Access(any_proxy.endpoint, any_proxy.access_key, "wrong")
    with pytest.raises(CommandFailed, match=r"SignatureDoesNotMatch|403"):
        S3cmdV2(wrong, tmp_path).ls(bucket)


class Hook:
    """A credential hook: temporary client keys, each mapped to a temporary key of the store."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str | None], dict[str, str]] = {}
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                answer = hook.answers.get((asked["access_key"], asked["session_token"]))
                allowed = self.headers["authorization"] == "Bearer the-hooks-secret"
                body = json.dumps(answer).encode() if answer and allowed else b""
                self.send_response(200 if body else 404)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = HTTPServer((LOOPBACK, 0), Handler)
        self.url = f"http://{LOOPBACK}:{self.server.server_port}/"

    def __enter__(self) -> Hook:
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class HookedProxy(ProxyProcess):
    """A proxy with a YAML, whose only working clients are the hook's."""

    def __init__(self, store: MinIO, folder: Path, hook: Hook) -> None:
        super().__init__(store, folder / "process", yaml=folder / "sseproxy.yaml")
        self.ports = free_ports(2)
        (folder / "secret").write_text("unused")
        (folder / "sseproxy.yaml").write_text(f"""\
listen: {LOOPBACK}:{self.ports[0]}
admin: {{listen: "{LOOPBACK}:{self.ports[1]}"}}
store: {{endpoint: "{store.endpoint}"}}
system_bucket: system-{uuid.uuid4().hex[:8]}
service_account: {{access_key: {store.access_key}, secret: {{env: SERVICE}}}}
root_key: {{file: root.key}}
credentials:
  - {{access_key: nobody, secret: {{file: secret}}, store_access_key: x, store_secret: {{env: X}}}}
credential_hook: {{url: "{hook.url}", secret: {{env: HOOK}}}}
default_encryption: sse-cos
""")
        command = [sys.executable, "-m", "sseproxy.cli", "init"]
        subprocess.run(command, cwd=folder, env=self.environment(), check=True, timeout=60)

    def environment(self) -> dict[str, str]:
        return {"SERVICE": self.store.secret_key, "HOOK": "the-hooks-secret", "X": "x"}


@pytest.mark.minio
def test_temporary_keys_on_both_sides(minio: MinIO, tmp_path: Path) -> None:
    """The client's triple by the hook, and the store's by MinIO's own STS."""
    sts = boto3.client(
        "sts",
        endpoint_url=minio.endpoint,
        aws_access_key_id=minio.access_key,
        aws_secret_access_key=minio.secret_key,
        region_name=REGION,
    )
    role = sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/any", RoleSessionName="test")
    at_store = role["Credentials"]
    with Hook() as hook, HookedProxy(minio, tmp_path, hook) as proxy:
        hook.answers["TEMPORARY", "the/token+="] = {
            "secret": "temporary-secret",
            "store_access_key": at_store["AccessKeyId"],
            "store_secret": at_store["SecretAccessKey"],
            "store_session_token": at_store["SessionToken"],
            "expires": at_store["Expiration"].isoformat(),
        }
        session = {
            "endpoint_url": proxy.endpoint,
            "aws_access_key_id": "TEMPORARY",
            "aws_secret_access_key": "temporary-secret",
            "region_name": REGION,
        }
        s3 = boto3.client("s3", aws_session_token="the/token+=", **session)
        bucket = f"temporary-{uuid.uuid4().hex[:8]}"
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="k", Body=DATA)
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == DATA
        assert DATA not in proxy.raw_get(bucket, "k")
        url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
        assert fetch("GET", url)[2] == DATA
        for token in ("other", None):
            other = boto3.client("s3", aws_session_token=token, **session)
            with pytest.raises(ClientError, match="InvalidAccessKeyId"):
                other.get_object(Bucket=bucket, Key="k")
        said = proxy.metrics() + proxy.log_file.read_text()
        for secret in ("temporary-secret", "the/token", "the-hooks-secret", *at_store.values()):
            assert str(secret) not in said
