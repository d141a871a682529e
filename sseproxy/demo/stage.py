"""What the steps of the demo work with: the two ends, their clients, and the objects."""

from __future__ import annotations

import hashlib
import secrets
import urllib.error
import urllib.request
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config as BotoConfig
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from sseproxy.demo_store import REGION, Identity, SeaweedFS

BUCKET = "demo"
PUBLIC_BUCKET = "public-demo"
TIMEOUT_S = 20

Arguments = dict[str, str | bytes]
Counters = dict[tuple[str, str], float]  # by name and labels


class StepFailed(Exception):
    """A step saw something else than it should."""


def expect(condition: object, what: str) -> None:
    """Raise StepFailed unless the condition holds: `what` says what should have been."""
    if not condition:
        raise StepFailed(f"expected: {what}")


@dataclass(frozen=True, slots=True)
class Sample:
    """An object of the demo. put, get: boto3's arguments for its mode."""

    name: str
    mode: str
    data: bytes = field(repr=False)
    put: Arguments = field(repr=False)
    get: Arguments = field(repr=False)

    @property
    def marker(self) -> bytes:
        """The start of the plaintext, as nothing else has it."""
        return self.data[:48]

    @property
    def md5(self) -> str:
        """The MD5 of the plaintext, in hex."""
        return hashlib.md5(self.data, usedforsecurity=False).hexdigest()

    @property
    def etag_is_md5(self) -> bool:
        """Whether the ETag is the plaintext's MD5: not for SSE-C, as S3 has it."""
        return "SSECustomerKey" not in self.put

    @property
    def is_sealed(self) -> bool:
        """Whether the proxy encrypts it."""
        return bool(self.put)


def _plaintext(name: str, size: int) -> bytes:
    text = f"PLAINTEXT of {name} {secrets.token_hex(24)}\n".encode()
    # Not compressible: the store would otherwise pack it, and the disk show neither of both.
    return text + secrets.token_bytes(size - len(text))


def make_samples(customer_key: bytes) -> list[Sample]:
    """An object for each mode; their sizes differ, so that the disk tells them apart."""
    own: Arguments = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": customer_key}
    return [
        Sample("plain.bin", "none", _plaintext("plain.bin", 100_000), {}, {}),
        Sample(
            "sse-s3.bin",
            "SSE-S3 (SSE-COS)",
            _plaintext("sse-s3.bin", 200_000),
            {"ServerSideEncryption": "AES256"},
            {},
        ),
        Sample("sse-c.bin", "SSE-C", _plaintext("sse-c.bin", 700_000), own, own),
    ]


@dataclass(slots=True)
class Stage:
    """Store, proxy and their clients while the demo runs. Not for the event loop: boto3 blocks."""

    console: Console
    store: SeaweedFS
    application: Identity
    client_key: tuple[str, str]
    endpoint: str
    admin: str
    folder: Path
    customer_key: bytes = field(repr=False)
    samples: list[Sample] = field(repr=False)
    metrics_before: Counters = field(default_factory=dict)
    s3: Any = None  # boto3 through the proxy, with the client's key
    raw: Any = None  # boto3 straight to the store, with the store's key

    def open_clients(self) -> None:
        """Make the clients; seconds of imports, so not in the event loop."""
        self.s3 = s3_client(self.endpoint, *self.client_key)
        user = self.application
        self.raw = s3_client(self.store.endpoint, user.access_key, user.secret_key)

    def anonymous(self, bucket: str, key: str) -> tuple[int, bytes]:
        """Status and body of an unsigned GET through the proxy."""
        url = f"{self.endpoint}/{bucket}/{key}"
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310  (http)
                return answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read()

    def metrics(self) -> Counters:
        """The counters now, all dialects together."""
        with urllib.request.urlopen(f"{self.admin}/metrics", timeout=TIMEOUT_S) as answer:  # noqa: S310  (http)
            text = answer.read().decode()
        counters: Counters = defaultdict(float)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name.endswith("_total"):
                    counters[sample.name, _labels(sample.labels)] += sample.value
        return counters


def s3_client(endpoint: str, access_key: str, secret_key: str) -> Any:
    """A boto3 client, path style and without retries: what is shown is what was answered."""
    options = BotoConfig(
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"},
        connect_timeout=TIMEOUT_S,
        read_timeout=TIMEOUT_S,
    )
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=REGION,
        config=options,
    )


def _labels(labels: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in labels.items() if name != "dialect")
