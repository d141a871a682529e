"""The proxy's answers are the store's, but for the differences that are listed."""

from __future__ import annotations

import pytest

from tests.contract.comparing import Comparison, Found
from tests.contract.differences import ALLOWED
from tests.contract.session import SCENARIOS

BUCKETS = ["plain", "encrypted"]
STORES = ["seaweedfs", pytest.param("minio", marks=pytest.mark.minio)]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def comparison(request: pytest.FixtureRequest, store: str) -> Comparison:
    return request.getfixturevalue(f"over_{store}")


def is_listed(store: str, bucket: str, found: Found) -> bool:
    return any(one.is_about(store, bucket) and one.allows(found) for one in ALLOWED)


@pytest.mark.parametrize("bucket", BUCKETS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_answers_differ_only_as_listed(
    comparison: Comparison, store: str, scenario: str, bucket: str
) -> None:
    found = comparison.found(scenario, bucket)
    assert comparison.steps(scenario, "direct"), "nothing was asked"
    unlisted = [str(one) for one in found if not is_listed(store, bucket, one)]
    assert not unlisted, "\n".join(unlisted)


@pytest.mark.timeout(600)
def test_what_is_listed_occurs(comparison: Comparison, store: str) -> None:
    """Every row in every kind of bucket that it names, every place that it names in one."""
    stale = []
    for one in ALLOWED:
        about = [bucket for bucket in BUCKETS if one.is_about(store, bucket)]
        places: set[str] = set()
        for bucket in about:
            met = [
                place
                for scenario in SCENARIOS
                for found in comparison.found(scenario, bucket)
                if one.allows(found)
                for place in one.matching(found)
            ]
            if not met and one.steady:
                stale.append(f"{one.reason} ({bucket}: {one.where})")
            places.update(met)
        if about and one.steady:
            stale += [f"{one.reason} ({where})" for where in one.where if where not in places]
    assert not stale, "\n".join(stale)
