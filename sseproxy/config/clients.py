"""The clients: which access keys exist, and which store key each is mapped to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import Field, ValidationInfo, model_validator

from sseproxy.config.fields import (
    AccessKey,
    SecretValue,
    parse_access_key,
    parse_path,
    read_text,
)
from sseproxy.config.section import Section
from sseproxy.secret import Secret


class Credential(Section):
    """One client key, and the store key that its requests are signed again with.

    Without a store key the client's own pair is used at the store (the easy mode).
    """

    access_key: AccessKey = Field(description="the client's access key")
    secret: SecretValue = Field(description="the client's secret key")
    store_access_key: AccessKey | None = Field(
        default=None, description="access key at the store; the client's own pair if not set"
    )
    store_secret: SecretValue | None = Field(default=None, description="secret key at the store")
    session_token: SecretValue | None = Field(
        default=None, description="the client's session token: of temporary keys, always sent"
    )
    store_session_token: SecretValue | None = Field(
        default=None, description="session token at the store, with store_access_key"
    )

    @model_validator(mode="after")
    def _pair(self) -> Credential:
        if (self.store_access_key is None) != (self.store_secret is None):
            raise ValueError("store_access_key and store_secret go together")
        if self.store_access_key is None and self.store_session_token is not None:
            raise ValueError("store_session_token goes with store_access_key and store_secret")
        return self

    @property
    def store_pair(self) -> tuple[str, Secret]:
        """Access key and secret to use at the store."""
        if self.store_access_key is None or self.store_secret is None:
            return self.access_key, self.secret
        return self.store_access_key, self.store_secret

    @property
    def token_at_store(self) -> Secret | None:
        """The session token that goes with `store_pair`."""
        return self.session_token if self.store_access_key is None else self.store_session_token

    @property
    def same_at_store(self) -> bool:
        """Whether the store knows this client's secret: it could ask the proxy for plaintext."""
        return self.store_pair[1] == self.secret


def parse_credentials(value: Any, info: ValidationInfo) -> Any:
    """A list as it is; for `{file: PATH}` the entries of that file."""
    if not isinstance(value, dict):
        return value
    if set(value) != {"file"}:
        raise ValueError("should be a list of clients, or {file: PATH}")
    path = parse_path(value["file"], info)
    entries: list[Credential] = []
    for line, entry in parse_credential_lines(read_text(path)):
        if isinstance(entry, str):
            raise ValueError(f"{path}:{line}: {entry}")
        entries.append(entry)
    return entries


def parse_credential_lines(text: str) -> Iterator[tuple[int, Credential | str]]:
    """(line, client, or what is wrong with the line) of a credentials file.

    A line is `ACCESS_KEY SECRET_KEY [STORE_ACCESS_KEY STORE_SECRET_KEY]`; two fields mean the same
    pair at the store. Empty lines and lines that start with `#` are skipped.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        yield number, _parse_line(fields)


def _parse_line(fields: list[str]) -> Credential | str:
    if len(fields) not in (2, 4):
        return (
            f"{len(fields)} fields; should be "
            "ACCESS_KEY SECRET_KEY [STORE_ACCESS_KEY STORE_SECRET_KEY]"
        )
    try:
        access_keys = [parse_access_key(field) for field in fields[::2]]
    except ValueError as error:
        return f"the access key {error}"
    secrets = [Secret(field) for field in fields[1::2]]
    return Credential(
        access_key=access_keys[0],
        secret=secrets[0],
        store_access_key=access_keys[1] if len(fields) == 4 else None,
        store_secret=secrets[1] if len(fields) == 4 else None,
    )
