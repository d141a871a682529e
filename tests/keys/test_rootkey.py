"""The root key file: its format, its permissions, and what is refused without quoting it."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.errors import RootKeyError
from sseproxy.format.record import root_key_id
from sseproxy.keys.rootkey import (
    RootKey,
    read_root_key,
    root_key_from_env,
    root_key_from_text,
    state_lock,
    write_private_file,
    write_root_key,
)
from sseproxy.secret import Secret

KEY = bytes(range(32))
ID = bytes(range(16))
ROOT = RootKey(Secret(KEY), ID, pending=True)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=16, max_size=16), st.booleans())
def test_what_is_written_is_read(tmp_path_factory, key, keyring_id, pending):
    path = tmp_path_factory.getbasetemp() / "hypothesis" / "root.key"
    root = RootKey(Secret(key), keyring_id, pending)
    write_root_key(path, root)
    assert read_root_key(path) == root


def test_file_and_folder_are_the_owners_alone(tmp_path):
    path = tmp_path / "state" / "root.key"
    write_root_key(path, ROOT)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert os.listdir(path.parent) == ["root.key"]


def test_a_link_left_in_place_of_the_temporary_file_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / "root.key.tmp").symlink_to(victim)
    write_root_key(tmp_path / "root.key", ROOT)
    assert victim.read_text() == "untouched"


def test_file_and_folder_are_synced_in_that_order(tmp_path, monkeypatch):
    events = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(descriptor: int) -> None:
        events.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
        real_sync(descriptor)

    def rename(path: Path, target: Path) -> Path:
        events.append("rename")
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", rename)
    write_private_file(tmp_path / "f", b"content")
    assert events == ["file", "rename", "folder"]


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o666, 0o620])
def test_a_file_that_others_can_read_or_change_is_refused(tmp_path, mode):
    path = tmp_path / "root.key"
    write_root_key(path, ROOT)
    path.chmod(mode)
    with pytest.raises(RootKeyError, match="chmod 600"):
        read_root_key(path)


def test_no_file_is_none_and_an_unreadable_one_an_error(tmp_path):
    assert read_root_key(tmp_path / "none") is None
    with pytest.raises(RootKeyError, match="directory"):
        read_root_key(tmp_path)


def test_a_folder_that_cant_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RootKeyError, match="exists"):
        write_root_key(tmp_path / "file" / "root.key", ROOT)


async def test_a_lock_in_a_folder_that_cant_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RootKeyError, match="state folder"):
        async with state_lock(tmp_path / "file"):
            pass


@pytest.mark.parametrize("text", [KEY.hex(), KEY.hex().upper(), base64.b64encode(KEY).decode()])
def test_a_bare_key_is_hex_or_base64_and_needs_an_id(text):
    root = root_key_from_text(f" {text}\n", origin="x", keyring_id=ID)
    assert root == RootKey(Secret(KEY), ID, pending=None)
    assert root.id == root_key_id(Secret(KEY))
    with pytest.raises(RootKeyError, match="keyring_id"):
        root_key_from_text(text, origin="x", keyring_id=None)


def document(**changes: object) -> str:
    fields = {
        "sseproxy_root_key": 1,
        "keyring": ID.hex(),
        "pending": False,
        "key": base64.b64encode(KEY).decode(),
    }
    return json.dumps({name: value for name, value in (fields | changes).items() if value != ""})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret-but-short",
        KEY.hex()[:-2],
        base64.b64encode(KEY[:-1]).decode(),
        "{not json",
        document(extra=1),
        document(pending=""),
        document(pending="no"),
        document(keyring="ab"),
        document(keyring=7),
        document(key="c2hvcnQ="),
        document(key=None),
        document(sseproxy_root_key=2),
    ],
)
def test_malformed_root_keys_are_refused_without_being_quoted(text):
    with pytest.raises(RootKeyError) as caught:
        root_key_from_text(text, origin="the file f", keyring_id=ID)
    assert "the file f" in str(caught.value)
    for quoted in (KEY.hex()[:10], "secret-but", base64.b64encode(KEY).decode()[:10]):
        assert quoted not in str(caught.value)


@given(st.text())
def test_any_text_is_a_root_key_or_a_root_key_error(text):
    try:
        root = root_key_from_text(text, origin="x", keyring_id=ID)
    except RootKeyError:
        return
    assert len(root.key) == 32


def test_a_file_of_another_keyring_than_configured_is_refused():
    with pytest.raises(RootKeyError, match="not the configured"):
        root_key_from_text(document(), origin="x", keyring_id=bytes(16))


def test_the_environment_holds_the_bare_key_or_the_files_text():
    environ = {"A": KEY.hex(), "B": document(), "EMPTY": " "}
    assert root_key_from_env("A", environ, keyring_id=ID).key == Secret(KEY)
    assert root_key_from_env("B", environ, keyring_id=None).pending is False
    for name in ("EMPTY", "UNSET"):
        with pytest.raises(RootKeyError, match=name):
            root_key_from_env(name, environ, keyring_id=ID)


@pytest.mark.parametrize("content", [b"\xff" * 32, b"a" * 5000])
def test_a_file_of_binary_or_of_great_length_is_refused(tmp_path, content):
    path = tmp_path / "root.key"
    write_private_file(path, content)
    with pytest.raises(RootKeyError):
        read_root_key(path, keyring_id=ID)


def test_no_repr_shows_the_key():
    assert KEY.hex() not in repr(ROOT)
    assert "hidden" in repr(ROOT)
