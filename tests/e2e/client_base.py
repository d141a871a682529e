"""The small interface behind which the tests drive real S3 clients.

Objects go in one PUT each, whatever their size: multipart uploads have tests of their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

REGION = "us-east-1"
SINGLE_PUT_BYTES = 5 * 1024**3
COMMAND_TIMEOUT_S = 240
READ_BYTES = 1 << 20


class Endpoint(Protocol):
    """What a client has to know: the fixtures' proxies and stores have it."""

    @property
    def endpoint(self) -> str: ...
    @property
    def access_key(self) -> str: ...
    @property
    def secret_key(self) -> str: ...


@dataclass(frozen=True)
class Access:
    """An Endpoint by its values. ca_file: the CA (PEM) of an HTTPS endpoint, None for HTTP."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    ca_file: Path | None = None

    @classmethod
    def of(cls, server: Endpoint) -> Access:
        """The access to a store or proxy fixture as its own user."""
        ca_file = getattr(server, "ca_file", None)
        return cls(
            server.endpoint,
            server.access_key,
            server.secret_key,
            Path(ca_file) if ca_file else None,
        )

    @property
    def secure(self) -> bool:
        """Whether the endpoint is HTTPS."""
        return self.endpoint.startswith("https:")

    @property
    def host(self) -> str:
        """host:port."""
        return urlsplit(self.endpoint).netloc


def boto3_client(access: Access, **config: Any) -> Any:
    """A boto3 S3 client, path style, one attempt per request: a retry would hide a failure."""
    defaults: dict[str, Any] = {
        "s3": {"addressing_style": "path"},
        "retries": {"total_max_attempts": 1},
        "read_timeout": COMMAND_TIMEOUT_S,
    }
    return boto3.client(
        "s3",
        endpoint_url=access.endpoint,
        aws_access_key_id=access.access_key,
        aws_secret_access_key=access.secret_key,
        region_name=REGION,
        verify=str(access.ca_file) if access.ca_file else None,
        config=Config(**(defaults | config)),
    )


class Client(ABC):
    """put, get, ls, cp and rm. folder: for configuration files and the like."""

    name = ""

    def __init__(self, access: Access, folder: Path) -> None:
        self.access = access
        self.folder = folder

    @abstractmethod
    def put(self, bucket: str, key: str, source: Path, *, encrypt: bool = False) -> None:
        """Upload a file in one PUT; `encrypt` asks for SSE-S3 by header."""

    @abstractmethod
    def read(self, bucket: str, key: str) -> Iterator[bytes]:
        """The object's bytes, streamed; raises unless the client ended well."""

    @abstractmethod
    def ls(self, bucket: str) -> dict[str, int]:
        """Every key of the bucket, with its size."""

    @abstractmethod
    def cp(self, bucket: str, source: str, target: str) -> None:
        """Copy an object within a bucket, by the server."""

    @abstractmethod
    def rm(self, bucket: str, key: str) -> None:
        """Delete an object."""

    def get(self, bucket: str, key: str) -> bytes:
        """The object, whole: for small ones."""
        return b"".join(self.read(bucket, key))

    def close(self) -> None:
        """Drop the connections."""
        return
