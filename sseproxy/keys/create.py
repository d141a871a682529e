"""Creating the keyring, once; and resuming a creation that was killed at any step (keys.md).

    1  root key file, with the keyring's id, marked pending
    2  settings-<id>, epoch 1
    3  keyring, only if absent
    4  settings-<id> open under the keyring that won; else written again
    5  mark cleared

A start that finds the mark goes through 2 to 5 again. Without the mark nothing is ever created:
a keyring that is absent or another one is refused. A root key that is no file (environment),
or a bare key in a file, has no mark: `sseproxy init` begins again while there is no keyring.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sseproxy.errors import (
    FormatError,
    KeyringConflict,
    KeyringMissing,
    KeyUnavailable,
    RecordConflict,
    RootKeyError,
)
from sseproxy.keys.keyring import load_keyring
from sseproxy.keys.keyring_record import open_keyring, seal_keyring
from sseproxy.keys.model import (
    KEYRING_NAME,
    Keyring,
    RecordStore,
    StoredRecord,
    new_key,
    new_keyring,
    new_keyring_id,
    settings_name,
)
from sseproxy.keys.rootkey import (
    RootKey,
    read_root_key,
    root_key_from_env,
    state_lock,
    write_root_key,
)
from sseproxy.keys.settings import first_settings, open_settings, seal_settings

_SETTLE_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class RootKeySource:
    """Where the root key is: a file or an environment variable, exactly one of them.

    keyring_id: 16 bytes, required unless the file is the one that `sseproxy init` makes.
    """

    file: Path | None = None
    env: str | None = None
    keyring_id: bytes | None = None

    def __post_init__(self) -> None:
        if (self.file is None) == (self.env is None):
            raise ValueError("the root key comes from either a file or the environment")


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


async def create_or_resume(
    store: RecordStore,
    source: RootKeySource,
    environ: Mapping[str, str],
    *,
    create: bool = True,
    now: Callable[[], datetime] = utc_now,
) -> tuple[RootKey, Keyring]:
    """The root key and its keyring: opened, resumed if its creation was killed, or created.

    create: False for a start with a YAML, which opens and resumes only; True for `sseproxy init`
    and for a start with flags only. Raises RootKeyError (missing, malformed or another root key),
    KeyringMissing, KeyringConflict (the store has another keyring), IntegrityError.
    """
    root = _read(source, environ)
    if root is not None and not root.pending:
        # The normal start: no lock, as the folder may be mounted read-only.
        return root, await _open_or_create(store, root, now, create=create)
    assert source.file is not None
    if root is None and not create:
        raise RootKeyError(
            f"the root key file {source.file} is not there: restore it, "
            "or run `sseproxy init` if this deployment is new"
        )
    async with state_lock(source.file.parent):
        return await _create_with_mark(store, source, now)


def _read(source: RootKeySource, environ: Mapping[str, str]) -> RootKey | None:
    if source.file is not None:
        return read_root_key(source.file, keyring_id=source.keyring_id)
    root = root_key_from_env(str(source.env), environ, keyring_id=source.keyring_id)
    if root.pending:
        raise RootKeyError(
            f"the root key in {source.env} is marked pending: run `sseproxy init` with its file"
        )
    return root


async def _create_with_mark(
    store: RecordStore, source: RootKeySource, now: Callable[[], datetime]
) -> tuple[RootKey, Keyring]:
    """Steps 1 to 5, under the lock of the state folder."""
    assert source.file is not None
    # Read again: another process may have finished while this one waited for the lock.
    root = read_root_key(source.file, keyring_id=source.keyring_id)
    if root is None:
        root = await _begin(store, source.file, source.keyring_id)
    keyring = await _open_or_create(store, root, now, create=True)
    if root.pending:
        root = replace(root, pending=False)
        write_root_key(source.file, root)
    return root, keyring


async def _begin(store: RecordStore, path: Path, keyring_id: bytes | None) -> RootKey:
    """Step 1, unless the store has a keyring, whose root key is then lost or elsewhere."""
    if await store.get(KEYRING_NAME) is not None:
        raise RootKeyError(
            f"the store has a keyring, but its root key is not in {path}: restore that file, or "
            "use another system bucket. No second keyring is made"
        )
    root = RootKey(new_key(), keyring_id or new_keyring_id(), pending=True)
    write_root_key(path, root)
    return root


async def _open_or_create(
    store: RecordStore, root: RootKey, now: Callable[[], datetime], *, create: bool
) -> Keyring:
    """Steps 2 to 4, or what is left of them."""
    may_create = create if root.pending is None else root.pending
    if not may_create:
        return await load_keyring(store, root)
    record = await store.get(KEYRING_NAME)
    if record is None:
        keyring = await _create(store, root, now())
    else:
        keyring = _open_own(record, root)
        if not root.pending:
            return keyring
    await _settle_settings(store, keyring)
    return keyring


async def _create(store: RecordStore, root: RootKey, created: datetime) -> Keyring:
    """Steps 2 and 3. With a race, the keyring of the winner."""
    keyring = new_keyring(root.keyring_id, created)
    await _write_first_settings(store, keyring)
    try:
        await store.put(KEYRING_NAME, seal_keyring(keyring, root), if_absent=True)
    except RecordConflict:
        record = await store.get(KEYRING_NAME)
        if record is None:
            raise KeyringMissing(
                "the store says that it has a keyring, and does not give it"
            ) from None
        return _open_own(record, root)
    return keyring


def _open_own(record: StoredRecord, root: RootKey) -> Keyring:
    """The keyring found during a creation; KeyringConflict if somebody else made it."""
    try:
        return open_keyring(record.data, root)
    except RootKeyError as error:
        if not root.pending:
            raise
        raise KeyringConflict(
            "the store has a keyring that another deployment made while this one was starting: "
            "restore its root key, or use another system bucket. The root key here, still marked "
            "pending, has sealed nothing and may be removed"
        ) from error


async def _settle_settings(store: RecordStore, keyring: Keyring) -> None:
    """Step 4: two creations may have raced, and the settings be of the one whose keyring lost."""
    for _ in range(_SETTLE_ATTEMPTS):
        record = await store.get(settings_name(keyring.id))
        if record is not None:
            try:
                open_settings(record.data, keyring)
            except (FormatError, KeyUnavailable):
                pass
            else:
                return
        await _write_first_settings(store, keyring)
    raise KeyringConflict("the settings index keeps changing while the keyring is created")


async def _write_first_settings(store: RecordStore, keyring: Keyring) -> None:
    """Step 2: over what a killed creation left, never over what changes meanwhile."""
    name = settings_name(keyring.id)
    data = seal_settings(first_settings(keyring.id), keyring)
    left = await store.get(name)
    # Losing is no failure here: step 4 looks at who won.
    with contextlib.suppress(RecordConflict):
        await store.put(name, data, if_match=left.etag if left else None, if_absent=left is None)


def suggested_store_policies(system_bucket: str) -> str:
    """What to set at the store so that only the service account reaches the system bucket.

    Text with two IAM policies, for the operator (keys.md, semantics.md "Who may read").
    """
    system = [f"arn:aws:s3:::{system_bucket}", f"arn:aws:s3:::{system_bucket}/*"]
    deny = _policy({"Effect": "Deny", "Action": ["s3:*"], "Resource": system})
    service = _policy(
        {"Effect": "Allow", "Action": ["s3:*"], "Resource": system},
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:GetObjectVersion"],
            "Resource": ["arn:aws:s3:::*"],
        },
    )
    return (
        f"# Attach to every store key that clients are mapped to: no way to {system_bucket}.\n"
        f"{deny}\n"
        f"# The service account: {system_bucket}, and reading objects for listings.\n"
        f"{service}\n"
        f"# Set no lifecycle rule on {system_bucket}: what it expires can't be recovered.\n"
    )


def _policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)
