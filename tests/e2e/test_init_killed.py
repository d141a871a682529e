"""`sseproxy init` killed at any step: the next run completes it, with one keyring."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from sseproxy.demo_store import ALL_ACTIONS
from tests.servers import Identity, SeaweedFS

SERVICE = Identity("service", "sseproxy", "service-secret-of-the-tests", ALL_ACTIONS)


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """What tests.e2e.kill_points prints, over a store of its own."""
    with SeaweedFS(identities=[SERVICE]) as store:
        folder = tmp_path_factory.mktemp("killed")
        command = [sys.executable, "-m", "tests.e2e.kill_points", str(folder), store.endpoint]
        done = subprocess.run(
            [*command, store.access_key, store.secret_key],
            env={**os.environ, "SSEPROXY_SERVICE_SECRET": SERVICE.secret_key},
            stdout=subprocess.PIPE,
            timeout=200,
            check=True,
        )
    return json.loads(done.stdout)


def test_every_step_was_a_point(points):
    steps = " ".join(point["step"] for point in points)
    for step in (
        "before os.rename clients.txt.tmp",
        "before os.rename sseproxy.yaml.tmp",
        "before os.rename root.key.tmp",
        "before PUT settings-",
        "after PUT settings-",
        "before PUT keyring",
        "after PUT keyring",
    ):
        assert step in steps
    assert steps.count("before os.rename root.key.tmp") == 2  # marked pending, and cleared
    assert all(point["killed"] for point in points)


def test_the_next_run_completes_it(points):
    for point in points:
        assert point["statuses"] == [0, 0], (point["step"], point["log"])
        assert point["pending"] is False
        settings = f"settings-{point['keyring']}"
        wanted = {"clients.txt", "sseproxy.yaml", "root.key", "keyring", settings}
        assert wanted <= set(point["records"]), point["step"]
        assert not [name for name in point["records"] if name.endswith(".tmp")]


def test_one_more_run_changes_nothing(points):
    assert [point["step"] for point in points if point["changed"]] == []
