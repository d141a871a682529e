"""CPU time and memory of processes, as the kernel counts them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MIB = 1 << 20


def family(pid: int) -> set[int]:
    """The process and all its descendants."""
    found = {pid}
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found |= family(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of the process and its descendants so far.

    From schedstat, in nanoseconds: the clock of /proc/PID/stat ticks 100 times a second. A thread
    that ended is not counted; none of the measured programs ends threads under load.
    """
    total = 0
    for each in family(pid):
        for task in Path(f"/proc/{each}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def status_bytes(pid: int, name: str) -> int:
    """A size of /proc/PID/status: VmRSS (now) or VmHWM (peak)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def restart_peak(pid: int) -> int:
    """Let the process's peak memory count from here; the resident bytes now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return status_bytes(pid, "VmRSS")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a piece of work took. cpu: seconds by role; amount: in GB or requests."""

    seconds: float
    cpu: Mapping[str, float]
    amount: float
    p50_ms: float | None = None
    p99_ms: float | None = None

    @property
    def cpu_each(self) -> dict[str, float]:
        """CPU seconds for one unit of the amount, by role."""
        return {role: seconds / self.amount for role, seconds in self.cpu.items()}

    @property
    def rate(self) -> float:
        """Units of the amount a second."""
        return self.amount / self.seconds


@dataclass(frozen=True, slots=True)
class Done:
    """What a way says of its own work, where it knows better than its caller."""

    amount: float
    seconds: float
    p50_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """One way to do the work that others do too.

    run: does it once; what it returns overrides amount and time. pids: the processes to count,
    by role ("front", "store").
    """

    run: Callable[[], Done | None]
    pids: Mapping[str, int] = field(default_factory=dict)


def measured(way: Way, amount: float) -> Cost:
    """Do the work once."""
    before = {role: cpu_seconds(pid) for role, pid in way.pids.items()}
    began = time.perf_counter()
    done = way.run() or Done(amount, time.perf_counter() - began)
    cpu = {role: cpu_seconds(pid) - before[role] for role, pid in way.pids.items()}
    return Cost(done.seconds, cpu, done.amount, done.p50_ms, done.p99_ms)


def interleaved(
    ways: Mapping[str, Way], rounds: int, amount: float, tick: Callable[[str], None]
) -> dict[str, list[Cost]]:
    """All ways in turn, `rounds` times over, so that a slow minute of the machine meets all.

    Each is run once before, uncounted. tick: told the name of the way that starts.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for name, way in ways.items():
        tick(name)
        way.run()
    for _ in range(rounds):
        for name, way in ways.items():
            tick(name)
            costs[name].append(measured(way, amount))
    return costs
