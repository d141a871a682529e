"""Operations on objects, killed by SIGKILL at each of their steps: the proxy, or the store.

A program of its own: it imports sseproxy once and forks a proxy for each run.

    python -m tests.e2e.kill_steps STORE VICTIM KINDS CASE...

STORE: seaweedfs or minio, started here. VICTIM: proxy or store. KINDS: of the steps, joined by
commas: around a request that changes something at the store (before, after), when all of it has
been sent and nothing of the answer was heard (sent), in the middle and before the end of a
streamed body (amid, end).
CASE: see kill_cases. It prints a JSON object: a list of points for each case, and whether the
store's disk holds plaintext of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import random
import signal
import socket
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from sseproxy import app
from sseproxy.config.flags import ACCESS_KEY_ENV, SECRET_KEY_ENV, Flags, config_from_flags
from sseproxy.demo_store import READY_TIMEOUT_S
from sseproxy.metrics import Metrics
from sseproxy.proxy import unsized
from sseproxy.store import client as store_client
from sseproxy.store.objects import S3Store
from sseproxy.store.probe import probe
from tests.contract.client import Endpoint, Reply
from tests.e2e.kill_cases import CASES, PART_BYTES, STREAMED_BYTES, Case
from tests.e2e.kill_client import MARK, S3, done
from tests.proxies import SYSTEM_BUCKET
from tests.servers import MinIO, Process, SeaweedFS, StartFailed, wait_until

BUCKET = "killed"
_WRITES = ("PUT", "POST", "DELETE")
_CONTROL = random.Random("control").randbytes(24)
_send, _next_head = S3Store.send, store_client.next_head


class Killer:
    """Counts the steps of this process, and kills at one of them."""

    def __init__(self, kinds: Collection[str], at: int, tell: int, kill: Callable[[], None]):
        self.kinds, self.left, self.tell, self.kill = kinds, at, tell, kill
        self.sending: str | None = None
        S3Store.send = self.send()
        store_client.next_head = self.next_head

    def step(self, kind: str, what: str) -> None:
        if kind not in self.kinds:
            return
        self.left -= 1
        if not self.left:
            os.write(self.tell, f"{kind} {what}".encode())
            self.kill()

    def send(self) -> Callable:
        async def send(store, credential, method, bucket, key, **more):
            what = _label(method, bucket, key, more.get("query", ()))
            if what is None:
                return await _send(store, credential, method, bucket, key, **more)
            if method in _WRITES:
                self.step("before", what)
            if isinstance(more.get("body"), AsyncIterator):
                more["body"] = self.body(more["body"], more["content_length"], what)
            self.sending = what if method in _WRITES else None
            response = await _send(store, credential, method, bucket, key, **more)
            if method in _WRITES:
                self.step("after", what)
            return response

        return send

    def next_head(self, connection):
        what, self.sending = self.sending, None
        if what is not None:
            self.step("sent", what)
        return _next_head(connection)

    async def body(self, pieces, length, what):
        sent, in_the_middle = 0, False
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                if sent >= length // 2 and not in_the_middle:
                    in_the_middle = True
                    self.step("amid", what)
                sent += len(piece)
                if sent >= length and piece:
                    self.step("end", what)
                yield piece


def _label(method: str, bucket: str, key: str | None, query) -> str | None:
    """What a request is about; None for the background's."""
    if bucket == SYSTEM_BUCKET:
        if key is not None and key.startswith(("keyring", "settings")):
            return None
        if key is None:
            place = "records"
        elif key.startswith("m/"):
            place = "manifest"
        else:
            place = "upload record" if key.endswith("/upload") else "part record"
    else:
        place = "object"
    names = [name for name, _ in query if name in ("uploads", "uploadId", "partNumber", "delete")]
    return f"{method} {place}" + (f"?{'&'.join(sorted(names))}" if names else "")


@dataclass
class Proxy:
    """A forked proxy. told: it writes its endpoint there and, later, the step of the kill."""

    pid: int
    told: int
    s3: S3

    def step(self) -> str:
        """At which it has killed; "" if it did not get that far."""
        os.set_blocking(self.told, False)
        try:
            return os.read(self.told, 4096).decode()
        except BlockingIOError:
            return ""

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.told)


