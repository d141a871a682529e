"""The measurements by name, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.bench import Bench
from benchmarks.measures import large, listing, memory, multipart, ranges, small, workers

MEASURES: Mapping[str, Callable[[Bench], None]] = {
    "large": large.measure,
    "multipart": multipart.measure,
    "ranges": ranges.measure,
    "small": small.measure,
    "workers": workers.measure,
    "listing": listing.measure,
    "memory": memory.measure,
}
