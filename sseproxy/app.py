"""The composition root: from a configuration to listening ports."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from sseproxy.config.model import BucketRule, Config
from sseproxy.errors import ConfigError, IntegrityError, SseProxyError, StoreError
from sseproxy.keys.create import RootKeySource, create_or_resume
from sseproxy.keys.epochs import EPOCHS_NAME, EpochMemory
from sseproxy.keys.keymaster import Keymaster
from sseproxy.keys.keyring import SETTINGS_REFRESH_S, KeyringService
from sseproxy.listening import listening
from sseproxy.metrics import Metrics
from sseproxy.proxy.buffers import BufferPool
from sseproxy.proxy.cache import AttributeCache, ListedEntries, OpenedEnvelopes
from sseproxy.proxy.credentials import MAX_LOOKUPS, CredentialHook
from sseproxy.proxy.exchange import Client, CredentialSource, Limits, Services, StoreLimits
from sseproxy.proxy.manifests import Manifests
from sseproxy.proxy.policy import ALL_MODES, BucketPolicy, Policies
from sseproxy.s3.addressing import Addressing
from sseproxy.s3.sse import SseMode
from sseproxy.store import objects
from sseproxy.store.client import HttpPool
from sseproxy.store.metered import MeteredStore
from sseproxy.store.objects import ObjectStore, S3Store, StoreCredential
from sseproxy.store.probe import LARGEST_METADATA_BYTES, check, probe
from sseproxy.store.quirks import Quirks
from sseproxy.store.system import SystemBucket

log = logging.getLogger("sseproxy")


@dataclass(frozen=True, slots=True)
class Running:
    """A proxy that serves. endpoint, admin: URLs without a trailing slash."""

    endpoint: str
    admin: str
    services: Services
    quirks: Quirks


@contextlib.asynccontextmanager
async def open_store(config: Config, metrics: Metrics) -> AsyncIterator[ObjectStore]:
    """The store of a configuration, its connections closed at the end."""
    limits, timeouts = config.limits, config.store.timeouts
    context = None
    if config.store.endpoint.startswith("https:"):
        with _naming("store.ca", config.store.ca):
            context = ssl.create_default_context(cafile=config.store.ca)
    pool = HttpPool(
        config.store.endpoint,
        ssl_context=context,
        max_connections=limits.store_connections,
        connect_timeout_s=timeouts.connect_s,
        first_byte_timeout_s=timeouts.first_byte_s,
        idle_timeout_s=timeouts.idle_s,
    )
    store = S3Store(
        pool,
        region=config.store.region,
        addressing=objects.Addressing(config.store.addressing),
    )
    try:
        yield MeteredStore(store, metrics)
    finally:
        await pool.close()


@contextlib.asynccontextmanager
async def open_hook(config: Config, metrics: Metrics) -> AsyncIterator[CredentialHook | None]:
    """The credential hook of a configuration, None without one; its connections closed at the end.

    Raises ConfigError for a CA file that can't be used.
    """
    hook = config.credential_hook
    if hook is None:
        yield None
        return
    with _naming("credential_hook.ca", hook.ca):
        context = ssl.create_default_context(cafile=hook.ca)
    connector = aiohttp.TCPConnector(ssl=context, limit=MAX_LOOKUPS)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
        source = CredentialHook(
            session,
            hook.url,
            metrics=metrics,
            clock=lambda: datetime.now(UTC),
            bearer=hook.secret,
            timeout_s=hook.timeout_s,
            cache_s=hook.cache_s,
            refused_store_keys={config.service_account.access_key},
        )
        try:
            yield source
        finally:
            await source.close()


def service_credential(config: Config) -> StoreCredential:
    """The store key of the proxy itself."""
    return StoreCredential(config.service_account.access_key, config.service_account.secret)


def system_bucket(config: Config, store: ObjectStore) -> SystemBucket:
    """The system bucket of a configuration."""
    return SystemBucket(store, service_credential(config), config.system_bucket)


def root_key_source(config: Config) -> RootKeySource:
    """Where the configuration keeps the root key. Raises ConfigError if it says nowhere."""
    if config.root_key_file is None and config.root_key_env is None:
        raise ConfigError("no root key: set root_key or state", key="root_key")
    return RootKeySource(
        file=config.root_key_file, env=config.root_key_env, keyring_id=config.keyring_id
    )


async def initialise(config: Config, environ: Mapping[str, str]) -> bytes:
    """Create the system bucket, root key and keyring, or resume where that was killed.

    Returns the keyring id. Raises KeyManagementError, StoreError, ConfigError.
    """
    async with open_store(config, Metrics()) as store:
        system = system_bucket(config, store)
        await system.ensure_bucket()
        check(await probe(store, service_credential(config), config.system_bucket))
        root, _ = await create_or_resume(system, root_key_source(config), environ)
        return root.keyring_id


@contextlib.asynccontextmanager
async def serve(
    config: Config, environ: Mapping[str, str], *, create: bool
) -> AsyncIterator[Running]:
    """Serve until the context ends. create: make keys where there are none (flags-only start).

    Raises before it listens: UnsafeStore, KeyManagementError, StoreError, ConfigError.
    """
    metrics, tls = Metrics(), _tls_context(config)
    async with open_store(config, metrics) as store, open_hook(config, metrics) as hook:
        system = system_bucket(config, store)
        if create:
            await system.ensure_bucket()
            quirks = await _probed(config, store)
        root, _ = await create_or_resume(system, root_key_source(config), environ, create=create)
        if not create:
            # After the keyring was found: a probe in a misspelt bucket could create it.
            quirks = await _probed(config, store)
        epochs = EpochMemory(
            root.keyring_id,
            path=config.state / EPOCHS_NAME if config.state else None,
            min_epoch=config.min_epoch,
        )
        keys = KeyringService(system, root, epochs=epochs)
        await keys.start()
        _watch_keys(metrics, keys)
        services = build_services(config, store, keys, metrics, quirks, credential_source=hook)
        if config.default_encryption == "none" and not config.buckets:
            log.warning("default_encryption is none: only writes that ask for it are encrypted")
        async with _background(_refresh(keys, metrics)), _listen(config, services, tls) as urls:
            yield Running(*urls, services, quirks)


async def _probed(config: Config, store: ObjectStore) -> Quirks:
    """What the store does; raises UnsafeStore if it can't be used."""
    quirks = await probe(store, service_credential(config), config.system_bucket)
    check(quirks)
    return quirks


