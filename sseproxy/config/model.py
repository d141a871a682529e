"""Every setting, its type, its default, and one line of what it does (docs/configuration.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from sseproxy.config.clients import Credential, parse_credentials
from sseproxy.config.fields import (
    AccessKey,
    Address,
    BucketName,
    DefaultMode,
    Domain,
    Endpoint,
    FilePath,
    HookUrl,
    Host,
    KeyringId,
    ListenAddress,
    Mode,
    Network,
    SecretValue,
)
from sseproxy.config.section import Section

ROOT_KEY_FILE = "root.key"
SYSTEM_BUCKET = "sseproxy-system"


class Admin(Section):
    """The port for operators."""

    listen: ListenAddress = Field(
        default=Address("127.0.0.1", 8081),
        description="address of metrics and health; not for clients",
    )


class Tls(Section):
    """TLS towards clients."""

    cert: FilePath = Field(description="PEM file: the certificate, then its chain")
    key: FilePath = Field(description="PEM file: the certificate's private key")


class Timeouts(Section):
    """How long to wait for the store, in seconds."""

    connect_s: float = Field(default=5.0, gt=0, le=300, description="for a connection")
    first_byte_s: float = Field(
        default=60.0, gt=0, le=3600, description="for the head of an answer"
    )
    idle_s: float = Field(default=60.0, gt=0, le=3600, description="between two pieces of a body")


class Store(Section):
    """The object store behind the proxy."""

    endpoint: Endpoint = Field(description="http(s)://HOST[:PORT] of the store's S3 API")
    region: str = Field(
        default="us-east-1",
        pattern="^[A-Za-z0-9-]{1,64}$",
        description="region that requests are signed for",
    )
    addressing: Literal["path", "virtual"] = Field(
        default="path", description="bucket in the path, or in the host name"
    )
    ca: FilePath | None = Field(
        default=None, description="PEM file of the CA that signed the store's certificate"
    )
    timeouts: Timeouts = Field(default_factory=Timeouts, description="time limits")


class ServiceAccount(Section):
    """The store key of the proxy itself: the system bucket, and reading objects for listings."""

    access_key: AccessKey = Field(description="its access key")
    secret: SecretValue = Field(description="its secret key")


class CredentialHook(Section):
    """A service that knows the secrets of more clients."""

    url: HookUrl = Field(description="where access keys are looked up, by POST")
    secret: SecretValue | None = Field(
        default=None, description="sent to it as `Authorization: Bearer`"
    )
    ca: FilePath | None = Field(
        default=None, description="PEM file of the CA that signed its certificate"
    )
    timeout_s: float = Field(default=5.0, gt=0, le=60, description="seconds for a look-up")
    cache_s: float = Field(
        default=300.0, ge=0, le=86_400, description="seconds that an answer counts"
    )


class RootKey(Section):
    """Where the root key is. Exactly one of the two."""

    file: FilePath | None = Field(default=None, description="the file that `sseproxy init` makes")
    env: str | None = Field(
        default=None, min_length=1, description="environment variable that holds it"
    )

    @model_validator(mode="after")
    def _one(self) -> RootKey:
        if (self.file is None) == (self.env is None):
            raise ValueError("should be either {file: PATH} or {env: NAME}")
        return self


class BucketRule(Section):
    """What holds for one bucket."""

    encryption: DefaultMode | None = Field(
        default=None,
        description="mode of a write that asks for none; default_encryption if not set",
    )
    require_encryption: Literal["write", "read-write"] | None = Field(
        default=None,
        description="write: refuse plaintext writes; read-write: serve no plaintext either",
    )
    allowed_modes: list[Mode] | None = Field(
        default=None, min_length=1, description="the only modes that a write may have"
    )
    block_sse_c: bool = Field(default=False, description="refuse writes with customer keys")
    passthrough: bool = Field(
        default=False,
        description="never encrypt, and let operations through that the proxy doesn't know",
    )
    identity: str | None = Field(
        default=None,
        min_length=1,
        max_length=255,
        description="name that objects are bound to, for a renamed or replicated bucket",
    )


class Limits(Section):
    """Bounds on what the proxy uses."""

    max_requests: int = Field(
        default=1000, ge=1, le=100_000, description="requests at a time; then 503"
    )
    store_connections: int = Field(
        default=256, ge=1, le=10_000, description="connections to the store"
    )
    listing_heads: int = Field(
        default=32, ge=1, le=1000, description="lookups at a time for a listing"
    )
    attribute_cache: int = Field(
        default=100_000,
        ge=0,
        le=10_000_000,
        description="objects whose attributes are cached for listings",
    )
    client_idle_s: float = Field(
        default=60.0, gt=0, le=3600, description="seconds between two pieces of a client's body"
    )
    shutdown_s: float = Field(
        default=30.0, ge=0, le=3600, description="seconds that running requests have when stopping"
    )


class Log(Section):
    """The log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="what is logged"
    )
    format: Literal["text", "json"] = Field(
        default="text", description="lines for people or for programs"
    )


