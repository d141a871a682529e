"""Raw objects without proxy or store: what `sseproxy inspect` and `sseproxy decrypt` do."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from sseproxy.errors import ConfigError, FormatError, IntegrityError
from sseproxy.format.attributes import Attributes
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
    object_header,
    sealed_part_size,
    window,
)
from sseproxy.format.manifest import Manifest
from sseproxy.format.names import ObjectName, manifest_folder
from sseproxy.format.record import RecordType, open_record
from sseproxy.format.segments import PartOpener, part_cipher
from sseproxy.format.trailer import open_trailer
from sseproxy.keys.model import Keyring
from sseproxy.offline_keys import read_keyring, upper_key_of
from sseproxy.s3.headers import RESERVED_METADATA

_SEGMENTS = 16
_MAX_ENVELOPE_FILE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Sources:
    """Files: the raw object, the root key, the keyring record, the customer key (SSE-C).

    manifest: the record of a multipart object, under the last component of its name in the store.
    """

    raw: Path
    root_key: Path
    keyring: Path
    customer_key: Path | None = None
    manifest: Path | None = None


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
    """What the headers of a raw object say without any key, as (name, value) rows.

    Raises FormatError if it is no encrypted object, OSError.
    """
    with path.open("rb") as raw:
        stored = os.fstat(raw.fileno()).st_size
        headers = _walk(raw, stored)
    first = headers[0]
    rows = [
        ("format version", str(VERSION)),
        ("part number", str(first.part_number)),
        ("trailer", "yes" if first.has_trailer else "no"),
        ("plain size", f"{sum(header.plain_length for header in headers)} (as the header says)"),
        ("stored size", _stored_size(stored, sum(map(_sealed_size, headers)))),
    ]
    if len(headers) > 1:
        rows[1] = ("parts", f"{len(headers)}, by their headers")
    return [*rows, ("mode and key ids", f"in the object's metadata {RESERVED_METADATA}")]


def _walk(raw: BinaryIO, stored: int) -> list[Header]:
    """The headers of the parts that follow each other from the start, as far as there are any."""
    headers, place = [Header.parse(raw.read(HEADER_BYTES))], 0
    while (place := place + _sealed_size(headers[-1])) < stored:
        raw.seek(place)
        try:
            headers.append(Header.parse(raw.read(HEADER_BYTES)))
        except FormatError:
            break
    return headers


def _sealed_size(header: Header) -> int:
    return sealed_part_size(header.plain_length) + TRAILER_BYTES * header.has_trailer


def _stored_size(stored: int, should_be: int) -> str:
    return f"{stored} ({'as it must be' if stored == should_be else f'WRONG: not {should_be}'})"


@dataclass(frozen=True, slots=True)
class _Sealed:
    """What the keyring tells of an object. headers: of its parts, in order."""

    envelope: Envelope
    keyring: Keyring
    name: ObjectName
    attributes: Attributes
    headers: list[Header]

    @property
    def plain_size(self) -> int:
        return sum(header.plain_length for header in self.headers)

    @property
    def sealed_size(self) -> int:
        return sum(map(_sealed_size, self.headers))


def _look(sources: Sources, encoded: str, bucket: str, key: str) -> _Sealed:
    envelope, name = Envelope.decode(encoded), ObjectName(bucket, key)
    keyring = read_keyring(sources.keyring, sources.root_key, envelope)
    attributes = _attributes(envelope, keyring, name)
    if attributes.plain_size is not None:
        headers = [object_header(attributes.plain_size, envelope.part_salt)]
        return _Sealed(envelope, keyring, name, attributes, headers)
    manifest = _manifest(sources, envelope, keyring, attributes)
    manifest.check(name, envelope.data_id)
    attributes = attributes.merged(Attributes(etag=manifest.etag, checksums=manifest.checksums))
    headers = [manifest.header(index) for index in range(len(manifest.parts))]
    return _Sealed(envelope, keyring, name, attributes, headers)


def _manifest(
    sources: Sources, envelope: Envelope, keyring: Keyring, attributes: Attributes
) -> Manifest:
    assert attributes.manifest_id is not None, "there is no plain size"
    folder = manifest_folder(attributes.manifest_id)
    if sources.manifest is None:
        raise ConfigError(
            f"a multipart object needs its manifest: a record below {folder} in the system bucket"
        )
    full_name = folder + sources.manifest.name
    data = sources.manifest.read_bytes()
    try:
        payload = open_record(
            data, lambda _: keyring.ak(envelope.data_ak_version), RecordType.MANIFEST, full_name
        )
    except IntegrityError as error:
        raise IntegrityError(
            error.reason, f"{error}; does the file have the name that the record has in the store?"
        ) from None
    return Manifest.decode(payload)


def describe_sealed(sources: Sources, encoded: str, bucket: str, key: str) -> list[tuple[str, str]]:
    """Sizes, ETag and checksums, which need the keyring but no customer key or KMS."""
    sealed = _look(sources, encoded, bucket, key)
    with sources.raw.open("rb") as raw:
        stored = os.fstat(raw.fileno()).st_size
        attributes = _with_trailer(raw, sealed, stored)
    rows = [
        ("plain size", str(sealed.plain_size)),
        ("stored size", _stored_size(stored, sealed.sealed_size)),
        ("ETag", attributes.etag_text),
    ]
    return rows + [(name, digest.hex()) for name, digest in attributes.checksums.items()]


def decrypt(sources: Sources, encoded: str, bucket: str, key: str, output: Path) -> int:
    """Write the plaintext of a raw object to a new file; its size in bytes.

    Nothing is left behind on a failure, and an existing file is left alone. Raises ConfigError,
    FormatError, KeyManagementError, OSError.
    """
    if output.exists():
        raise ConfigError(f"{output} is there already, and is not overwritten")
    sealed = _look(sources, encoded, bucket, key)
    envelope, attributes = sealed.envelope, sealed.attributes
    assert attributes.commitment is not None, "checked by open_attributes"
    upper = upper_key_of(envelope, attributes, sealed.keyring, sources.customer_key)
    dek = unwrap_dek(envelope, upper, sealed.name, attributes.commitment)
    with sources.raw.open("rb") as raw:
        stored, size = os.fstat(raw.fileno()).st_size, sealed.plain_size
        if stored != sealed.sealed_size:
            raise IntegrityError("size", f"{stored} bytes are not a sealed object of {size} bytes")
        _with_trailer(raw, sealed, stored)
        raw.seek(0)
        # Its mode is 0600, and its name clashes with nothing.
        with tempfile.NamedTemporaryFile(dir=output.parent, delete=False) as plain:
            partial = Path(plain.name)
            try:
                for header in sealed.headers:
                    header.check(raw.read(HEADER_BYTES))
                    opener = PartOpener(part_cipher(dek, envelope.data_id, header), header)
                    _open_to(raw, plain, opener, header.plain_length)
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


def _with_trailer(raw: BinaryIO, sealed: _Sealed, stored: int) -> Attributes:
    header = sealed.headers[0]
    if not header.has_trailer or stored < TRAILER_BYTES:
        return sealed.attributes
    raw.seek(stored - TRAILER_BYTES)
    ak = sealed.keyring.ak(sealed.envelope.data_ak_version)
    trailer = open_trailer(raw.read(TRAILER_BYTES), ak, sealed.envelope.data_id, header)
    return sealed.attributes.merged(trailer)


def _attributes(envelope: Envelope, keyring: Keyring, name: ObjectName) -> Attributes:
    """The attributes; an IntegrityError says that the name may be the wrong one."""
    try:
        attributes = open_attributes(envelope, keyring.ak(envelope.ak_version), name)
    except IntegrityError as error:
        raise IntegrityError(
            error.reason, f"{error}; is it really {name.key} in bucket {name.bucket_identity}?"
        ) from None
    return attributes
