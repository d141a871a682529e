"""Copies with boto3 over real stores: every kind of source into every mode."""

from __future__ import annotations

import hashlib
import random
import secrets

import pytest
from botocore.exceptions import ClientError

MIB = 1024 * 1024
KEY, OTHER_KEY = bytes(range(32)), bytes(range(32, 64))
MODES = ("none", "sse-s3", "sse-c")
SHAPES = {"small": [1000], "large": [700_000], "multipart": [5 * MIB, 70_000]}


def sse(mode: str, key: bytes = KEY) -> dict[str, str | bytes]:
    if mode == "sse-c":
        return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}
    return {"ServerSideEncryption": "AES256"} if mode == "sse-s3" else {}


def read_key(mode: str, key: bytes = KEY) -> dict[str, str | bytes]:
    return sse(mode, key) if mode == "sse-c" else {}


def source_key(mode: str) -> dict[str, str | bytes]:
    return {f"CopySource{name}": value for name, value in read_key(mode).items()}


@pytest.fixture(scope="module")
def proxies(start_proxy):
    """One proxy over each store, without default encryption: a request's header decides."""
    started = {}

    def get(store):
        if store.endpoint not in started:
            started[store.endpoint] = start_proxy(store, default_encryption="none")
        return started[store.endpoint]

    return get


@pytest.fixture(params=["seaweedfs", pytest.param("minio", marks=pytest.mark.minio)])
def proxy(request, proxies):
    return proxies(request.getfixturevalue(request.param))


@pytest.fixture
def s3(proxy):
    return proxy.client()


@pytest.fixture
def bucket(proxy, s3) -> str:
    name = f"copies-{secrets.token_hex(6)}"
    s3.create_bucket(Bucket=name)
    return name


def bodies_of(shape: str) -> list[bytes]:
    return [random.Random(size).randbytes(size) for size in SHAPES[shape]]


def write(s3, bucket: str, key: str, mode: str, shape: str) -> bytes:
    """An object with metadata and tags; its body."""
    bodies = bodies_of(shape)
    own = {"ContentType": "text/csv", "Metadata": {"a": "b"}, "Tagging": "t=1"}
    place = {"Bucket": bucket, "Key": key}
    if len(bodies) == 1:
        s3.put_object(**place, Body=bodies[0], **own, **sse(mode))
        return bodies[0]
    upload = s3.create_multipart_upload(**place, **own, **sse(mode))["UploadId"]
    parts = []
    for number, body in enumerate(bodies, 1):
        part = s3.upload_part(
            **place, UploadId=upload, PartNumber=number, Body=body, **read_key(mode)
        )
        parts.append({"PartNumber": number, "ETag": part["ETag"]} | checksum_of(part))
    s3.complete_multipart_upload(
        **place, UploadId=upload, MultipartUpload={"Parts": parts}, **read_key(mode)
    )
    return b"".join(bodies)


def checksum_of(answer: dict) -> dict[str, str]:
    return {name: value for name, value in answer.items() if name.startswith("ChecksumCRC")}


