"""The peak memory of a process and its children, as the kernel counts it."""

from __future__ import annotations

from pathlib import Path


def family(pid: int) -> set[int]:
    """The process and all its descendants."""
    found = {pid}
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found |= family(int(child))
    return found


def status_bytes(pid: int, name: str) -> int:
    """A size of /proc/PID/status: VmRSS (now) or VmHWM (peak)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


class PeakMemory:
    """Over a `with`: how far the peak resident size rose above the size at the start.

    The kernel keeps the peak, so no sampling can miss it. growth_bytes: the sum over the
    processes that were there at the start; set at the end.
    """

    def __init__(self, pid: int) -> None:
        self._before: dict[int, int] = {}
        self._pid = pid
        self.growth_bytes = 0

    def __enter__(self) -> PeakMemory:
        for pid in family(self._pid):
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak restarts from here
            self._before[pid] = status_bytes(pid, "VmRSS")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.growth_bytes = sum(
                status_bytes(pid, "VmHWM") - before for pid, before in self._before.items()
            )
