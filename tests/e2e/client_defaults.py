"""The clients as their users have them: large files in parts, folders synchronised."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from boto3.s3.transfer import TransferConfig

from tests.e2e.client_base import REGION, Access
from tests.e2e.client_programs import AwsCli, CommandClient, Rclone, S3cmd
from tests.e2e.clients import Boto3, MinioSdk
from tests.servers import cache_dir

PART_BYTES = 5 * 1024**2


class Boto3Parts(Boto3):
    """`upload_file` with the transfer manager: parts, several at a time."""

    def put(self, bucket: str, key: str, source: Path, *, encrypt: bool = False) -> None:
        extra = {"ServerSideEncryption": "AES256"} if encrypt else {}
        parts = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES)
        self.s3.upload_file(str(source), bucket, key, ExtraArgs=extra, Config=parts)

    def cp(self, bucket: str, source: str, target: str) -> None:
        """By the transfer manager: UploadPartCopy in ranges."""
        parts = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES)
        self.s3.copy({"Bucket": bucket, "Key": source}, bucket, target, Config=parts)


class AwsCliParts(AwsCli):
    """`aws s3 cp` and `aws s3 sync`, as installed."""

    def environment(self) -> dict[str, str]:
        found = super().environment()
        config = "[default]\ns3 =\n  addressing_style = path\n"
        Path(found["AWS_CONFIG_FILE"]).write_text(config)
        return found

    def put(self, bucket: str, key: str, source: Path, *, encrypt: bool = False) -> None:
        sse = ("--sse", "AES256") if encrypt else ()
        self.run("s3", "cp", "--quiet", *sse, str(source), f"s3://{bucket}/{key}")

    def cp(self, bucket: str, source: str, target: str) -> None:
        where = (f"s3://{bucket}/{source}", f"s3://{bucket}/{target}")
        self.run("s3", "cp", "--quiet", *where)


class RcloneParts(Rclone):
    """rclone with a low cutoff, so that files of a few parts go in parts."""

    def environment(self) -> dict[str, str]:
        found = super().environment()
        del found["RCLONE_MULTI_THREAD_CUTOFF"]
        return found | {
            "RCLONE_S3_UPLOAD_CUTOFF": "6M",
            "RCLONE_S3_CHUNK_SIZE": "5M",
            "RCLONE_S3_COPY_CUTOFF": "6M",
        }


class S3cmdParts(S3cmd):
    """s3cmd with its parts of 15 MB."""

    def environment(self) -> dict[str, str]:
        found = super().environment()
        config = self.folder / "s3cfg"
        text = config.read_text().replace("enable_multipart = False", "enable_multipart = True")
        config.write_text(text + "multipart_chunk_size_mb = 5\n")
        return found

    def put(self, bucket: str, key: str, source: Path, *, encrypt: bool = False) -> None:
        sse = ("--server-side-encryption",) if encrypt else ()
        self.run("put", *sse, str(source), f"s3://{bucket}/{key}")


class MinioSdkParts(MinioSdk):
    """The `minio` package with parts of 5 MiB."""

    def put(self, bucket: str, key: str, source: Path, *, encrypt: bool = False) -> None:
        self.s3.fput_object(bucket, key, str(source), part_size=PART_BYTES)


class S5cmd(CommandClient):
    """s5cmd, whose default are parts of 50 MB."""

    name = "s5cmd"
    program = "s5cmd"

    def environment(self) -> dict[str, str]:
        ca = {"AWS_CA_BUNDLE": str(self.access.ca_file)} if self.access.ca_file else {}
        return {
            "AWS_ACCESS_KEY_ID": self.access.access_key,
            "AWS_SECRET_ACCESS_KEY": self.access.secret_key,
            "AWS_REGION": REGION,
            **ca,
        }

    def arguments(self) -> Sequence[str]:
        return ("--endpoint-url", self.access.endpoint, "--retry-count", "0")

    def put(self, bucket: str, key: str, source: Path, *, encrypt: bool = False) -> None:
        sse = ("--sse", "AES256") if encrypt else ()
        self.run("cp", "--part-size", "5", *sse, str(source), f"s3://{bucket}/{key}")

    def read(self, bucket: str, key: str) -> Iterator[bytes]:
        yield from self.stream("cat", f"s3://{bucket}/{key}")

    def ls(self, bucket: str) -> dict[str, int]:
        printed = self.run("--json", "ls", f"s3://{bucket}/*")
        items = [json.loads(line) for line in printed.splitlines()]
        return {item["key"].removeprefix(f"s3://{bucket}/"): item["size"] for item in items}

    def cp(self, bucket: str, source: str, target: str) -> None:
        self.run("cp", f"s3://{bucket}/{source}", f"s3://{bucket}/{target}")

    def rm(self, bucket: str, key: str) -> None:
        self.run("rm", f"s3://{bucket}/{key}")


class Mc(CommandClient):
    """MinIO's own command line, built by tests/setup/build-tools.sh."""

    name = "mc"

    program = str(cache_dir() / "bin" / "mc")

    def environment(self) -> dict[str, str]:
        alias = {
            "url": self.access.endpoint,
            "accessKey": self.access.access_key,
            "secretKey": self.access.secret_key,
            "api": "S3v4",
            "path": "on",
        }
        authority = self.folder / "mc" / "certs" / "CAs"
        authority.mkdir(parents=True, exist_ok=True)
        config = {"version": "10", "aliases": {"s": alias}}
        (self.folder / "mc" / "config.json").write_text(json.dumps(config))
        if self.access.ca_file:
            (authority / "ca.pem").write_bytes(self.access.ca_file.read_bytes())
        return {}

    def arguments(self) -> Sequence[str]:
        return ("--config-dir", str(self.folder / "mc"), "--quiet", "--disable-pager")

    def put(self, bucket: str, key: str, source: Path, *, encrypt: bool = False) -> None:
        sse = ("--enc-s3", f"s/{bucket}") if encrypt else ()
        self.run("cp", *sse, str(source), f"s/{bucket}/{key}")

    def read(self, bucket: str, key: str) -> Iterator[bytes]:
        yield from self.stream("cat", f"s/{bucket}/{key}")

    def ls(self, bucket: str) -> dict[str, int]:
        printed = self.run("ls", "--recursive", "--json", f"s/{bucket}")
        items = [json.loads(line) for line in printed.splitlines()]
        return {item["key"]: item["size"] for item in items}

    def cp(self, bucket: str, source: str, target: str) -> None:
        self.run("cp", f"s/{bucket}/{source}", f"s/{bucket}/{target}")

    def rm(self, bucket: str, key: str) -> None:
        self.run("rm", f"s/{bucket}/{key}")


