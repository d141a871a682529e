"""The proxy as tests run it: a process of its own over a real store, or in the test's own loop."""

from __future__ import annotations

import contextlib
import ssl
import sys
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import boto3
import trustme
from aiohttp import web
from botocore.config import Config as BotoConfig

from sseproxy.keys.create import RootKeySource, create_or_resume
from sseproxy.keys.keymaster import Keymaster
from sseproxy.keys.keyring import KeyringService
from sseproxy.metrics import Metrics
from sseproxy.proxy.buffers import BufferPool
from sseproxy.proxy.cache import AttributeCache, ListedEntries, OpenedEnvelopes
from sseproxy.proxy.dispatch import Dispatcher
from sseproxy.proxy.exchange import Client, Limits, Services
from sseproxy.proxy.manifests import Manifests
from sseproxy.proxy.policy import BucketPolicy, Policies
from sseproxy.proxy.server import S3Server
from sseproxy.s3.addressing import Addressing
from sseproxy.s3.sse import SseMode
from sseproxy.secret import Secret
from sseproxy.store.metered import MeteredStore
from sseproxy.store.objects import ObjectStore, StoreCredential
from sseproxy.store.system import SystemBucket
from tests.servers import LOOPBACK, Process

SYSTEM_BUCKET = "sseproxy-system"


def s3_client(endpoint: str, access_key: str, secret_key: str, ca: Path | None = None, **extra):
    """A boto3 client, path style, no retries: what the server answered is what the test sees."""
    options = BotoConfig(
        signature_version="s3v4",
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"},
        **extra,
    )
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
        verify=str(ca) if ca else None,
        config=options,
    )


class ProxyProcess(Process):
    """`sseproxy serve` over a real store, started by flags or by a YAML.

    By default the client's key differs from the store's: `access_key`, `secret_key` are the
    client's. state: the folder of the root key; proxies over one store share it, or the second
    refuses to make a second keyring. tls: serve HTTPS with a certificate of an own CA (`ca_file`).
    """

    name = "sseproxy"
    port_count = 2

    def __init__(
        self,
        store: Process,
        folder: Path | None = None,
        *,
        tls: bool = False,
        default_encryption: str = "sse-cos",
        flags: Sequence[str] = ("--allow-insecure-ssec",),
        yaml: Path | None = None,
        state: Path | None = None,
    ) -> None:
        super().__init__(folder)
        self.state = state or self.folder / "state"
        self.store, self.flags, self.yaml = store, list(flags), yaml
        self.default_encryption = default_encryption
        self.access_key, self.secret_key = "CLIENTKEY000000000001", "client-secret/of+the-tests"
        self.ca_file: Path | None = None
        if tls:
            authority = trustme.CA()
            certificate = authority.issue_cert(LOOPBACK, "localhost", "*.s3.localhost")
            self.ca_file = self.folder / "ca.pem"
            authority.cert_pem.write_to_path(str(self.ca_file))
            certificate.private_key_and_cert_chain_pem.write_to_path(str(self.folder / "tls.pem"))
            pem = str(self.folder / "tls.pem")
            self.flags += ["--tls-cert", pem, "--tls-key", pem]

    @property
    def endpoint(self) -> str:
        return f"{'https' if self.ca_file else 'http'}://{LOOPBACK}:{self.ports[0]}"

    @property
    def admin(self) -> str:
        """The URL of the operators' port."""
        return f"http://{LOOPBACK}:{self.ports[1]}"

    def command(self) -> Sequence[str]:
        start = [sys.executable, "-m", "sseproxy.cli", "serve"]
        if self.yaml is not None:
            return [*start, "--config", str(self.yaml)]
        clients = self.folder / "clients.txt"
        clients.write_text(
            f"{self.access_key} {self.secret_key} {self.store.access_key} {self.store.secret_key}\n"
        )
        clients.chmod(0o600)
        return [
            *start,
            *("--store", self.store.endpoint, "--state", str(self.state)),
            *("--listen", f"{LOOPBACK}:{self.ports[0]}"),
            *("--admin-listen", f"{LOOPBACK}:{self.ports[1]}"),
            *("--default-encryption", self.default_encryption),
            *("--credentials", str(clients)),
            *self.flags,
        ]

    def environment(self) -> Mapping[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.store.access_key,
            "AWS_SECRET_ACCESS_KEY": self.store.secret_key,
        }

    def is_ready(self) -> bool:
        with urllib.request.urlopen(f"{self.admin}/livez", timeout=2) as answer:
            return bool(answer.status == 200)

    def client(self, **extra):
        """boto3 through the proxy, as its client."""
        return s3_client(self.endpoint, self.access_key, self.secret_key, self.ca_file, **extra)

    def raw_client(self):
        """boto3 straight to the store, past the proxy."""
        return s3_client(self.store.endpoint, self.store.access_key, self.store.secret_key)

    def raw_get(self, bucket: str, key: str) -> bytes:
        """What the store holds."""
        return self.raw_client().get_object(Bucket=bucket, Key=key)["Body"].read()

    def metrics(self) -> str:
        with urllib.request.urlopen(f"{self.admin}/metrics", timeout=5) as answer:
            return answer.read().decode()


