"""The creation protocol of keys.md: its crash table, its races, and what it refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sseproxy.errors import (
    IntegrityError,
    KeyringConflict,
    KeyringMissing,
    RootKeyError,
    StoreUnavailable,
)
from sseproxy.keys import create, rootkey
from sseproxy.keys.create import RootKeySource, create_or_resume, suggested_store_policies
from sseproxy.keys.keyring import load_keyring, load_settings
from sseproxy.keys.model import KEYRING_NAME, new_key, new_keyring_id, settings_name
from sseproxy.keys.rootkey import RootKey, read_root_key, write_root_key
from tests.keys.records import Killed, MemoryRecords

BARE = "ab" * 32
ID = bytes(range(16))
ENV = {"ROOT": BARE}
FROM_ENV = RootKeySource(env="ROOT", keyring_id=ID)


@pytest.fixture
def store() -> MemoryRecords:
    return MemoryRecords()


@pytest.fixture
def source(tmp_path: Path) -> RootKeySource:
    return RootKeySource(file=tmp_path / "state" / "root.key")


async def assert_complete(store: MemoryRecords, source: RootKeySource) -> None:
    """One keyring, its settings of epoch 1, and no mark."""
    root = read_root_key(source.file or Path())
    assert root is not None
    assert root.pending is False
    keyring = await load_keyring(store, root)
    assert keyring.id == root.keyring_id
    assert (await load_settings(store, keyring)).epoch == 1
    assert set(store.records) == {KEYRING_NAME, settings_name(keyring.id)}


async def test_a_first_start_makes_root_key_settings_and_keyring(store, source):
    root, keyring = await create_or_resume(store, source, {})
    await assert_complete(store, source)
    assert source.file.stat().st_mode & 0o777 == 0o600
    assert root.pending is False
    assert keyring.epoch == keyring.active_master == keyring.active_attribute == 1
    assert root.key.reveal() not in b"".join(store.records.values())
    assert [name for _, name in store.operations] == [settings_name(keyring.id), KEYRING_NAME]


async def test_the_settings_and_the_mark_are_there_before_the_keyring(store, source):
    async def before(operation: str, name: str) -> None:
        if (operation, name) == ("put", KEYRING_NAME):
            root = read_root_key(source.file)
            assert root is not None
            assert root.pending is True
            assert settings_name(root.keyring_id) in store.records

    store.before = before
    await create_or_resume(store, source, {})


async def test_a_second_start_opens_the_same_keyring_and_writes_nothing(store, source):
    _, first = await create_or_resume(store, source, {})
    store.operations.clear()
    _, second = await create_or_resume(store, source, {})
    assert second == first
    assert not store.operations


# The crash table. Each row kills the first start somewhere; the next ones must end complete.


def kill_at(store: MemoryRecords, when: str, operation: str, nth: int) -> None:
    seen = 0

    async def hook(name: str, _: str) -> None:
        nonlocal seen
        seen += name == operation
        if name == operation and seen == nth:
            raise Killed

    setattr(store, when, hook)


@pytest.mark.parametrize("create_again", [True, False], ids=["init", "serve with a YAML"])
@pytest.mark.parametrize(
    ("when", "operation", "nth"),
    [
        ("before", "put", 1),
        ("after", "put", 1),
        ("before", "put", 2),
        ("after", "put", 2),
        ("after", "get", 2),  # the keyring, looked for after the mark is set
        ("after", "get", 3),  # the settings that an earlier start left
        ("after", "get", 4),  # the settings, settled
    ],
)
async def test_killed_at_the_store(store, source, when, operation, nth, create_again):
    kill_at(store, when, operation, nth)
    with pytest.raises(Killed):
        await create_or_resume(store, source, {})
    store.before = store.after = None
    marked = read_root_key(source.file)
    assert marked is not None
    assert marked.pending is True
    root, _ = await create_or_resume(store, source, {}, create=create_again)
    assert root.key == marked.key
    assert root.keyring_id == marked.keyring_id
    await assert_complete(store, source)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("nth", [1, 2], ids=["mark set", "mark cleared"])
async def test_killed_at_the_root_key_file(store, source, monkeypatch, moment, nth):
    real, seen = Path.replace, 0

    def dying(path: Path, target: Path) -> Path:
        nonlocal seen
        seen += 1
        if seen == nth and moment == "before":
            raise Killed
        result = real(path, target)
        if seen == nth:
            raise Killed
        return result

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dying)
        with pytest.raises(Killed):
            await create_or_resume(store, source, {})
    await create_or_resume(store, source, {})
    await assert_complete(store, source)


@pytest.mark.parametrize("nth", [1, 2])
async def test_killed_from_the_environment(store, nth):
    kill_at(store, "after", "put", nth)
    with pytest.raises(Killed):
        await create_or_resume(store, FROM_ENV, ENV)
    store.before = store.after = None
    root, keyring = await create_or_resume(store, FROM_ENV, ENV)
    assert keyring == await load_keyring(store, root)
    assert (await load_settings(store, keyring)).epoch == 1


async def test_a_store_that_fails_is_tried_again_at_the_next_start(store, source):
    async def down(_: str, __: str) -> None:
        raise StoreUnavailable("down")

    store.before = down
    with pytest.raises(StoreUnavailable):
        await create_or_resume(store, source, {})
    store.before = None
    await create_or_resume(store, source, {})
    await assert_complete(store, source)


# Races.


async def yield_often(_: str, __: str) -> None:
    await asyncio.sleep(0)


async def test_concurrent_inits_of_one_state_make_one_keyring(store, source):
    store.before = yield_often
    results = await asyncio.gather(*(create_or_resume(store, source, {}) for _ in range(4)))
    assert len({keyring.name_key.reveal() for _, keyring in results}) == 1
    await assert_complete(store, source)


async def test_concurrent_inits_from_the_environment_make_one_keyring(store):
    store.before = yield_often
    results = await asyncio.gather(*(create_or_resume(store, FROM_ENV, ENV) for _ in range(4)))
    assert len({keyring.name_key.reveal() for _, keyring in results}) == 1
    assert (await load_settings(store, results[0][1])).epoch == 1


@pytest.mark.parametrize("moment", [("get", 1), ("get", 2), ("put", 1), ("put", 2)])
async def test_another_init_wins_at_any_moment_and_its_keyring_stays(store, moment):
    operation, nth = moment
    seen = 0
    winner = None

    async def race(name: str, _: str) -> None:
        nonlocal seen, winner
        seen += name == operation
        if name == operation and seen == nth:
            store.before = None
            _, winner = await create_or_resume(store, FROM_ENV, ENV)

    store.before = race
    _, keyring = await create_or_resume(store, FROM_ENV, ENV)
    assert winner is not None
    assert keyring == winner
    assert (await load_settings(store, keyring)).epoch == 1


async def test_two_empty_states_on_one_store_make_one_keyring(store, tmp_path):
    first = RootKeySource(file=tmp_path / "a" / "root.key")
    second = RootKeySource(file=tmp_path / "b" / "root.key")

    async def race(operation: str, name: str) -> None:
        if (operation, name) == ("put", KEYRING_NAME):
            store.before = None
            await create_or_resume(store, second, {})

    store.before = race
    with pytest.raises(KeyringConflict, match="another deployment"):
        await create_or_resume(store, first, {})
    # And again: the mark of the loser never lets it write over the winner's.
    with pytest.raises(KeyringConflict):
        await create_or_resume(store, first, {})
    root = read_root_key(second.file)
    assert root is not None
    await load_keyring(store, root)


async def test_a_state_in_use_by_another_process_is_waited_for_and_then_refused(tmp_path):
    async with rootkey.state_lock(tmp_path):
        with pytest.raises(RootKeyError, match="another process"):
            async with rootkey.state_lock(tmp_path, timeout_s=0.0):
                pass
        waiting = asyncio.create_task(enter(tmp_path))
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


async def enter(folder: Path) -> None:
    async with rootkey.state_lock(folder):
        pass


async def test_settings_that_keep_changing_end_the_creation(store, source):
    async def spoil(operation: str, name: str) -> None:
        if name != KEYRING_NAME:
            store.records[name] = b"\x01spoilt"

    store.after = spoil
    with pytest.raises(KeyringConflict, match="keeps changing"):
        await create_or_resume(store, source, {})


async def test_settings_lost_before_the_mark_is_cleared_are_written_again(store, source):
    root, keyring = await create_or_resume(store, source, {})
    write_root_key(source.file, replace(root, pending=True))
    await store.delete(settings_name(keyring.id))
    await create_or_resume(store, source, {})
    await assert_complete(store, source)


# Refusals: never a second keyring over the first.


async def refused(
    store: MemoryRecords, source: RootKeySource, error: type[Exception], match: str
) -> None:
    before = dict(store.records)
    for create_too in (True, False):
        with pytest.raises(error, match=match):
            await create_or_resume(store, source, ENV, create=create_too)
    assert store.records == before


async def test_a_lost_root_key_is_refused(store, source):
    await create_or_resume(store, source, {})
    source.file.unlink()
    with pytest.raises(RootKeyError, match="No second keyring"):
        await create_or_resume(store, source, {})
    assert not source.file.exists()
    await refused(store, source, RootKeyError, r"root\.key")


async def test_a_changed_root_key_is_refused(store, source):
    root, _ = await create_or_resume(store, source, {})
    write_root_key(source.file, replace(root, key=new_key()))
    await refused(store, source, RootKeyError, "sealed with root key")


async def test_a_root_key_of_another_keyring_is_refused(store, source):
    root, _ = await create_or_resume(store, source, {})
    write_root_key(source.file, replace(root, keyring_id=new_keyring_id()))
    await refused(store, source, KeyringConflict, "belongs to")


async def test_a_keyring_gone_from_the_store_is_refused(store, source):
    await create_or_resume(store, source, {})
    await store.delete(KEYRING_NAME)
    await refused(store, source, KeyringMissing, "nothing is created")


async def test_another_root_key_in_the_environment_is_refused(store):
    await create_or_resume(store, FROM_ENV, ENV)
    before = dict(store.records)
    with pytest.raises(RootKeyError, match="sealed with root key"):
        await create_or_resume(store, FROM_ENV, {"ROOT": "cd" * 32})
    assert store.records == before


async def test_a_tampered_keyring_is_refused(store, source):
    await create_or_resume(store, source, {})
    data = store.records[KEYRING_NAME]
    store.records[KEYRING_NAME] = data[:-1] + bytes([data[-1] ^ 1])
    await refused(store, source, IntegrityError, "keyring")


async def test_a_start_with_a_yaml_creates_nothing(store, source):
    with pytest.raises(RootKeyError, match="sseproxy init"):
        await create_or_resume(store, source, {}, create=False)
    with pytest.raises(KeyringMissing):
        await create_or_resume(store, FROM_ENV, ENV, create=False)
    assert not store.records
    assert not source.file.exists()


async def test_a_store_that_hides_the_keyring_it_claims_is_refused(store, source):
    store.records[KEYRING_NAME] = b"hidden"
    real = store.get

    async def hiding(name: str):
        return None if name == KEYRING_NAME else await real(name)

    store.get = hiding
    with pytest.raises(KeyringMissing, match="does not give it"):
        await create_or_resume(store, source, {})


async def test_a_bare_root_key_file_needs_a_keyring_id_and_then_creates_once(store, tmp_path):
    path = tmp_path / "bare"
    path.write_text(BARE)
    path.chmod(0o600)
    with pytest.raises(RootKeyError, match="keyring_id"):
        await create_or_resume(store, RootKeySource(file=path), {})
    source = RootKeySource(file=path, keyring_id=ID)
    _, first = await create_or_resume(store, source, {})
    assert first.id == ID
    _, second = await create_or_resume(store, source, {})
    assert second == first
    assert path.read_text() == BARE


async def test_a_configured_keyring_id_is_used_by_the_creation(store, tmp_path):
    source = RootKeySource(file=tmp_path / "root.key", keyring_id=ID)
    _, keyring = await create_or_resume(store, source, {})
    assert keyring.id == ID


async def test_a_pending_root_key_in_the_environment_is_refused(store, tmp_path):
    write_root_key(tmp_path / "k", RootKey(new_key(), ID, pending=True))
    environ = {"ROOT": (tmp_path / "k").read_text()}
    with pytest.raises(RootKeyError, match="pending"):
        await create_or_resume(store, RootKeySource(env="ROOT"), environ)


@pytest.mark.parametrize("kwargs", [{}, {"file": Path("a"), "env": "B"}])
def test_a_source_is_a_file_or_a_variable(kwargs):
    with pytest.raises(ValueError, match="either"):
        RootKeySource(**kwargs)


def test_the_creation_time_is_the_clocks():
    now: Callable = create.utc_now
    assert now().utcoffset().total_seconds() == 0


def test_the_suggested_policies_name_the_system_bucket():
    text = suggested_store_policies("the-bucket")
    documents = [json.loads("{" + part.partition("#")[0]) for part in text.split("\n{")[1:]]
    deny, service = documents
    both = ["arn:aws:s3:::the-bucket", "arn:aws:s3:::the-bucket/*"]
    assert deny["Statement"] == [{"Effect": "Deny", "Action": ["s3:*"], "Resource": both}]
    assert service["Statement"][0]["Resource"] == both
    assert service["Statement"][1]["Action"] == ["s3:GetObject", "s3:GetObjectVersion"]
    assert "lifecycle" in text
