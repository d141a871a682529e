"""Every exception of sseproxy.

    SseProxyError
    ├── ConfigError                 the YAML, a flag or the environment is wrong (file, line, key)
    ├── FormatError                 stored bytes that are not what format v1 allows
    │   ├── UnknownVersion          a format version this reader does not know
    │   └── IntegrityError          authentication failed: altered, cut, swapped or foreign bytes
    │       └── ManifestMissing     a multipart object without the list of its parts
    ├── KeyManagementError
    │   ├── RootKeyError            the root key is missing, malformed, or not this keyring's
    │   ├── KeyringMissing          a keyring was expected and the store has none
    │   ├── KeyringConflict         the store holds another keyring than the state says
    │   ├── KeyringStale            keys or settings are too old to write with, or of a lower epoch
    │   ├── KeyUnavailable          a key version that an object needs is not there
    │   ├── CustomerKeyMissing      an SSE-C object was asked for without its key
    │   └── CustomerKeyWrong        ... or with another one
    ├── KmsError                    a KMS refused, or can't be used
    │   ├── KmsKeyNotFound          no such key, alias or version
    │   ├── KmsKeyDisabled          the key is disabled
    │   ├── KmsKeyState             pending deletion, without material, expired
    │   ├── KmsDenied               no permission: key policy, role not granted, wrong region
    │   ├── KmsCiphertextInvalid    blob, key or context are not those of the wrap
    │   ├── KmsThrottled            too many calls; may be repeated later
    │   └── KmsUnavailable          no connection, no answer in time, an error of the KMS itself
    ├── RecordConflict              a conditional write of a system record lost
    ├── StoreError
    │   ├── StoreUnavailable        no connection, or no answer in time
    │   ├── StoreProtocolError      the store's answer is not HTTP, or contradicts itself
    │   ├── StoreCut                the store's answer ended before its declared length
    │   ├── StoreRefused            the store answered a system request with an error status
    │   └── UnsafeStore             (sseproxy.store.quirks) the store lacks what safety rests on
    └── S3Error                     (sseproxy.s3.faults) an answer to the client, by S3's name

`sseproxy.proxy.translate` maps each of them to what a client sees, in one table.
"""

from __future__ import annotations


class SseProxyError(Exception):
    """The root of the tree. Its message never contains a secret."""


class ConfigError(SseProxyError):
    """A configuration that can't be used.

    file: path of the YAML or None; line: 1-based or None; key: dotted path of the setting or None.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        key: str | None = None,
    ) -> None:
        self.message, self.file, self.line, self.key = message, file, line, key
        place = ":".join(str(part) for part in (file, line) if part is not None)
        super().__init__(": ".join(part for part in (place, key, message) if part))


class FormatError(SseProxyError):
    """Stored bytes that format v1 does not allow (docs/format.md)."""


class UnknownVersion(FormatError):
    """A format version that this reader does not know; it is named in the message."""


class IntegrityError(FormatError):
    """Stored bytes failed authentication.

    reason: one word, the label of the metric: segment, trailer, envelope, header, record,
    truncated, size, commitment, plaintext, manifest.
    """

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class ManifestMissing(IntegrityError):
    """The manifest of a multipart object is not there, or none that is fits the object."""

    def __init__(self, message: str) -> None:
        super().__init__("manifest", message)


class KeyManagementError(SseProxyError):
    """Keys that are missing, wrong or too old."""


class RootKeyError(KeyManagementError):
    """The root key is missing, malformed, or not the one that sealed this keyring."""


class KeyringMissing(KeyManagementError):
    """A keyring was expected, and the store has none."""


class KeyringConflict(KeyManagementError):
    """The store holds another keyring than the one this state belongs to."""


class KeyringStale(KeyManagementError):
    """Keyring or settings are too old to write with, or of a lower epoch than seen before."""


class KeyUnavailable(KeyManagementError):
    """A key (version) that an object needs is not in the keyring."""


class CustomerKeyMissing(KeyManagementError):
    """An SSE-C object was asked for without its customer key."""


class CustomerKeyWrong(KeyManagementError):
    """An SSE-C object was asked for with another customer key than it was written with."""


class KmsError(SseProxyError):
    """A KMS refused, or can't be used. provider: its name; key_id: as asked for, or None."""

    def __init__(self, message: str, *, provider: str, key_id: str | None = None) -> None:
        self.provider, self.key_id = provider, key_id
        super().__init__(message)


class KmsKeyNotFound(KmsError):
    """No such key, alias or version."""


class KmsKeyDisabled(KmsError):
    """The key is disabled."""


class KmsKeyState(KmsError):
    """The key can't be used in its state: pending deletion, without material, expired."""


class KmsDenied(KmsError):
    """The KMS, a key policy, or a role that was not granted forbids it."""


class KmsCiphertextInvalid(KmsError):
    """A wrapped key that this key, or this encryption context, does not open."""


class KmsThrottled(KmsError):
    """The KMS has had too many calls. The call may be repeated later."""


class KmsUnavailable(KmsError):
    """No connection to the KMS, no answer in time, or an error of its own. May be repeated."""


class RecordConflict(SseProxyError):
    """A conditional write of a record in the system bucket lost to another writer."""


class StoreError(SseProxyError):
    """The object store behind the proxy failed."""


class StoreUnavailable(StoreError):
    """No connection to the store, or no answer in time. The request may be repeated."""


class StoreProtocolError(StoreError):
    """The store's answer is not HTTP, or contradicts itself."""


class StoreCut(StoreError):
    """The store's answer ended before the length it declared."""


class StoreRefused(StoreError):
    """The store answered a request of the proxy's own with an error status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status, self.code = status, code
        super().__init__(message)
