"""Browser forms as boto3 signs them, sent by a client that knows nothing of S3."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest
import urllib3

from tests.e2e.client_base import Access, boto3_client
from tests.proxies import ProxyProcess
from tests.proxy.wire import customer, md5

MIB = 1024 * 1024
FILE = os.urandom(17 * MIB + 3)
SSE = "x-amz-server-side-encryption"
CUSTOMER = customer(bytes(range(32)))


@pytest.fixture
def bucket(any_proxy: ProxyProcess) -> Iterator[str]:
    s3 = any_proxy.client()
    name = f"forms-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    yield name
    for item in s3.list_objects_v2(Bucket=name).get("Contents", ()):
        s3.delete_object(Bucket=name, Key=item["Key"])
    assert not s3.list_multipart_uploads(Bucket=name).get("Uploads")
    s3.delete_bucket(Bucket=name)


def post(
    proxy: ProxyProcess, bucket: str, key: str, file: bytes, given: dict[str, str], version: str
) -> urllib3.BaseHTTPResponse:
    form = boto3_client(Access.of(proxy), signature_version=version).generate_presigned_post(
        bucket, key, dict(given), [{name: value} for name, value in given.items()]
    )
    fields = {**form["fields"], "file": ("name of the file.bin", file)}
    with urllib3.PoolManager() as pool:
        return pool.request("POST", form["url"], fields=fields, redirect=False)


@pytest.mark.parametrize("version", ["s3v4", "s3"])
@pytest.mark.parametrize("size", [0, 1000, 600_000, 8 * MIB, len(FILE)])
def test_a_form(any_proxy: ProxyProcess, bucket: str, version: str, size: int) -> None:
    file = FILE[:size]
    answer = post(any_proxy, bucket, "in/${filename}", file, {"x-amz-meta-a": "b c"}, version)
    assert (answer.status, answer.headers["etag"]) == (204, f'"{md5(file)}"')
    assert answer.headers[SSE] == "AES256"
    s3, key = any_proxy.client(), "in/name of the file.bin"
    got = s3.get_object(Bucket=bucket, Key=key)
    assert got["Body"].read() == file
    assert got["Metadata"] == {"a": "b c"}
    [listed] = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert (listed["Key"], listed["Size"], listed["ETag"]) == (key, size, f'"{md5(file)}"')
    raw = any_proxy.raw_get(bucket, key)
    assert len(raw) > size
    for start in range(0, size - 32, MIB // 2):
        assert file[start : start + 32] not in raw


@pytest.mark.parametrize("size", [1000, len(FILE)])
def test_a_customers_key(any_proxy: ProxyProcess, bucket: str, size: int) -> None:
    file = FILE[:size]
    answer = post(any_proxy, bucket, "k", file, CUSTOMER, "s3v4")
    assert answer.status == 204
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": bytes(range(32))}
    got = any_proxy.client().get_object(Bucket=bucket, Key="k", **key)
    assert (got["Body"].read(), got["ETag"]) == (file, answer.headers["etag"])
    assert file[:100] not in any_proxy.raw_get(bucket, "k")


@pytest.mark.parametrize("size", [1000, len(FILE)])
def test_tags_and_a_document(any_proxy: ProxyProcess, bucket: str, size: int) -> None:
    tagging = "<Tagging><TagSet><Tag><Key>a b</Key><Value>1+2</Value></Tag></TagSet></Tagging>"
    given = {"tagging": tagging, "success_action_status": "201"}
    answer = post(any_proxy, bucket, "k", FILE[:size], given, "s3v4")
    assert answer.status == 201
    assert f'<ETag>"{md5(FILE[:size])}"</ETag></PostResponse>'.encode() in answer.data
    tags = any_proxy.client().get_object_tagging(Bucket=bucket, Key="k")["TagSet"]
    assert tags == [{"Key": "a b", "Value": "1+2"}]
