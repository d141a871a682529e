"""Raw objects without proxy or store: what `sseproxy inspect` and `sseproxy decrypt` do."""

from __future__ import annotations

import base64
import binascii
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from sseproxy.errors import ConfigError, FormatError, IntegrityError, KeyUnavailable, RootKeyError
from sseproxy.format.attributes import Attributes
from sseproxy.format.derive import customer_upper_key
from sseproxy.format.envelope import Envelope, Mode, open_attributes, unwrap_dek
from sseproxy.format.header import (
    HEADER_BYTES,
    MAGIC,
    SEALED_SEGMENT_BYTES,
    SEGMENT_BYTES,
    VERSION,
    Header,
)
from sseproxy.format.layout import (
    TRAILER_BYTES,
    needs_trailer,
    object_header,
    sealed_object_size,
    sealed_part_size,
    window,
)
from sseproxy.format.names import ObjectName
from sseproxy.format.segments import PartOpener
from sseproxy.format.trailer import open_trailer
from sseproxy.keys.customer import check_customer_key
from sseproxy.keys.keyring import open_keyring
from sseproxy.keys.model import Keyring
from sseproxy.keys.rootkey import RootKey, read_root_key
from sseproxy.s3.headers import RESERVED_METADATA
from sseproxy.secret import Secret

_SEGMENTS = 16
_MAX_ENVELOPE_FILE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Sources:
    """Files: the raw object, the root key, the keyring record, the customer key (SSE-C)."""

    raw: Path
    root_key: Path
    keyring: Path
    customer_key: Path | None = None


def is_raw_object(argument: str) -> bool:
    """Whether an argument names a file that starts as an encrypted object does."""
    try:
        with Path(argument).open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):
        return False


def envelope_argument(argument: str) -> str:
    """The envelope's text: the argument itself, or the content of the file it names."""
    path = Path(argument)
    try:
        if len(argument) < 255 and path.is_file():
            with path.open("rb") as file:
                return file.read(_MAX_ENVELOPE_FILE_BYTES).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{argument} is neither a readable envelope nor a raw object") from None
    return argument.strip()


def describe(encoded: str) -> list[tuple[str, str]]:
    """What an envelope says without any key, as (name, value) rows. Raises FormatError."""
    envelope = Envelope.decode(encoded)
    upper = envelope.upper_key_id.hex() or "(the customer's)"
    if envelope.mode is Mode.SSE_COS:
        upper = f"master key version {int.from_bytes(envelope.upper_key_id, 'big')}"
    return [
        ("format version", str(VERSION)),
        ("mode", envelope.mode.name.lower().replace("_", "-")),
        ("keyring id", envelope.keyring_id.hex()),
        ("upper key", upper),
        ("KMS blob", f"{len(envelope.kms_blob)} bytes"),
        ("attribute key", f"version {envelope.ak_version}"),
        ("data attribute key", f"version {envelope.data_ak_version}"),
        ("data id", envelope.data_id.hex()),
        ("envelope size", f"{len(encoded)} bytes as text"),
    ]


def describe_raw(path: Path) -> list[tuple[str, str]]:
    """What the header of a raw object says without any key, as (name, value) rows.

    Raises FormatError if it is no encrypted object, OSError.
    """
    with path.open("rb") as raw:
        header = Header.parse(raw.read(HEADER_BYTES))
        stored = os.fstat(raw.fileno()).st_size
    rows = [
        ("format version", str(VERSION)),
        ("part number", str(header.part_number)),
        ("trailer", "yes" if header.has_trailer else "no"),
        ("plain size", f"{header.plain_length} (as the header says)"),
        ("stored size", _stored_size(stored, header)),
    ]
    return [*rows, ("mode and key ids", f"in the object's metadata {RESERVED_METADATA}")]


def _stored_size(stored: int, header: Header) -> str:
    should_be = sealed_part_size(header.plain_length) + TRAILER_BYTES * header.has_trailer
    return f"{stored} ({'as it must be' if stored == should_be else f'WRONG: not {should_be}'})"


def describe_sealed(sources: Sources, encoded: str, bucket: str, key: str) -> list[tuple[str, str]]:
    """Sizes, ETag and checksums, which need the keyring but no customer key or KMS."""
    envelope = Envelope.decode(encoded)
    keyring = _keyring(sources, envelope)
    attributes = _attributes(envelope, keyring, ObjectName(bucket, key))
    header = object_header(_plain_size(attributes), envelope.part_salt)
    with sources.raw.open("rb") as raw:
        stored = os.fstat(raw.fileno()).st_size
        attributes = _with_trailer(raw, envelope, keyring, attributes, stored)
    rows = [
        ("plain size", str(header.plain_length)),
        ("stored size", _stored_size(stored, header)),
        ("ETag", attributes.etag_text or ""),
    ]
    return rows + [(name, digest.hex()) for name, digest in attributes.checksums.items()]


