"""The root key: the one secret outside the store, and the mark of an unfinished creation.

The file that `sseproxy init` makes is JSON, mode 0600:

    {"sseproxy_root_key": 1, "keyring": "<32 hex>", "pending": false, "key": "<base64>"}

`pending` says that the keyring may not be in the store yet; only then may a start create it.
A file or an environment variable may also hold the bare key (64 hex digits, or base64); as it
can't say which keyring it belongs to, the configuration must (`keyring_id`).
"""

from __future__ import annotations

import asyncio
import base64
import fcntl
import json
import os
import re
import stat
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sseproxy.errors import RootKeyError
from sseproxy.format.record import root_key_id
from sseproxy.keys.model import KEY_BYTES, KEYRING_ID_BYTES
from sseproxy.secret import Secret

_FILE_VERSION = 1
_FIELDS = {"sseproxy_root_key", "keyring", "pending", "key"}
_MAX_FILE_BYTES = 4096
_LOCK_NAME = "lock"
_LOCK_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class RootKey:
    """A root key with the id of the keyring it seals.

    pending: the creation of that keyring has begun and is not known to have ended; None for a
    bare key, whose source can't say.
    """

    key: Secret
    keyring_id: bytes
    pending: bool | None = None

    @property
    def id(self) -> int:
        """The id that the keyring record names its root key by (format.md 5)."""
        return root_key_id(self.key)


def root_key_from_text(text: str, *, origin: str, keyring_id: bytes | None) -> RootKey:
    """The root key in a file's or variable's text: JSON, or the bare key in hex or base64.

    origin: where it came from, for messages. keyring_id: what the configuration says, or None.
    Raises RootKeyError, which never quotes the text.
    """
    text = text.strip()
    if text.startswith("{"):
        root = _parse_file(text, origin)
        if keyring_id not in (None, root.keyring_id):
            raise RootKeyError(
                f"{origin} belongs to keyring {root.keyring_id.hex()}, "
                "which is not the configured keyring_id"
            )
        return root
    key = _parse_key(text, origin)
    if keyring_id is None:
        raise RootKeyError(
            f"{origin} holds a bare root key, which does not say whose it is: set keyring_id"
        )
    return RootKey(key, keyring_id)


def root_key_from_env(
    name: str, environ: Mapping[str, str], *, keyring_id: bytes | None
) -> RootKey:
    """The root key in the environment variable `name`; RootKeyError if unset or malformed."""
    if not environ.get(name, "").strip():
        raise RootKeyError(f"the environment variable {name}, which should hold the root key, "
                           "is not set")  # fmt: skip
    origin = f"the environment variable {name}"
    return root_key_from_text(environ[name], origin=origin, keyring_id=keyring_id)


def read_root_key(path: Path, *, keyring_id: bytes | None = None) -> RootKey | None:
    """The root key in a file; None if there is no such file.

    Raises RootKeyError if it can't be read, is malformed, or others than its owner and group
    may read it.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RootKeyError(f"the root key file {path}: {error.strerror}") from None
    # Group read is what Kubernetes gives to a mounted secret.
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise RootKeyError(f"the root key file {path} has mode {mode:04o}: chmod 600 {path}")
    origin = f"the root key file {path}"
    if len(content) > _MAX_FILE_BYTES:
        raise RootKeyError(f"{origin} is too long for one")
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError:
        raise _malformed(origin) from None
    return root_key_from_text(text, origin=origin, keyring_id=keyring_id)


def write_root_key(path: Path, root: RootKey) -> None:
    """Write the root key file, mode 0600; after a crash there is the old file or the new one."""
    document = {
        "sseproxy_root_key": _FILE_VERSION,
        "keyring": root.keyring_id.hex(),
        "pending": root.pending,
        "key": base64.b64encode(root.key.reveal()).decode(),
    }
    try:
        write_private_file(path, json.dumps(document, indent=2).encode() + b"\n")
    except OSError as error:
        raise RootKeyError(f"the root key file {path}: {error.strerror}") from None


def write_private_file(path: Path, content: bytes) -> None:
    """Replace a file atomically and durably, readable by its owner only. Raises OSError."""
    make_private_folder(path.parent)
    temporary = path.with_name(path.name + ".tmp")
    # What a killed process left may be anything, a link included: never write through it.
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def make_private_folder(path: Path) -> None:
    """Make a folder (mode 0700) with its parents, unless it is there."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


@asynccontextmanager
async def state_lock(folder: Path, *, timeout_s: float = 30.0) -> AsyncIterator[None]:
    """Hold the state folder against other processes; RootKeyError after timeout_s seconds.

    The lock goes with the process, so a killed one never leaves it behind.
    """
    descriptor = _open_lock(folder)
    try:
        deadline = time.monotonic() + timeout_s
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise RootKeyError(f"another process is using the state in {folder}")
            await asyncio.sleep(_LOCK_POLL_S)
        yield
    finally:
        os.close(descriptor)


def _open_lock(folder: Path) -> int:
    try:
        make_private_folder(folder)
        return os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RootKeyError(f"the state folder {folder}: {error.strerror}") from None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _parse_file(text: str, origin: str) -> RootKey:
    try:
        document: dict[str, Any] = json.loads(text)
    except ValueError:
        raise _malformed(origin) from None
    version = document.get("sseproxy_root_key")
    if version != _FILE_VERSION:
        raise RootKeyError(f"{origin} is of a version that this sseproxy does not know")
    if set(document) != _FIELDS or not isinstance(document["pending"], bool):
        raise _malformed(origin)
    if not re.fullmatch(f"[0-9a-f]{{{2 * KEYRING_ID_BYTES}}}", str(document["keyring"])):
        raise _malformed(origin)
    keyring_id = bytes.fromhex(document["keyring"])
    return RootKey(_parse_key(str(document["key"]), origin), keyring_id, document["pending"])


def _parse_key(text: str, origin: str) -> Secret:
    if re.fullmatch(f"[0-9a-fA-F]{{{2 * KEY_BYTES}}}", text):
        return Secret(bytes.fromhex(text))
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        raise _malformed(origin) from None
    if len(key) != KEY_BYTES:
        raise _malformed(origin)
    return Secret(key)


def _malformed(origin: str) -> RootKeyError:
    return RootKeyError(
        f"{origin} holds no root key: expected the file that `sseproxy init` makes, or 32 bytes "
        "in hex or base64 (openssl rand -base64 32)"
    )
