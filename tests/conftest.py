"""What every layer's tests share: the real stores, and how properties are run."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.servers import MinIO, SeaweedFS

# A terminated session unwinds like an interrupted one: its servers are stopped, not orphaned.
signal.signal(signal.SIGTERM, signal.default_int_handler)

# Without a deadline: a busy machine is no defect of what is tested.
settings.register_profile("sseproxy", deadline=None)
settings.load_profile("sseproxy")


@pytest.fixture(scope="session")
def seaweedfs() -> Iterator[SeaweedFS]:
    """SeaweedFS with signatures checked; anyone may read buckets named `public*`."""
    with SeaweedFS() as store:
        yield store


@pytest.fixture(scope="session")
def minio() -> Iterator[MinIO]:
    """MinIO; a test that uses it carries `@pytest.mark.minio`."""
    with MinIO() as store:
        yield store


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command that configures logging in this process leaves the next test alone."""
    root, ours = logging.getLogger(), logging.getLogger("sseproxy")
    levels, handlers = {logger: logger.level for logger in (root, ours)}, list(root.handlers)
    yield
    for logger, level in levels.items():
        logger.setLevel(level)
    root.handlers[:] = handlers