def build_services(
    config: Config,
    store: ObjectStore,
    keys: KeyringService,
    metrics: Metrics,
    quirks: Quirks,
    *,
    credential_source: CredentialSource | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Services:
    """What handlers work with, from the configuration and its parts."""
    return Services(
        store=store,
        clients=_clients(config),
        keys=keys,
        keymaster=Keymaster(keys),
        policies=_policies(config),
        addressing=Addressing(config.domains),
        metrics=metrics,
        system_bucket=config.system_bucket,
        service_credential=service_credential(config),
        records=system_bucket(config, store),
        clock=clock,
        cache=AttributeCache(metrics, config.limits.attribute_cache),
        opened=OpenedEnvelopes(metrics),
        listed=ListedEntries(metrics),
        manifests=Manifests(system_bucket(config, store), keys, metrics),
        buffers=BufferPool(),
        credential_source=credential_source,
        allow_sigv2=config.allow_sigv2,
        refused_hosts=_store_hosts(config.store_host),
        accepted_hosts=frozenset(config.hosts),
        trusted_proxies=_trust(config.trusted_proxies),
        allow_insecure_ssec=config.allow_insecure_ssec,
        administrators=frozenset(config.administrators),
        passes_store_paths=config.store_paths == "pass",
        exact_listing=config.listing == "exact",
        metadata_listing=quirks.metadata_listing,
        store_limits=StoreLimits(
            folds_slashes=not quirks.double_slash,
            folds_leading_slash=not quirks.leading_slash,
            drops_folder_bodies=not quirks.folder_bodies,
            metadata_bytes=quirks.metadata_bytes
            if quirks.metadata_bytes < LARGEST_METADATA_BYTES
            else None,
            # A store that hides its name may be one.
            has_minio_api=quirks.server in ("", "MinIO"),
        ),
        limits=Limits(
            max_requests=config.limits.max_requests,
            listing_looks=config.limits.listing_heads,
            client_idle_s=config.limits.client_idle_s,
        ),
    )


def _clients(config: Config) -> dict[str, Client]:
    clients = {}
    for entry in config.credentials:
        credential = StoreCredential(*entry.store_pair, entry.token_at_store)
        clients[entry.access_key] = Client(
            entry.access_key, entry.secret, credential, entry.session_token
        )
    return clients


def _policies(config: Config) -> Policies:
    default = SseMode(config.default_encryption)
    buckets = {name: _policy(rule, default) for name, rule in config.buckets.items()}
    return Policies(BucketPolicy(default), buckets)


def _policy(rule: BucketRule, default: SseMode) -> BucketPolicy:
    allowed = frozenset(SseMode(mode) for mode in rule.allowed_modes or ()) or ALL_MODES
    return BucketPolicy(
        default=SseMode(rule.encryption) if rule.encryption is not None else default,
        require_encryption_writes=rule.require_encryption is not None,
        require_encryption_reads=rule.require_encryption == "read-write",
        allowed_modes=allowed,
        block_sse_c=rule.block_sse_c,
        passthrough=rule.passthrough,
        identity=rule.identity,
    )


def _trust(networks: list[str]) -> Callable[[str], bool]:
    trusted = [ipaddress.ip_network(network) for network in networks]

    def is_trusted(peer: str) -> bool:
        address = ipaddress.ip_address(peer)
        # What a socket of both families calls an IPv4 peer.
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in trusted)

    return is_trusted