def check(proxy, s3, bucket: str, key: str, mode: str, body: bytes) -> dict:
    got = s3.get_object(Bucket=bucket, Key=key, **read_key(mode))
    assert hashlib.sha256(got["Body"].read()).digest() == hashlib.sha256(body).digest()
    raw = proxy.raw_get(bucket, key)
    if mode == "none":
        assert raw == body
    else:
        assert body[:32] not in raw
        assert body[-32:] not in raw
    return got


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("target", MODES)
@pytest.mark.parametrize("source", MODES)
def test_every_pair(proxy, s3, bucket: str, source: str, target: str, shape: str) -> None:
    body = write(s3, bucket, "from", source, shape)
    copied = s3.copy_object(
        Bucket=bucket,
        Key="to",
        CopySource={"Bucket": bucket, "Key": "from"},
        **sse(target),
        **source_key(source),
    )
    got = check(proxy, s3, bucket, "to", target, body)
    # SeaweedFS leaves out the quotes of the copies that it makes itself.
    assert copied["CopyObjectResult"]["ETag"].strip('"') == got["ETag"].strip('"')
    assert (got["ContentType"], got["Metadata"]) == ("text/csv", {"a": "b"})
    tags = s3.get_object_tagging(Bucket=bucket, Key="to")["TagSet"]
    assert tags == [{"Key": "t", "Value": "1"}]
    listed = {each["Key"]: each for each in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert (listed["to"]["Size"], listed["to"]["ETag"]) == (len(body), got["ETag"])


@pytest.mark.parametrize("shape", ["large", "multipart"])
@pytest.mark.parametrize("target", MODES)
@pytest.mark.parametrize("source", MODES)
def test_parts(proxy, s3, bucket: str, source: str, target: str, shape: str) -> None:
    body = write(s3, bucket, "from", source, shape)
    place = {"Bucket": bucket, "Key": "to"}
    first = random.Random(9).randbytes(5 * MIB)
    upload = s3.create_multipart_upload(**place, **sse(target))["UploadId"]
    part = {"UploadId": upload, **place, **read_key(target)}
    put = s3.upload_part(PartNumber=1, Body=first, **part)
    copied = s3.upload_part_copy(
        PartNumber=2,
        CopySource={"Bucket": bucket, "Key": "from"},
        CopySourceRange=f"bytes=100-{len(body) - 1}",
        **part,
        **source_key(source),
    )["CopyPartResult"]
    parts = [
        {"PartNumber": number, "ETag": answer["ETag"]} | checksum_of(answer)
        for number, answer in ((1, put), (2, copied))
    ]
    s3.complete_multipart_upload(
        **place, UploadId=upload, MultipartUpload={"Parts": parts}, **read_key(target)
    )
    check(proxy, s3, bucket, "to", target, first + body[100:])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("source", ["sse-s3", "sse-c"])
def test_onto_itself(proxy, s3, bucket: str, source: str, shape: str) -> None:
    """New metadata, and from a customer's key to another one."""
    body = write(s3, bucket, "k", source, shape)
    before = s3.head_object(Bucket=bucket, Key="k", **read_key(source))
    s3.copy_object(
        Bucket=bucket,
        Key="k",
        CopySource={"Bucket": bucket, "Key": "k"},
        MetadataDirective="REPLACE",
        Metadata={"new": "1"},
        **(sse("sse-c", OTHER_KEY) if source == "sse-c" else sse(source)),
        **source_key(source),
    )
    got = s3.get_object(Bucket=bucket, Key="k", **read_key(source, OTHER_KEY))
    assert (got["Body"].read(), got["Metadata"]) == (body, {"new": "1"})
    if source == "sse-s3":
        assert got["ETag"] == before["ETag"]


def test_versions(s3, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for mode in MODES:
        old = s3.put_object(Bucket=bucket, Key="k", Body=mode.encode(), **sse(mode))["VersionId"]
        s3.put_object(Bucket=bucket, Key="k", Body=b"newer")
        source = {"Bucket": bucket, "Key": "k", "VersionId": old}
        for target in MODES:
            copied = s3.copy_object(
                Bucket=bucket,
                Key=f"to-{target}",
                CopySource=source,
                **sse(target),
                **source_key(mode),
            )
            assert copied["CopySourceVersionId"] == old
            got = s3.get_object(Bucket=bucket, Key=f"to-{target}", **read_key(target))
            assert got["Body"].read() == mode.encode()


def test_only_if_absent(s3, bucket: str) -> None:
    write(s3, bucket, "from", "sse-s3", "small")
    for target in MODES:
        asked = {
            "Bucket": bucket,
            "Key": f"to-{target}",
            "CopySource": {"Bucket": bucket, "Key": "from"},
            "IfNoneMatch": "*",
            **sse(target),
        }
        s3.copy_object(**asked)
        with pytest.raises(ClientError, match="PreconditionFailed"):
            s3.copy_object(**asked)


def test_delete_conditions(s3, bucket: str) -> None:
    for mode in MODES:
        etag = s3.put_object(Bucket=bucket, Key=mode, Body=b"x", **sse(mode))["ETag"]
        with pytest.raises(ClientError, match="PreconditionFailed"):
            s3.delete_object(Bucket=bucket, Key=mode, IfMatch='"00000000000000000000000000000000"')
        objects = [{"Key": mode, "ETag": "00000000000000000000000000000000"}]
        refused = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})
        assert [each["Code"] for each in refused["Errors"]] == ["PreconditionFailed"]
        s3.head_object(Bucket=bucket, Key=mode, **read_key(mode))
        s3.delete_object(Bucket=bucket, Key=mode, IfMatch=etag)
        etag = s3.put_object(Bucket=bucket, Key=mode, Body=b"x", **sse(mode))["ETag"]
        gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": mode, "ETag": etag}]})
        assert [each["Key"] for each in gone["Deleted"]] == [mode]
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
