"""Every S3 client that the tests drive, by name, and those that are Python packages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import certifi
import urllib3
from boto3.s3.transfer import TransferConfig
from minio import Minio
from minio.commonconfig import CopySource
from minio.sse import SseS3

from tests.e2e.client_base import (
    READ_BYTES,
    REGION,
    SINGLE_PUT_BYTES,
    Access,
    Client,
    boto3_client,
)
from tests.e2e.client_programs import AwsCli, Rclone, S3cmd

__all__ = [
    "CLIENTS",
    "Access",
    "AwsCli",
    "Boto3",
    "Client",
    "MinioSdk",
    "Rclone",
    "S3cmd",
    "boto3_client",
]


class Boto3(Client):
    name = "boto3"

    def __init__(self, access: Access, folder: Path) -> None:
        super().__init__(access, folder)
        self.s3 = boto3_client(access)

    def put(self, bucket: str, key: str, source: Path, *, encrypt: bool = False) -> None:
        extra = {"ServerSideEncryption": "AES256"} if encrypt else {}
        single = TransferConfig(multipart_threshold=SINGLE_PUT_BYTES + 1)
        self.s3.upload_file(str(source), bucket, key, ExtraArgs=extra, Config=single)

    def read(self, bucket: str, key: str) -> Iterator[bytes]:
        with closing(self.s3.get_object(Bucket=bucket, Key=key)["Body"]) as body:
            yield from body.iter_chunks(READ_BYTES)

    def ls(self, bucket: str) -> dict[str, int]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", ())}

    def cp(self, bucket: str, source: str, target: str) -> None:
        self.s3.copy_object(Bucket=bucket, Key=target, CopySource={"Bucket": bucket, "Key": source})

    def rm(self, bucket: str, key: str) -> None:
        self.s3.delete_object(Bucket=bucket, Key=key)

    def close(self) -> None:
        self.s3.close()


class MinioSdk(Client):
    """The `minio` package. It holds a whole part in memory: not for objects of gigabytes."""

    name = "minio-sdk"

    def __init__(self, access: Access, folder: Path) -> None:
        super().__init__(access, folder)
        self.pool = urllib3.PoolManager(
            ca_certs=str(access.ca_file or certifi.where()), retries=False
        )
        self.s3 = Minio(
            access.host,
            access.access_key,
            access.secret_key,
            secure=access.secure,
            region=REGION,
            http_client=self.pool,
        )

    def put(self, bucket: str, key: str, source: Path, *, encrypt: bool = False) -> None:
        sse = SseS3() if encrypt else None
        self.s3.fput_object(bucket, key, str(source), part_size=SINGLE_PUT_BYTES, sse=sse)

    def read(self, bucket: str, key: str) -> Iterator[bytes]:
        answer = self.s3.get_object(bucket, key)
        try:
            yield from answer.stream(READ_BYTES)
        finally:
            answer.close()
            answer.release_conn()

    def ls(self, bucket: str) -> dict[str, int]:
        return {
            str(item.object_name): int(item.size or 0)
            for item in self.s3.list_objects(bucket, recursive=True)
        }

    def cp(self, bucket: str, source: str, target: str) -> None:
        self.s3.copy_object(bucket, target, CopySource(bucket, source))

    def rm(self, bucket: str, key: str) -> None:
        self.s3.remove_object(bucket, key)

    def close(self) -> None:
        self.pool.clear()


CLIENTS: dict[str, Callable[[Access, Path], Client]] = {
    client.name: client for client in (Boto3, AwsCli, Rclone, S3cmd, MinioSdk)
}
