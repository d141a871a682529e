"""Chooses the key above an object's data key: the only place that does."""

from __future__ import annotations

import struct

from sseproxy.errors import CustomerKeyMissing, KeyUnavailable
from sseproxy.format.attributes import Attributes
from sseproxy.format.derive import customer_upper_key
from sseproxy.format.envelope import Envelope, Mode, UpperKey
from sseproxy.keys.customer import check_customer_key
from sseproxy.keys.keyring import KeyringService
from sseproxy.keys.model import Keyring
from sseproxy.s3.sse import CustomerKey, SseMode
from sseproxy.secret import Secret

_VERSION = struct.Struct(">I")


class Keymaster:
    """Upper keys for writing and reading objects (format.md 2).

    Async, as a KMS answers over the network.
    """

    def __init__(self, service: KeyringService) -> None:
        self._service = service

    async def upper_key_for_write(
        self, mode: SseMode, customer: CustomerKey | None = None, *, keyring: Keyring | None = None
    ) -> UpperKey:
        """The upper key of a new envelope, of the keyring's active versions.

        keyring: the one that the envelope will name (take it from `for_writing` once); by default
        the current one. Raises KeyringStale; CustomerKeyMissing for SSE-C without customer key;
        KeyUnavailable for SSE-KMS, which has no provider yet; ValueError for NONE.
        """
        keyring = keyring or self._service.for_writing()
        if mode is SseMode.SSE_COS:
            version = keyring.active_master
            key = keyring.master_key(version)
            return UpperKey(mode=Mode.SSE_COS, id=_VERSION.pack(version), key=key)
        if mode is SseMode.SSE_C:
            if customer is None:
                raise CustomerKeyMissing("SSE-C was asked for without a customer key")
            key = customer_upper_key(customer.key, keyring.ak(keyring.active_attribute))
            return UpperKey(mode=Mode.SSE_C, id=b"", key=key)
        if mode is SseMode.SSE_KMS:
            raise _no_kms()
        raise ValueError("an object that is not encrypted has no upper key")

    async def upper_key_for_read(
        self, envelope: Envelope, attributes: Attributes, customer: CustomerKey | None = None
    ) -> Secret:
        """The upper key that unwraps an envelope's data key; customer is used by SSE-C only.

        attributes: opened, with `attribute_key`. Raises KeyUnavailable, CustomerKeyMissing,
        CustomerKeyWrong, IntegrityError.
        """
        keyring = self._keyring_of(envelope)
        if envelope.mode is Mode.SSE_COS:
            (version,) = _VERSION.unpack(envelope.upper_key_id)
            return keyring.master_key(version)
        if envelope.mode is Mode.SSE_C:
            ak = keyring.ak(envelope.ak_version)
            given = customer.key if customer else None
            key = check_customer_key(given, attributes.verifier, ak, envelope.salt)
            return customer_upper_key(key, ak)
        raise _no_kms()

    def attribute_key(self, envelope: Envelope) -> Secret:
        """The attribute key of the envelope itself; KeyUnavailable if it is not here."""
        return self._keyring_of(envelope).ak(envelope.ak_version)

    def data_attribute_key(self, envelope: Envelope) -> Secret:
        """The attribute key of the trailer (data AK version); KeyUnavailable if not here."""
        return self._keyring_of(envelope).ak(envelope.data_ak_version)

    def _keyring_of(self, envelope: Envelope) -> Keyring:
        keyring = self._service.for_reading()
        if envelope.keyring_id != keyring.id:
            raise KeyUnavailable(
                f"the object was sealed under keyring {envelope.keyring_id.hex()}, "
                f"and this is {keyring.id.hex()}"
            )
        return keyring


def _no_kms() -> KeyUnavailable:
    return KeyUnavailable("SSE-KMS comes with a later release of sseproxy")
