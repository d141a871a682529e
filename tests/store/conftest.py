"""The client's tests run on the loop that the product uses and on asyncio's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from tests.store.case import STORES, Case, cases


@pytest.hookimpl
def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Both loops for test_client.py, uvloop for the rest."""
    loops = {"uvloop": uvloop.new_event_loop}
    if item.path.name == "test_client.py":
        return {**loops, "asyncio": asyncio.new_event_loop}
    return loops


@pytest.fixture(params=STORES)
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    """A store and a fresh bucket; the contract tests run over each."""
    async for made in cases(request):
        yield made
