"""Keys from files, for opening objects without a proxy."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from sseproxy.errors import ConfigError, KeyUnavailable, RootKeyError
from sseproxy.format.attributes import Attributes
from sseproxy.format.derive import customer_upper_key
from sseproxy.format.envelope import Envelope, Mode
from sseproxy.keys.customer import check_customer_key
from sseproxy.keys.keyring_record import open_keyring
from sseproxy.keys.model import Keyring
from sseproxy.keys.rootkey import RootKey, read_root_key
from sseproxy.secret import Secret


def read_keyring(path: Path, root_key: Path, envelope: Envelope) -> Keyring:
    """The keyring that an envelope names. Raises RootKeyError, KeyUnavailable, FormatError."""
    root = _root_key(root_key, envelope)
    if root is None:
        raise RootKeyError(f"the root key file {root_key} is not there")
    keyring = open_keyring(path.read_bytes(), root)
    if keyring.id != envelope.keyring_id:
        raise KeyUnavailable(
            f"the object was sealed under keyring {envelope.keyring_id.hex()}, "
            f"and {path} holds {keyring.id.hex()}"
        )
    return keyring


def _root_key(path: Path, envelope: Envelope) -> RootKey | None:
    try:
        return read_root_key(path)
    except RootKeyError:
        # A bare key (hex, base64) does not say which keyring it belongs to; the object does.
        return read_root_key(path, keyring_id=envelope.keyring_id)


def upper_key_of(
    envelope: Envelope, attributes: Attributes, keyring: Keyring, customer_key: Path | None
) -> Secret:
    """The key above an object's data key. customer_key: a file, for SSE-C.

    Raises KeyUnavailable, CustomerKeyMissing, CustomerKeyWrong, ConfigError.
    """
    if envelope.mode is Mode.SSE_COS:
        return keyring.master_key(int.from_bytes(envelope.upper_key_id, "big"))
    if envelope.mode is not Mode.SSE_C:
        raise KeyUnavailable("objects under a KMS key open through the proxy only")
    ak = keyring.ak(envelope.ak_version)
    given = None if customer_key is None else _customer_key(customer_key)
    key = check_customer_key(given, attributes.verifier, ak, envelope.salt)
    return customer_upper_key(key, ak)


def _customer_key(path: Path) -> Secret:
    content = path.read_bytes()
    if len(content) == 32:
        return Secret(content)
    try:
        key = base64.b64decode(content.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 32:
        raise ConfigError(f"{path} holds neither 32 bytes nor base64 of them")
    return Secret(key)