class World:
    """A store, and proxies over it that share a state folder."""

    def __init__(self, store: Process, victim: str, kinds: Collection[str]) -> None:
        self.store, self.victim, self.kinds = store, victim, kinds
        environ = {ACCESS_KEY_ENV: store.access_key, SECRET_KEY_ENV: store.secret_key}
        flags = Flags(
            store=store.endpoint,
            state=store.folder / "state",
            listen="127.0.0.1:0",
            admin_listen="127.0.0.1:0",
            default_encryption="sse-cos",
            allow_insecure_ssec=True,
        )
        self.environ, self.config = environ, config_from_flags(flags, environ)
        asyncio.run(self._measure())
        unsized.PART_BYTES = PART_BYTES  # smaller than it is in earnest: sooner in parts
        self.healthy = self.start()
        done(self.healthy.s3.ask("PUT", ""))

    async def _measure(self) -> None:
        """The store's quirks, measured once for all proxies."""
        async with app.open_store(self.config, Metrics()) as store:
            await app.system_bucket(self.config, store).ensure_bucket()
            credential = app.service_credential(self.config)
            quirks = await probe(store, credential, self.config.system_bucket)

        async def known(*_: object) -> object:
            return quirks

        app.probe = known  # type: ignore[assignment]  # of forked processes only

    def start(self, kill_at: int | None = None) -> Proxy:
        told, tell = os.pipe()
        assert self.store.pid is not None, "it was started"
        self.store_group = os.getpgid(self.store.pid)  # a child can't ask: the store is not its own
        child = os.fork()
        if not child:
            try:
                with (self.store.folder / "proxy.log").open("ab") as log:
                    os.dup2(log.fileno(), 1)
                    os.dup2(log.fileno(), 2)
                os.close(told)
                asyncio.run(self._serve(tell, kill_at))
            except BaseException:
                traceback.print_exc()
            os._exit(1)
        os.close(tell)
        url = os.read(told, 4096).decode()
        assert url, (self.store.folder / "proxy.log").read_text()[-3000:]
        return Proxy(child, told, S3(url, self.store.access_key, self.store.secret_key, BUCKET))

    async def _serve(self, tell: int, kill_at: int | None) -> None:
        async with app.serve(self.config, self.environ, create=True) as running:
            if kill_at is not None:
                Killer(self.kinds, kill_at, tell, self.kill)
            os.write(tell, running.endpoint.encode())
            await asyncio.Event().wait()

    def kill(self) -> None:
        """In the forked process: kill it, or the store, and be sure of that."""
        if self.victim == "proxy":
            os.kill(os.getpid(), signal.SIGKILL)
        os.killpg(self.store_group, signal.SIGKILL)
        place = urlsplit(self.store.endpoint)
        while True:
            with socket.socket() as knock:
                if knock.connect_ex((place.hostname, place.port)):
                    return

    def after_the_kill(self, victim: Proxy) -> Proxy:
        """The proxy to look through: a fresh one, or the one that saw its store die."""
        if self.victim == "store":
            self.store.stop(keep=True)
            start(self.store)
            return victim
        victim.end()
        return self.start()


def start(store: Process) -> None:
    """Start it, and wait until it answers for its buckets: MinIO says earlier that it is ready."""
    store.start()
    straight = Endpoint(store.endpoint, store.access_key, store.secret_key)
    wait_until(
        lambda: straight.send("GET", "/").status == 200,
        READY_TIMEOUT_S,
        lambda: StartFailed("the store does not list its buckets"),
    )


def attempt(case: Case, s3: S3) -> Reply | None:
    """The operation under test; None if its answer did not come, or not whole."""
    try:
        return case.operate(s3)
    except (OSError, http.client.HTTPException):
        return None


def points(world: World, kind: type[Case]) -> list[dict]:
    """Every step in turn, each on a key of its own."""
    found: list[dict] = []
    while True:
        number = len(found) + 1
        case = kind(f"{kind.__name__}-{number}")
        case.prepare(world.healthy.s3)
        proxy = world.start(kill_at=number)
        reply = attempt(case, proxy.s3)
        step = proxy.step()
        if step:
            proxy = world.after_the_kill(proxy)
        acknowledged = reply is not None and reply.status in (200, 204)
        answered = reply.status if reply is not None else None
        s3 = proxy.s3 if step else world.healthy.s3
        point = {"step": step, "answered": answered, "problem": ""}
        try:
            assert step or acknowledged, reply
            case.check(s3, acknowledged=acknowledged)
            if step:
                case.go_on(s3, give_up=number % 2 == 0)
        except Exception:
            point["problem"] = traceback.format_exc()
        proxy.end()
        found.append(point)
        if not step:
            return found


def disk_holds(store: Process, text: bytes) -> bool:
    """Whether a file of the store's has it."""
    files = (path for path in store.data_dir.rglob("*") if path.is_file())
    return any(text in path.read_bytes() for path in files)


def report(store: Process, victim: str, kinds: Collection[str], cases: Collection[str]) -> dict:
    """What the program prints; the store runs."""
    world = World(store, victim, kinds)
    straight = Endpoint(store.endpoint, store.access_key, store.secret_key)
    control = _CONTROL + os.urandom(STREAMED_BYTES)
    done(straight.send("PUT", f"/{BUCKET}/control", body=control))
    found = {name: points(world, CASES[name]) for name in cases}
    world.healthy.end()
    return {
        "points": found,
        "control": disk_holds(store, _CONTROL),
        "plaintext": disk_holds(store, MARK),
        "log": (store.folder / "proxy.log").read_text()[-20_000:],
    }


def main(name: str, victim: str, kinds: str, *cases: str) -> dict:
    store: Process = {"seaweedfs": SeaweedFS, "minio": MinIO}[name]()
    try:
        start(store)
        return report(store, victim, kinds.split(","), cases)
    finally:
        store.stop()


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
