"""What sseproxy asks of a key management service (KMS), and what every provider answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from sseproxy.secret import Secret

# What a KMS authenticates with the key, but does not keep: the same map opens the key again.
Context = Mapping[str, str]

DATA_KEY_BYTES = 32
MAX_BLOB_BYTES = 4096


class KeyState(StrEnum):
    """States of a customer master key (CMK), by AWS's names."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    PENDING_DELETION = "PendingDeletion"
    PENDING_IMPORT = "PendingImport"
    UNAVAILABLE = "Unavailable"


@dataclass(frozen=True, slots=True)
class DataKey:
    """A fresh key and what the KMS made of it.

    plain: 32 bytes. blob: what only the KMS opens again, at most MAX_BLOB_BYTES. key_id: the CMK
    as clients are told it: an ARN or "provider:name", never an alias.
    """

    plain: Secret
    blob: bytes
    key_id: str


@dataclass(frozen=True, slots=True)
class KeyDescription:
    """A CMK as its KMS describes it; what the provider can't say is None or empty."""

    key_id: str
    state: KeyState
    aliases: tuple[str, ...] = ()
    description: str = ""
    origin: str = ""
    created: datetime | None = None
    deletion: datetime | None = None
    material_expires: datetime | None = None


class KmsProvider(Protocol):
    """One KMS. Key ids come without the provider's prefix ("orders" of "vault:orders").

    Every method raises the KmsError of its failure (sseproxy.errors) and nothing else; none
    retries, caches or limits time beyond one request: `sseproxy.keys.kms.guard` does, for all.
    """

    @property
    def name(self) -> str:
        """The prefix of its key ids, and the label of its metrics."""
        ...

    async def generate_data_key(self, key_id: str | None, context: Context) -> DataKey:
        """A fresh data key under a CMK; None is the provider's default CMK."""
        ...

    async def decrypt(self, key_id: str, blob: bytes, context: Context) -> Secret:
        """The data key in a blob. KmsCiphertextInvalid for another key, blob or context."""
        ...

    async def describe(self, key_id: str | None) -> KeyDescription:
        """The CMK as it is now."""
        ...

    async def close(self) -> None:
        """End its connections."""
        ...