@dataclass
class InProcess:
    """The proxy in the test's own loop, over any ObjectStore (usually tests.store.memory).

    Clients: ("CLIENTKEY", "client-secret") maps to the store's credential.
    """

    endpoint: str
    services: Services
    store: ObjectStore
    credential: StoreCredential
    access_key: str = "CLIENTKEY"
    secret_key: str = "client-secret"
    extra: dict[str, object] = field(default_factory=dict)

    def client(self, **extra):
        """boto3; call it through `asyncio.to_thread`, as the proxy shares the test's loop."""
        return s3_client(self.endpoint, self.access_key, self.secret_key, **extra)

    def metric(self, name: str, **labels: str) -> float:
        """The value of one metric now, 0 if it was never touched."""
        return self.services.metrics.registry.get_sample_value(name, labels) or 0.0


@contextlib.asynccontextmanager
async def in_process(
    store: ObjectStore,
    credential: StoreCredential,
    folder: Path,
    *,
    policy: BucketPolicy | None = None,
    buckets: Mapping[str, BucketPolicy] | None = None,
    clock=lambda: datetime.now(UTC),
    limits: Limits | None = None,
    allow_insecure_ssec: bool = True,
    administrators: Sequence[str] = ("CLIENTKEY",),
    passes_store_paths: bool = False,
    domains: Sequence[str] = (),
    refused_hosts: Sequence[str] = (),
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[InProcess]:
    """Serve in this loop; keyring and settings are made in the store's system bucket."""
    metrics = Metrics()
    metered = MeteredStore(store, metrics)
    system = SystemBucket(metered, credential, SYSTEM_BUCKET)
    await system.ensure_bucket()
    source = RootKeySource(file=folder / "root.key")
    root, _ = await create_or_resume(system, source, {})
    keys = KeyringService(system, root)
    await keys.start()
    services = Services(
        store=metered,
        clients={"CLIENTKEY": Client("CLIENTKEY", Secret("client-secret"), credential)},
        keys=keys,
        keymaster=Keymaster(keys),
        policies=Policies(policy or BucketPolicy(SseMode.SSE_COS), buckets or {}),
        addressing=Addressing(domains),
        metrics=metrics,
        system_bucket=SYSTEM_BUCKET,
        service_credential=credential,
        records=system,
        clock=clock,
        cache=AttributeCache(metrics),
        opened=OpenedEnvelopes(metrics),
        listed=ListedEntries(metrics),
        manifests=Manifests(system, keys, metrics),
        buffers=BufferPool(),
        refused_hosts=frozenset(refused_hosts),
        allow_insecure_ssec=allow_insecure_ssec,
        administrators=frozenset(administrators),
        passes_store_paths=passes_store_paths,
        limits=limits or Limits(),
    )
    dispatcher = Dispatcher(services)
    runner = web.ServerRunner(S3Server(dispatcher, dispatcher.error_page), shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        yield InProcess(
            f"{'https' if tls else 'http'}://{LOOPBACK}:{port}", services, store, credential
        )
    finally:
        await runner.cleanup()
