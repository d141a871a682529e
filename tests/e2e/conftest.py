"""The proxy as a process over the real stores, plain and with TLS.

`any_proxy` runs a test over each store; the named fixtures are for tests that need just one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.proxies import ProxyProcess


@pytest.fixture(scope="session")
def start_proxy(tmp_path_factory) -> Iterator[Callable[..., ProxyProcess]]:
    """Start proxies over a store that share one state folder, and so its keyring."""
    with ExitStack() as stack:
        states = {}

        def start(store, **options) -> ProxyProcess:
            if store.endpoint not in states:
                states[store.endpoint] = tmp_path_factory.mktemp("state")
            state = states[store.endpoint]
            return stack.enter_context(ProxyProcess(store, state=state, **options))

        yield start


@pytest.fixture(scope="session")
def proxy_http(start_proxy, seaweedfs) -> ProxyProcess:
    """`sseproxy serve` over SeaweedFS, SSE-COS by default."""
    return start_proxy(seaweedfs)


@pytest.fixture(scope="session")
def proxy_https(start_proxy, seaweedfs) -> ProxyProcess:
    """The same with TLS."""
    return start_proxy(seaweedfs, tls=True)


@pytest.fixture(scope="session")
def proxy_http_minio(start_proxy, minio) -> ProxyProcess:
    """`sseproxy serve` over MinIO."""
    return start_proxy(minio)


@pytest.fixture(scope="session")
def proxy_https_minio(start_proxy, minio) -> ProxyProcess:
    """The same with TLS."""
    return start_proxy(minio, tls=True)


@pytest.fixture(params=["proxy_http", pytest.param("proxy_http_minio", marks=pytest.mark.minio)])
def any_proxy(request) -> ProxyProcess:
    """The proxy over each store in turn."""
    return request.getfixturevalue(request.param)
