"""docs/compatibility.md shows the differences that the tests allow, and no others."""

from __future__ import annotations

from pathlib import Path

from tests.contract.differences import ALLOWED, rows
from tests.contract.session import SCENARIOS

BEGIN, END = "<!-- differences: begin -->", "<!-- differences: end -->"


def test_the_documented_table_is_that_of_the_tests() -> None:
    page = (Path(__file__).parents[2] / "docs" / "compatibility.md").read_text()
    table = page.partition(BEGIN)[2].partition(END)[0].strip().splitlines()
    assert table[2:] == list(rows()), "run `python -m tests.contract.differences` and paste"


def test_every_row_names_scenarios_that_exist() -> None:
    for one in ALLOWED:
        for place in one.where:
            scenario = place.partition(" / ")[0]
            assert "*" in scenario or scenario in SCENARIOS, place
