"""Tables of medians and lines with limits; as JSON, for the terminal and for the docs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from benchmarks.accounting import Cost


@dataclass(frozen=True, slots=True)
class Line:
    """A ratio and what it has to be. at_least: the limit is a floor, not a ceiling."""

    name: str
    value: float
    limit: float | None = None
    at_least: bool = False

    @property
    def reached(self) -> bool | None:
        """Whether the limit holds; None without one."""
        if self.limit is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def bound(self) -> str:
        """The limit as a reader sees it."""
        if self.limit is None:
            return ""
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of medians. Cells are formatted when shown: numbers stay numbers in the JSON."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[float | None]]]


@dataclass(slots=True)
class Report:
    """All of one run."""

    machine: Mapping[str, str]
    versions: Mapping[str, str]
    tables: list[Table] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Plain values; every line with `reached`."""
        lines = [{**asdict(line), "reached": line.reached} for line in self.lines]
        tables = [asdict(table) for table in self.tables]
        return {
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "lines": lines,
            "tables": tables,
        }

    def as_markdown(self) -> str:
        """The page's block: the lines first, then what they come from."""
        return "\n".join(self._markdown()) + "\n"

    def _markdown(self) -> Iterator[str]:
        yield "; ".join(f"{name} {value}" for name, value in self.machine.items()) + "."
        yield "; ".join(f"{name} {value}" for name, value in self.versions.items()) + "."
        yield from ("", "| ratio | measured | limit | |", "|---|---|---|---|")
        for line in self.lines:
            yield f"| {line.name} | {shown(line.value)} | {line.bound} | {mark(line)} |"
        for table in self.tables:
            yield from ("", f"**{table.title}**", "")
            yield f"| | {' | '.join(table.columns)} |"
            yield "|---" * (len(table.columns) + 1) + "|"
            for name, cells in table.rows:
                yield f"| {name} | {' | '.join(shown(cell) for cell in cells)} |"


def mark(line: Line) -> str:
    """`reached`, `over`, or nothing."""
    return {None: "", True: "reached", False: "**missed**"}[line.reached]


def shown(value: float | None) -> str:
    """Three significant digits."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 0.095 or not value else f"{value:.3f}"


def rate(costs: Sequence[Cost]) -> float:
    """Median units a second."""
    return median(cost.rate for cost in costs)


def cpu(costs: Sequence[Cost], *roles: str) -> float:
    """Median CPU seconds a unit, of these roles together; of all of them when none is named."""
    return median(
        sum(value for role, value in cost.cpu_each.items() if not roles or role in roles)
        for cost in costs
    )


def ratio_of_rates(costs: Mapping[str, Sequence[Cost]], one: str, other: str) -> float:
    """How many times as fast `one` is; the median over rounds."""
    return median(a.rate / b.rate for a, b in zip(costs[one], costs[other], strict=True))


def latency(costs: Sequence[Cost], percentile: str) -> float | None:
    """Median of a percentile over rounds, milliseconds; None if it was not measured."""
    values = [getattr(cost, f"{percentile}_ms") for cost in costs]
    return None if None in values else median(values)