def decrypt(sources: Sources, encoded: str, bucket: str, key: str, output: Path) -> int:
    """Write the plaintext of a raw single-PUT object to a new file; its size in bytes.

    Nothing is left behind on a failure, and an existing file is left alone. Raises ConfigError,
    FormatError, KeyManagementError, OSError.
    """
    if output.exists():
        raise ConfigError(f"{output} is there already, and is not overwritten")
    envelope = Envelope.decode(encoded)
    keyring = _keyring(sources, envelope)
    name = ObjectName(bucket, key)
    attributes = _attributes(envelope, keyring, name)
    assert attributes.commitment is not None, "checked by open_attributes"
    upper = _upper_key(sources, envelope, attributes, keyring)
    dek = unwrap_dek(envelope, upper, name, attributes.commitment)
    header = object_header(_plain_size(attributes), envelope.part_salt)
    with sources.raw.open("rb") as raw:
        stored, size = os.fstat(raw.fileno()).st_size, header.plain_length
        if stored != sealed_object_size(size):
            raise IntegrityError("size", f"{stored} bytes are not a sealed object of {size} bytes")
        _with_trailer(raw, envelope, keyring, attributes, stored)
        raw.seek(0)
        header.check(raw.read(HEADER_BYTES))
        # Its mode is 0600, and its name clashes with nothing.
        with tempfile.NamedTemporaryFile(dir=output.parent, delete=False) as plain:
            partial = Path(plain.name)
            try:
                _open_to(raw, plain, PartOpener(dek, envelope.data_id, header), size)
                plain.flush()
                partial.rename(output)
            finally:
                partial.unlink(missing_ok=True)
    return size


def _open_to(raw: BinaryIO, plain: IO[bytes], opener: PartOpener, size: int) -> None:
    whole = window(size, 0, size)
    left = whole.sealed_stop - whole.sealed_start
    out = memoryview(bytearray(_SEGMENTS * SEGMENT_BYTES))
    while left:
        sealed = raw.read(min(left, _SEGMENTS * SEALED_SEGMENT_BYTES))
        if not sealed:
            raise IntegrityError("truncated", "the object ends too early")
        left -= len(sealed)
        plain.write(out[: opener.open_into(sealed, out)])
    opener.finish()


def _with_trailer(
    raw: BinaryIO, envelope: Envelope, keyring: Keyring, attributes: Attributes, stored: int
) -> Attributes:
    size = _plain_size(attributes)
    if not needs_trailer(size) or stored < TRAILER_BYTES:
        return attributes
    raw.seek(stored - TRAILER_BYTES)
    header = object_header(size, envelope.part_salt)
    ak = keyring.ak(envelope.data_ak_version)
    return attributes.merged(open_trailer(raw.read(TRAILER_BYTES), ak, envelope.data_id, header))


def _keyring(sources: Sources, envelope: Envelope) -> Keyring:
    root = _root_key(sources.root_key, envelope)
    if root is None:
        raise RootKeyError(f"the root key file {sources.root_key} is not there")
    keyring = open_keyring(sources.keyring.read_bytes(), root)
    if keyring.id != envelope.keyring_id:
        raise KeyUnavailable(
            f"the object was sealed under keyring {envelope.keyring_id.hex()}, "
            f"and {sources.keyring} holds {keyring.id.hex()}"
        )
    return keyring


def _root_key(path: Path, envelope: Envelope) -> RootKey | None:
    try:
        return read_root_key(path)
    except RootKeyError:
        # A bare key (hex, base64) does not say which keyring it belongs to; the object does.
        return read_root_key(path, keyring_id=envelope.keyring_id)


def _attributes(envelope: Envelope, keyring: Keyring, name: ObjectName) -> Attributes:
    """The attributes; an IntegrityError says that the name may be the wrong one."""
    try:
        attributes = open_attributes(envelope, keyring.ak(envelope.ak_version), name)
    except IntegrityError as error:
        raise IntegrityError(
            error.reason, f"{error}; is it really {name.key} in bucket {name.bucket_identity}?"
        ) from None
    return attributes


def _plain_size(attributes: Attributes) -> int:
    if attributes.plain_size is None:
        raise FormatError("a multipart object: its manifest is needed, which is not read offline")
    return attributes.plain_size


def _upper_key(
    sources: Sources, envelope: Envelope, attributes: Attributes, keyring: Keyring
) -> Secret:
    if envelope.mode is Mode.SSE_COS:
        return keyring.master_key(int.from_bytes(envelope.upper_key_id, "big"))
    if envelope.mode is not Mode.SSE_C:
        raise KeyUnavailable("objects under a KMS key open through the proxy only")
    ak = keyring.ak(envelope.ak_version)
    given = None if sources.customer_key is None else _customer_key(sources.customer_key)
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
