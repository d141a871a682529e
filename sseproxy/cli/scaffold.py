"""The files that `sseproxy init` writes: the YAML, and clients.txt with a first client."""

from __future__ import annotations

import secrets
from pathlib import Path

from sseproxy.config.model import Config
from sseproxy.config.render import render_config
from sseproxy.errors import ConfigError
from sseproxy.keys.rootkey import write_private_file

CLIENTS_NAME = "clients.txt"
UNMAPPED = "STORE_ACCESS_KEY"  # stands for a store key until somebody fills in a real one

_CLIENTS = """\
# One client a line: ACCESS_KEY SECRET_KEY STORE_ACCESS_KEY STORE_SECRET_KEY
# The client signs with the first two: below are new, random ones. The proxy signs to the store
# with the last two: replace them by a key that the store knows, not the service account's.
# With two fields the same pair is used at the store (easy mode, see README).
{access_key} {secret_key} {unmapped} STORE_SECRET_KEY
"""


def write_files(
    config: Path, *, endpoint: str, service_access_key: str, default_encryption: str
) -> list[Path]:
    """Write what is not there yet, the YAML last; the files written. Raises OSError.

    Each is there as a whole or not at all, so that a killed run can be repeated.
    """
    written = []
    clients = config.parent / CLIENTS_NAME
    if not clients.exists():
        write_private_file(clients, _first_client().encode())
        written.append(clients)
    text = render_config(
        endpoint=endpoint,
        service_access_key=service_access_key,
        default_encryption=default_encryption,
        credentials_file=CLIENTS_NAME,
    )
    write_private_file(config, text.encode())
    return [*written, config]


def check_mapped(config: Config, path: Path) -> None:
    """Raise ConfigError if a client still has the store key that `write_files` gives it."""
    for index, entry in enumerate(config.credentials):
        if entry.store_access_key == UNMAPPED:
            raise ConfigError(
                f"client {entry.access_key} has no key at the store yet: replace {UNMAPPED} and "
                f"STORE_SECRET_KEY in its line of {path.parent / CLIENTS_NAME}",
                file=str(path),
                key=f"credentials[{index}]",
            )


def _first_client() -> str:
    return _CLIENTS.format(
        access_key=f"SP{secrets.token_hex(9).upper()}",
        secret_key=secrets.token_urlsafe(30),
        unmapped=UNMAPPED,
    )
