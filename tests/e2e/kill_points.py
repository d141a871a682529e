"""`sseproxy init`, killed by SIGKILL at every step that leaves something behind, then run again.

A program of its own: it imports sseproxy once and forks a process for each run.

    python -m tests.e2e.kill_points FOLDER STORE_URL ACCESS_KEY SECRET_KEY

The store must have nobody else's system bucket. It prints a JSON list with an object for each
point: what the killed process was about to do, or had just done, and what the second run left.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import sseproxy.cli
from sseproxy.store.objects import S3Store
from tests.proxies import SYSTEM_BUCKET, s3_client

_send = S3Store.send


class Killer:
    """Counts the steps of this process, and kills it at one of them."""

    def __init__(self, folder: Path, at: int, told: int) -> None:
        self.folder, self.left, self.told = str(folder.resolve()), at, told
        S3Store.send = self.send()
        sys.addaudithook(self.audit)

    def step(self, what: str) -> None:
        self.left -= 1
        if not self.left:
            os.write(self.told, what.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def send(self) -> Callable:
        async def send(store, credential, method, bucket, key, **more):
            # The probe writes objects of other names.
            counts = method == "PUT" and (key is None or key.startswith(("keyring", "settings")))
            if counts:
                self.step(f"before {method} {key}")
            response = await _send(store, credential, method, bucket, key, **more)
            if counts:
                self.step(f"after {method} {key}")
            return response

        return send

    def audit(self, event: str, arguments: tuple) -> None:
        creates = (
            event == "open"
            and isinstance(arguments[0], (str, bytes))
            and (arguments[2] & os.O_CREAT)
        )
        if creates or event == "os.rename":
            path = os.path.abspath(os.fsdecode(arguments[0]))
            if path.startswith(self.folder):
                self.step(f"before {event} {Path(path).name}")


def init(folder: Path, store: str, kill_at: int | None = None) -> tuple[int, str]:
    """Run it in a forked process: its wait status, and the step at which it was killed."""
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        os.chdir(folder)
        with (folder / "init.log").open("ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        if kill_at is not None:
            Killer(folder, kill_at, tell)
        sys.argv = ["sseproxy", "init", "--store", store]
        sseproxy.cli.main()
        os._exit(0)
    os.close(tell)
    with os.fdopen(told) as pipe:
        step = pipe.read()
    return os.waitpid(child, 0)[1], step


def left(folder: Path, s3) -> dict[str, str]:
    """Digests of what makes the deployment: files, and records in the system bucket."""
    names = ("clients.txt", "sseproxy.yaml", "root.key")
    found = {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}
    for item in s3.list_objects_v2(Bucket=SYSTEM_BUCKET).get("Contents", ()):
        body = s3.get_object(Bucket=SYSTEM_BUCKET, Key=item["Key"])["Body"].read()
        found[item["Key"]] = body
    return {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}


def wipe(s3) -> None:
    """Remove the system bucket, if there is one."""
    if SYSTEM_BUCKET in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        for item in s3.list_objects_v2(Bucket=SYSTEM_BUCKET).get("Contents", ()):
            s3.delete_object(Bucket=SYSTEM_BUCKET, Key=item["Key"])
        s3.delete_bucket(Bucket=SYSTEM_BUCKET)


def main(base: Path, store: str, access_key: str, secret_key: str) -> list[dict]:
    """Every point in turn, each from an empty folder and an empty system bucket."""
    s3 = s3_client(store, access_key, secret_key)
    points = []
    while True:
        folder = base / str(len(points))
        folder.mkdir()
        status, step = init(folder, store, kill_at=len(points) + 1)
        if not step:
            return points
        resumed, _ = init(folder, store)
        first = left(folder, s3)
        again, _ = init(folder, store)
        root_key = json.loads((folder / "root.key").read_text())
        points.append(
            {
                "step": step,
                "killed": os.WTERMSIG(status) == signal.SIGKILL,
                "statuses": [resumed, again],
                "log": (folder / "init.log").read_text(),
                "records": sorted(first),
                "keyring": root_key["keyring"],
                "pending": root_key["pending"],
                "changed": first != left(folder, s3),
            }
        )
        wipe(s3)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), *sys.argv[2:])))
