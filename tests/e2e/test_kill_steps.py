"""The proxy, or the store, killed at each step of a write: old or new, and the client goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.e2e.kill_cases import CASES

_QUICK = "before,amid,sent"
_ALL = "before,amid,end,sent,after"
_OBJECT = ("before PUT object", "amid PUT object", "sent PUT object")
_PART = (
    "before PUT object?partNumber&uploadId",
    "amid PUT object?partNumber&uploadId",
    "sent PUT object?partNumber&uploadId",
    "before PUT part record",
    "sent PUT part record",
)
_CREATE = ("before POST object?uploads", "sent PUT upload record")
_FINISH = ("before PUT manifest", "sent POST object?uploadId", "before POST records?delete")
# Some of the steps that each operation has.
STEPS: dict[str, Sequence[str]] = {
    "PutSmall": ("before PUT object", "sent PUT object"),
    "PutLarge": _OBJECT,
    "PostForm": (*_CREATE, *_PART, *_FINISH),
    "CopyRewrapped": ("sent PUT manifest", "before PUT object", "sent PUT object"),
    "CopyStreamed": _OBJECT,
    "CopyOntoItself": _OBJECT,
    "Create": _CREATE,
    "UploadPart": _PART,
    "UploadPartAgain": _PART,
    "UploadPartCopy": _PART,
    "Complete": _FINISH,
    "CompleteAgain": (),  # it finds that nothing is to be done
    "Abort": ("sent DELETE object?uploadId", "before POST records?delete"),
}
# Store, victim, kinds of steps, operations.
RUNS = [
    pytest.param(("seaweedfs", "proxy", _QUICK, tuple(CASES)), id="seaweedfs-proxy"),
    pytest.param(
        ("seaweedfs", "store", "sent", ("PutLarge", "CopyStreamed", "Complete")),
        id="seaweedfs-store",
    ),
    pytest.param(
        ("seaweedfs", "store", "amid,sent", tuple(CASES)),
        id="seaweedfs-store-all",
        marks=pytest.mark.heavy,
    ),
    pytest.param(("minio", "proxy", _ALL, tuple(CASES)), id="minio-proxy", marks=pytest.mark.minio),
    pytest.param(
        ("minio", "store", "amid,sent", tuple(CASES)), id="minio-store", marks=pytest.mark.minio
    ),
]


@pytest.fixture(scope="module", params=RUNS)
def run(request):
    """What tests.e2e.kill_steps prints; with the victim, and the kinds of steps it died at."""
    store, victim, kinds, cases = request.param
    command = [sys.executable, "-m", "tests.e2e.kill_steps", store, victim, kinds, *cases]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=280, check=True)
    return {"victim": victim, "kinds": kinds.split(","), **json.loads(done.stdout)}


def test_every_step_was_a_point(run):
    for case, points in run["points"].items():
        expected = {step for step in STEPS[case] if step.split()[0] in run["kinds"]}
        assert expected <= {point["step"] for point in points}, case
        # The last is the operation as it is when nothing dies.
        assert points[-1]["step"] == "", case
        assert points[-1]["answered"] in (200, 204), case


def test_old_or_new_and_the_client_goes_on(run):
    for case, points in run["points"].items():
        for point in points:
            assert not point["problem"], (case, point["step"], point["problem"], run["log"])


def test_nobody_is_told_a_lie(run):
    """A dead proxy says nothing; a live one says that its store is gone, unless all was done."""
    allowed = {"proxy": (None,), "store": (None, 200, 204, 503)}[run["victim"]]
    for case, points in run["points"].items():
        for point in points[:-1]:
            assert point["answered"] in allowed, (case, point)


def test_the_disk_holds_no_plaintext(run):
    """Of unfinished uploads and cut bodies neither."""
    assert run["control"], "plaintext is found where there is some"
    assert not run["plaintext"]
