"""Multipart objects through the proxy over real stores, as boto3 reads and lists them."""

from __future__ import annotations

import hashlib
import os
import uuid

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

MIB = 1024 * 1024
SIZES = [6 * MIB, 5 * MIB + 65_537, 70_001]
ASKED = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]


@pytest.fixture
def uploaded(any_proxy):
    """(client, where, the parts, the ETag) of an object uploaded in parts."""
    s3, parts = any_proxy.client(), [os.urandom(size) for size in SIZES]
    where = {"Bucket": f"reads-{uuid.uuid4().hex[:12]}", "Key": "folder/ü +&.bin"}
    s3.create_bucket(Bucket=where["Bucket"])
    made = s3.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")
    upload, done = made["UploadId"], []
    for number, body in enumerate(parts, 1):
        sent = s3.upload_part(
            **where, UploadId=upload, PartNumber=number, Body=body, ChecksumAlgorithm="SHA256"
        )
        kept = {name: sent[name] for name in ("ETag", "ChecksumSHA256")}
        done.append({"PartNumber": number, **kept})
    s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": done})
    digests = b"".join(hashlib.md5(body, usedforsecurity=False).digest() for body in parts)
    etag = hashlib.md5(digests, usedforsecurity=False).hexdigest()
    return s3, where, parts, f'"{etag}-{len(parts)}"'


def test_whole_ranges_and_parts(uploaded):
    s3, where, parts, etag = uploaded
    body = b"".join(parts)
    got = s3.get_object(**where)
    assert (got["Body"].read(), got["ETag"]) == (body, etag)
    start = len(parts[0]) - 10
    for first, last in [(0, 0), (start, start + 20), (start, len(body) - 1), (len(body) - 1,) * 2]:
        got = s3.get_object(**where, Range=f"bytes={first}-{last}")
        assert got["Body"].read() == body[first : last + 1]
    for number, part in enumerate(parts, 1):
        got = s3.get_object(**where, PartNumber=number, ChecksumMode="ENABLED")
        assert (got["Body"].read(), got["PartsCount"]) == (part, len(parts))
        assert got["ChecksumType"] == "COMPOSITE"
        assert s3.head_object(**where, PartNumber=number)["ContentLength"] == len(part)
    with pytest.raises(ClientError, match="416"):
        s3.head_object(**where, PartNumber=4)


def test_listings_and_attributes(uploaded):
    s3, where, parts, etag = uploaded
    size = sum(map(len, parts))
    bucket = {"Bucket": where["Bucket"]}
    s3.put_object(**bucket, Key="small", Body=b"x" * 1000, Metadata={"a": "b"})
    s3.put_object(**bucket, Key="large", Body=b"x" * MIB)
    for _ in range(2):
        for listed in (
            s3.list_objects(**bucket)["Contents"],
            s3.list_objects_v2(**bucket)["Contents"],
            s3.list_objects_v2(**bucket, Prefix="folder/")["Contents"],
            s3.list_object_versions(**bucket)["Versions"],
        ):
            found = {item["Key"]: (item["Size"], item["ETag"]) for item in listed}
            assert found.pop(where["Key"]) == (size, etag)
            assert not found or {key: length for key, (length, _) in found.items()} == {
                "small": 1000,
                "large": MIB,
            }
    told = s3.get_object_attributes(**where, ObjectAttributes=ASKED, MaxParts=2)
    assert (told["ETag"], told["ObjectSize"]) == (etag.strip('"'), size)
    assert told["Checksum"]["ChecksumType"] == "COMPOSITE"
    page = told["ObjectParts"]
    assert (page["TotalPartsCount"], page["IsTruncated"]) == (3, True)
    assert [part["Size"] for part in page["Parts"]] == SIZES[:2]


def test_the_transfer_manager(any_proxy, tmp_path):
    """Parallel ranged downloads of what parallel uploads have written."""
    s3, body = any_proxy.client(), os.urandom(21 * MIB + 5)
    bucket = f"transfer-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket)
    (tmp_path / "up").write_bytes(body)
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    s3.upload_file(str(tmp_path / "up"), bucket, "k", Config=config)
    s3.download_file(bucket, "k", str(tmp_path / "down"), Config=config)
    assert (tmp_path / "down").read_bytes() == body
