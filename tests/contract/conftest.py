"""Each store alone, and under two proxies: one that encrypts by default, one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.contract.client import Endpoint
from tests.contract.comparing import Comparison
from tests.proxies import ProxyProcess
from tests.servers import Process

DEFAULTS = {"encrypted": "sse-cos", "plain": "none"}


@contextmanager
def _compared(store: Process, state) -> Iterator[Comparison]:
    endpoints = {"direct": Endpoint(store.endpoint, store.access_key, store.secret_key)}
    with ExitStack() as running:
        # One after the other: the first makes the keyring.
        for name, default in DEFAULTS.items():
            proxy = running.enter_context(
                ProxyProcess(store, state=state, default_encryption=default)
            )
            endpoints[name] = Endpoint(proxy.endpoint, proxy.access_key, proxy.secret_key)
        yield Comparison(endpoints)


@pytest.fixture(scope="session")
def over_seaweedfs(seaweedfs, tmp_path_factory) -> Iterator[Comparison]:
    """SeaweedFS and the proxies over it."""
    with _compared(seaweedfs, tmp_path_factory.mktemp("state")) as comparison:
        yield comparison


@pytest.fixture(scope="session")
def over_minio(minio, tmp_path_factory) -> Iterator[Comparison]:
    """MinIO and the proxies over it."""
    with _compared(minio, tmp_path_factory.mktemp("state")) as comparison:
        yield comparison