Parts = Boto3Parts | AwsCliParts | RcloneParts | S3cmdParts | MinioSdkParts | S5cmd | Mc
PARTS: dict[str, Callable[[Access, Path], Parts]] = {
    kind.name: kind
    for kind in (Boto3Parts, AwsCliParts, RcloneParts, S3cmdParts, MinioSdkParts, S5cmd)
}


class Sync(ABC):
    """A program that makes a bucket like a folder. client: gives it its access."""

    client: type[CommandClient]

    def __init__(self, access: Access, folder: Path) -> None:
        self.program = self.client(access, folder)

    @abstractmethod
    def sync(self, folder: Path, bucket: str) -> list[str]:
        """Synchronise up; the keys, or lines, of what was transferred."""


class AwsSync(Sync):
    client = AwsCliParts

    def sync(self, folder: Path, bucket: str) -> list[str]:
        printed = self.program.run("s3", "sync", "--no-progress", str(folder), f"s3://{bucket}")
        return [line for line in printed.splitlines() if line.strip()]


class RcloneSync(Sync):
    client = RcloneParts

    def sync(self, folder: Path, bucket: str) -> list[str]:
        # --checksum: by size and ETag, so that a wrong one of either is a transfer.
        printed = self.program.run(
            "sync", "--checksum", "--combined", "-", str(folder), f"s:{bucket}"
        )
        return [line for line in printed.splitlines() if not line.startswith("=")]

    def check(self, folder: Path, bucket: str) -> None:
        """Every byte compared; raises CommandFailed for a difference."""
        self.program.run("check", "--download", str(folder), f"s:{bucket}")


class S3cmdSync(Sync):
    client = S3cmdParts

    def sync(self, folder: Path, bucket: str) -> list[str]:
        printed = self.program.run("sync", f"{folder}/", f"s3://{bucket}/")
        return [line for line in printed.splitlines() if line.startswith("upload:")]


class S5cmdSync(Sync):
    client = S5cmd

    def sync(self, folder: Path, bucket: str) -> list[str]:
        printed = self.program.run("sync", "--size-only", f"{folder}/", f"s3://{bucket}/")
        return printed.splitlines()


class McMirror(Sync):
    client = Mc

    def sync(self, folder: Path, bucket: str) -> list[str]:
        printed = self.program.run("mirror", "--json", "--overwrite", str(folder), f"s/{bucket}")
        items = [json.loads(line) for line in printed.splitlines()]
        return [item["target"] for item in items if item.get("target")]


SYNCS: dict[str, type[Sync]] = {
    "awscli": AwsSync,
    "rclone": RcloneSync,
    "s3cmd": S3cmdSync,
    "s5cmd": S5cmdSync,
}
