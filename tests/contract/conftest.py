"""Each store alone, and under two proxies: one that encrypts by default, one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.contract.client import Endpoint
from tests.contract.comparing import Comparison
from tests.proxies import ProxyProcess
from tests.servers import MinIO, Process, SeaweedFS

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
def over_seaweedfs(tmp_path_factory) -> Iterator[Comparison]:
    """SeaweedFS and the proxies over it."""
    # A store of its own: a system bucket belongs to one state folder.
    state = tmp_path_factory.mktemp("state")
    with SeaweedFS() as store, _compared(store, state) as comparison:
        yield comparison


@pytest.fixture(scope="session")
def over_minio(tmp_path_factory) -> Iterator[Comparison]:
    """MinIO and the proxies over it."""
    state = tmp_path_factory.mktemp("state")
    with MinIO() as store, _compared(store, state) as comparison:
        yield comparison
