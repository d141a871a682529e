"""Command-line S3 clients, run as a user would, without any configuration of the machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from sseproxy.demo_store import find_program
from tests.e2e.client_base import COMMAND_TIMEOUT_S, READ_BYTES, REGION, SINGLE_PUT_BYTES, Client


class CommandFailed(Exception):
    """A command-line client ended with an error; the message has what it printed."""


class CommandClient(Client):
    """A client that is a program."""

    program = ""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """Its settings as environment variables."""

    def arguments(self) -> Sequence[str]:
        """What stands before every command."""
        return ()

    def run(self, *arguments: str) -> str:
        """Run one command; what it printed on standard output."""
        return b"".join(self.stream(*arguments)).decode()

    def stream(self, *arguments: str) -> Iterator[bytes]:
        """Run one command and yield its standard output; raises CommandFailed."""
        found = find_program(self.program)
        assert found, f"{self.program} is missing: make venv"
        errors = self.folder / f"{self.name}-errors.txt"
        with (
            errors.open("wb") as stderr,
            subprocess.Popen(
                [str(found), *self.arguments(), *arguments],
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(self.folder),
                    "LC_ALL": "C.UTF-8",
                    **self.environment(),
                },
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
            ) as process,
        ):
            pipe = process.stdout
            assert pipe is not None
            try:
                yield from iter(lambda: pipe.read(READ_BYTES), b"")
                status = process.wait(COMMAND_TIMEOUT_S)
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
        if status:
            said = errors.read_text(errors="replace")[-2000:]
            raise CommandFailed(f"{self.name} {' '.join(arguments)}: status {status}\n{said}")


class AwsCli(CommandClient):
    name = "awscli"
    program = "aws"

    def environment(self) -> dict[str, str]:
        config = self.folder / "aws-config"
        config.write_text(
            f"[default]\ns3 =\n  addressing_style = path\n"
            f"  multipart_threshold = {SINGLE_PUT_BYTES + 1}\n"
        )
        ca = {"AWS_CA_BUNDLE": str(self.access.ca_file)} if self.access.ca_file else {}
        return {
            "AWS_ACCESS_KEY_ID": self.access.access_key,
            "AWS_SECRET_ACCESS_KEY": self.access.secret_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": str(config),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            **ca,
        }

    def arguments(self) -> Sequence[str]:
        return ("--endpoint-url", self.access.endpoint)

    def put(self, bucket: str, key: str, source: Path, *, encrypt: bool = False) -> None:
        sse = ("--server-side-encryption", "AES256") if encrypt else ()
        where = ("--bucket", bucket, "--key", key, "--body", str(source))
        self.run("s3api", "put-object", *where, *sse)

    def read(self, bucket: str, key: str) -> Iterator[bytes]:
        yield from self.stream("s3", "cp", "--quiet", f"s3://{bucket}/{key}", "-")

    def ls(self, bucket: str) -> dict[str, int]:
        printed = self.run("s3api", "list-objects-v2", "--bucket", bucket, "--output", "json")
        contents = json.loads(printed or "{}").get("Contents") or ()
        return {item["Key"]: item["Size"] for item in contents}

    def cp(self, bucket: str, source: str, target: str) -> None:
        # CopyObject alone: `s3 cp` would ask for the source's tags and size first.
        arguments = ("--bucket", bucket, "--key", target, "--copy-source", f"{bucket}/{source}")
        self.run("s3api", "copy-object", *arguments)

    def rm(self, bucket: str, key: str) -> None:
        self.run("s3", "rm", "--quiet", f"s3://{bucket}/{key}")


class Rclone(CommandClient):
    name = "rclone"
    program = "rclone"

    def environment(self) -> dict[str, str]:
        return {
            "RCLONE_CONFIG": str(self.folder / "rclone.conf"),
            "RCLONE_CONFIG_S_TYPE": "s3",
            "RCLONE_CONFIG_S_PROVIDER": "Other",
            "RCLONE_CONFIG_S_ENDPOINT": self.access.endpoint,
            "RCLONE_CONFIG_S_REGION": REGION,
            "RCLONE_CONFIG_S_ACCESS_KEY_ID": self.access.access_key,
            "RCLONE_CONFIG_S_SECRET_ACCESS_KEY": self.access.secret_key,
            "RCLONE_CONFIG_S_FORCE_PATH_STYLE": "true",
            "RCLONE_S3_UPLOAD_CUTOFF": "5G",
            "RCLONE_S3_COPY_CUTOFF": "5G",
            # Otherwise rclone splits files above 256 MiB, whatever the upload cutoff says.
            "RCLONE_MULTI_THREAD_CUTOFF": "100G",
        }

    def arguments(self) -> Sequence[str]:
        ca = ("--ca-cert", str(self.access.ca_file)) if self.access.ca_file else ()
        return ("--retries=1", "--low-level-retries=1", "--quiet", *ca)

    def put(self, bucket: str, key: str, source: Path, *, encrypt: bool = False) -> None:
        sse = ("--s3-server-side-encryption=AES256",) if encrypt else ()
        self.run("copyto", *sse, str(source), f"s:{bucket}/{key}")

    def read(self, bucket: str, key: str) -> Iterator[bytes]:
        yield from self.stream("cat", f"s:{bucket}/{key}")

    def ls(self, bucket: str) -> dict[str, int]:
        listed = json.loads(self.run("lsjson", "--recursive", "--files-only", f"s:{bucket}"))
        return {item["Path"]: item["Size"] for item in listed}

    def cp(self, bucket: str, source: str, target: str) -> None:
        self.run("copyto", f"s:{bucket}/{source}", f"s:{bucket}/{target}")

    def rm(self, bucket: str, key: str) -> None:
        self.run("deletefile", f"s:{bucket}/{key}")


class S3cmd(CommandClient):
    name = "s3cmd"
    program = "s3cmd"

    def environment(self) -> dict[str, str]:
        settings = {
            "access_key": self.access.access_key,
            "secret_key": self.access.secret_key,
            "host_base": self.access.host,
            "host_bucket": self.access.host,  # path style
            "bucket_location": REGION,
            "use_https": self.access.secure,
            "ca_certs_file": self.access.ca_file or "",
            "enable_multipart": False,
            "max_retries": 1,
            "progress_meter": False,
        }
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        (self.folder / "s3cfg").write_text(f"[default]\n{lines}")
        # s3cmd runs on libraries that still use what newer Pythons warn of.
        return {"PYTHONWARNINGS": "ignore"}

    def arguments(self) -> Sequence[str]:
        return (f"--config={self.folder / 's3cfg'}",)

    def put(self, bucket: str, key: str, source: Path, *, encrypt: bool = False) -> None:
        sse = ("--server-side-encryption",) if encrypt else ()
        self.run("put", "--disable-multipart", *sse, str(source), f"s3://{bucket}/{key}")

    def read(self, bucket: str, key: str) -> Iterator[bytes]:
        yield from self.stream("get", f"s3://{bucket}/{key}", "-")

    def ls(self, bucket: str) -> dict[str, int]:
        printed = self.run("ls", "--recursive", f"s3://{bucket}")
        line = re.compile(rf"\S+ \S+\s+(\d+)\s+s3://{re.escape(bucket)}/(.*)")
        found = (line.fullmatch(text.rstrip("\n")) for text in printed.split("\n"))
        return {match[2]: int(match[1]) for match in found if match}

    def cp(self, bucket: str, source: str, target: str) -> None:
        self.run("cp", f"s3://{bucket}/{source}", f"s3://{bucket}/{target}")

    def rm(self, bucket: str, key: str) -> None:
        self.run("rm", f"s3://{bucket}/{key}")
