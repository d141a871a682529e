"""The real stores that the tests run against, each a process on free ports in its own folder."""

from __future__ import annotations

import os
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from sseproxy.demo_store import (
    LOOPBACK,
    Identity,
    SeaweedFS,
    ServerProcess,
    StartFailed,
    free_ports,
    wait_until,
)

Process = ServerProcess

__all__ = [
    "Identity",
    "MinIO",
    "Process",
    "SeaweedFS",
    "StartFailed",
    "cache_dir",
    "free_ports",
    "minio_program",
    "wait_until",
]


def cache_dir() -> Path:
    """Where programs built for the tests are kept, outside the checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sseproxy"


def minio_program() -> Path:
    """The MinIO that tests/setup/build-tools.sh builds."""
    return cache_dir() / "bin" / "minio"


class MinIO(Process):
    """A one-disk MinIO. Users and policies: through `minio.MinioAdmin` or bucket policies."""

    name = "minio"
    port_count = 2

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        self.access_key = f"AK{secrets.token_hex(9).upper()}"
        self.secret_key = secrets.token_urlsafe(30)

    def command(self) -> Sequence[str]:
        if not minio_program().exists():
            raise StartFailed(f"{minio_program()} is missing: run tests/setup/build-tools.sh")
        return [
            *(str(minio_program()), "server", "--quiet", str(self.data_dir)),
            *("--address", f"{LOOPBACK}:{self.ports[0]}"),
            *("--console-address", f"{LOOPBACK}:{self.ports[1]}"),
            *("--certs-dir", str(self.folder / "certs")),
        ]

    def environment(self) -> Mapping[str, str]:
        return {
            "MINIO_ROOT_USER": self.access_key,
            "MINIO_ROOT_PASSWORD": self.secret_key,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "HOME": str(self.folder),
        }

    def is_ready(self) -> bool:
        """MinIO's own readiness check answers 200 only once objects can be written."""
        try:
            with urllib.request.urlopen(f"{self.endpoint}/minio/health/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError:
            return False
