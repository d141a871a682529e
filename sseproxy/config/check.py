"""What settings must hold together: rules over more than one setting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sseproxy.config.model import BucketRule, Config

Path = tuple[str | int, ...]
Finding = tuple[Path, str]  # where (as pydantic's loc), and what is wrong

_NO_KMS = "sse-kms comes with a later release; use sse-cos"


def check(config: Config, *, own_service_account: bool) -> list[Finding]:
    """Everything wrong with a configuration whose single settings are right.

    own_service_account: whether the service account must differ from every client's store key
    (a YAML), or may be one of them (flags only).
    """
    return [
        *_keys(config),
        *_clients(config, own_service_account=own_service_account),
        *_addresses(config),
        *_buckets(config),
    ]


def _keys(config: Config) -> Iterator[Finding]:
    if config.root_key is None and config.state is None:
        yield ("root_key",), "is required, unless `state` says where the root key file may be made"
    if config.root_key_env is not None and config.keyring_id is None:
        yield ("keyring_id",), "is required when the root key comes from the environment"
    if config.default_encryption == "sse-kms":
        yield ("default_encryption",), _NO_KMS


def _clients(config: Config, *, own_service_account: bool) -> Iterator[Finding]:
    counts = Counter(entry.access_key for entry in config.credentials)
    seen: set[str] = set()
    for index, entry in enumerate(config.credentials):
        if entry.access_key in seen:
            message = f"{entry.access_key} is the access key of {counts[entry.access_key]} clients"
            yield ("credentials", index, "access_key"), message
        seen.add(entry.access_key)
        if own_service_account and entry.store_pair[0] == config.service_account.access_key:
            message = (
                "is the service account: this client could reach the system bucket at the store; "
                "give the proxy a key of its own"
            )
            yield ("credentials", index), message
    for index, access_key in enumerate(config.administrators):
        if access_key not in counts:
            yield ("administrators", index), f"{access_key} is no client in `credentials`"


def _addresses(config: Config) -> Iterator[Finding]:
    if config.listen == config.admin.listen and config.listen.port:
        yield ("admin", "listen"), "is the address for clients; metrics need one of their own"
    if str(config.listen) == config.store_host:
        yield ("store", "endpoint"), "is the address that the proxy itself listens on"
    for index, host in enumerate(config.hosts):
        if host == config.store_host:
            message = "is the store's: the store could replay what the proxy signs for it"
            yield ("hosts", index), message
    if config.store.ca is not None and config.store.endpoint.startswith("http:"):
        yield ("store", "ca"), "has no use with an http:// endpoint; is https:// meant?"


def _buckets(config: Config) -> Iterator[Finding]:
    identities: dict[str, str] = {}
    for name, rule in config.buckets.items():
        place = ("buckets", name)
        if name == config.system_bucket:
            yield place, "is the system bucket, which does not exist for clients"
        identity = rule.identity or name
        if identity in identities:
            message = f"{identity} stands for bucket {identities[identity]} too: the store could "
            yield (*place, "identity"), message + "swap their objects unnoticed"
        identities[identity] = name
        for key, message in _rule(rule):
            yield (*place, key), message


def _rule(rule: BucketRule) -> Iterator[tuple[str, str]]:
    if rule.encryption == "sse-kms":
        yield "encryption", _NO_KMS
    if rule.passthrough:
        for key in ("encryption", "require_encryption", "allowed_modes"):
            if getattr(rule, key) not in (None, "none"):
                yield key, "can't be had with passthrough, which never encrypts"
    if rule.require_encryption and rule.encryption == "none":
        yield "encryption", "none contradicts require_encryption"
    modes = rule.allowed_modes
    if modes is None:
        return
    if rule.require_encryption and "none" in modes:
        yield "allowed_modes", "none contradicts require_encryption"
    if rule.block_sse_c and "sse-c" in modes:
        yield "allowed_modes", "sse-c contradicts block_sse_c"
    if rule.encryption is not None and rule.encryption not in modes:
        yield "allowed_modes", f"lacks {rule.encryption}, the bucket's own encryption"