def _store_hosts(host: str) -> frozenset[str]:
    """The store's host as configured, and by every name of this machine if it runs here."""
    name, _, port = host.rpartition(":") if host.rpartition(":")[2].isdigit() else (host, "", "")
    suffix = f":{port}" if port else ""
    hosts = {host}
    with contextlib.suppress(OSError):
        found = {str(info[4][0]) for info in socket.getaddrinfo(name.strip("[]"), None)}
        if any(ipaddress.ip_address(address).is_loopback for address in found):
            found |= {"127.0.0.1", "localhost", "::1"}
        hosts |= {f"{f'[{each}]' if ':' in each else each}{suffix}" for each in found}
    return frozenset(hosts)


def _watch_keys(metrics: Metrics, keys: KeyringService) -> None:
    metrics.keyring_epoch.set_function(lambda: keys.for_reading().epoch)
    metrics.keyring_age_seconds.set_function(lambda: keys.keyring_age_s)
    metrics.settings_age_seconds.set_function(lambda: keys.settings_age_s)


async def _refresh(keys: KeyringService, metrics: Metrics) -> None:
    while True:
        await asyncio.sleep(SETTINGS_REFRESH_S)
        try:
            await keys.refresh()
        except SseProxyError as error:
            log.error("keyring or settings can't be refreshed: %s", error)
            if isinstance(error, IntegrityError):
                metrics.integrity_failures.labels(error.reason).inc()
            elif isinstance(error, StoreError):
                metrics.store_error(error)


@contextlib.asynccontextmanager
async def _background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _listen(
    config: Config, services: Services, tls: ssl.SSLContext | None
) -> AbstractAsyncContextManager[tuple[str, str]]:
    clients, operators = config.listen, config.admin.listen
    return listening(
        services,
        (clients.host, clients.port),
        (operators.host, operators.port),
        tls=tls,
        drain_s=config.limits.shutdown_s,
    )


def _tls_context(config: Config) -> ssl.SSLContext | None:
    if config.tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with _naming("tls", config.tls.cert, config.tls.key):
        context.load_cert_chain(config.tls.cert, config.tls.key)
    return context


@contextlib.contextmanager
def _naming(key: str, *files: Path | None) -> Iterator[None]:
    """Raise ConfigError for what OpenSSL can't read: its own messages name no file."""
    try:
        yield
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror
        names = " and ".join(str(file) for file in files)
        raise ConfigError(f"{names} can't be used: {reason}", key=key) from None