class Config(Section):
    """The whole configuration. `load_config` and `config_from_flags` make it, checked."""

    listen: ListenAddress = Field(
        default=Address("127.0.0.1", 8080),
        description="address for clients; :8080 is all interfaces",
    )
    admin: Admin = Field(default_factory=Admin, description="the operators' port")
    tls: Tls | None = Field(default=None, description="TLS towards clients; plain HTTP if not set")
    store: Store = Field(description="the object store")
    system_bucket: BucketName = Field(
        default=SYSTEM_BUCKET,
        description="bucket of the keyring and settings; does not exist for clients",
    )
    service_account: ServiceAccount = Field(description="the proxy's own store key")
    state: FilePath | None = Field(
        default=None, description="folder of the proxy's own: root key, lock, highest epochs seen"
    )
    root_key: RootKey | None = Field(
        default=None, description="where the root key is; root.key in the state folder if not set"
    )
    keyring_id: KeyringId | None = Field(
        default=None,
        description="32 hex digits; required if the root key comes from the environment",
    )
    min_epoch: int = Field(
        default=1, ge=1, lt=2**32, description="refuse a keyring of a lower epoch than this"
    )
    credentials: Annotated[list[Credential], BeforeValidator(parse_credentials)] = Field(
        min_length=1, description="the clients: a list, or {file: PATH} with a line each"
    )
    credential_hook: CredentialHook | None = Field(
        default=None, description="where access keys are looked up that `credentials` lacks"
    )
    administrators: list[AccessKey] = Field(
        default_factory=list, description="clients who may set a bucket's encryption by API"
    )
    default_encryption: DefaultMode = Field(
        default="none", description="mode of a write that asks for none, where no bucket rule says"
    )
    buckets: dict[BucketName, BucketRule] = Field(
        default_factory=dict, description="rules for single buckets"
    )
    domains: list[Domain] = Field(
        default_factory=list, description="domains of virtual-host style: BUCKET.DOMAIN"
    )
    hosts: list[Host] = Field(
        default_factory=list,
        description="the only Host headers accepted; any but the store's if empty",
    )
    trusted_proxies: list[Network] = Field(
        default_factory=list, description="TLS terminators whose X-Forwarded-Proto is believed"
    )
    allow_sigv2: bool = Field(
        default=True, description="take AWS Signature Version 2 beside Version 4"
    )
    allow_insecure_ssec: bool = Field(default=False, description="allow SSE-C without TLS")
    store_paths: Literal["refuse", "pass"] = Field(
        default="refuse",
        description="MinIO's own paths (/minio/admin, health, metrics): refuse or pass them",
    )
    limits: Limits = Field(default_factory=Limits, description="bounds")
    listing: Literal["exact", "fast"] = Field(
        default="exact",
        description="exact: plaintext sizes and ETags in listings; fast: the store's own",
    )
    log: Log = Field(default_factory=Log, description="the log")

    @property
    def easy_mode_clients(self) -> list[str]:
        """Access keys of clients whose secret the store knows too: it could sign as they do."""
        at_store = {entry.store_pair[1].reveal() for entry in self.credentials}
        at_store.add(self.service_account.secret.reveal())
        return [entry.access_key for entry in self.credentials if entry.secret.reveal() in at_store]

    @property
    def easy_mode(self) -> bool:
        """Whether some client has the same key on both sides (semantics.md, "Who may read")."""
        return bool(self.easy_mode_clients)

    @property
    def root_key_file(self) -> Path | None:
        """The root key's file, or None if it comes from the environment."""
        if self.root_key is not None:
            return self.root_key.file
        return None if self.state is None else self.state / ROOT_KEY_FILE

    @property
    def root_key_env(self) -> str | None:
        """The environment variable with the root key, or None if it is in a file."""
        return None if self.root_key is None else self.root_key.env

    @property
    def store_host(self) -> str:
        """The store's host and port, as in a Host header."""
        return self.store.endpoint.partition("://")[2]
