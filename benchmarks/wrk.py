"""Load from wrk, a C program: many connections for a few microseconds a request."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.accounting import Done

_SCRIPT = """
local requests = {{ {requests} }}
local next_one = 0
request = function()
    next_one = next_one % #requests + 1
    return requests[next_one]
end
done = function(summary, latency, requests)
    io.write(string.format(
        '\\nRESULT {{"requests": %d, "us": %d, "p50_us": %d, "p99_us": %d, "failed": %d}}\\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        summary.errors.connect + summary.errors.read + summary.errors.write
        + summary.errors.status + summary.errors.timeout))
end
"""


class LoadFailed(Exception):
    """wrk ended badly, or requests failed."""


def lua_string(data: bytes) -> str:
    """A Lua literal of any bytes."""
    return '"' + "".join(f"\\{byte:03d}" for byte in data) + '"'


def loads(
    ports: Sequence[int], requests: Sequence[Sequence[bytes]], connections: int, seconds: float
) -> Done:
    """The requests over and over, to all ports at once; connections: in total.

    requests: for each port its own, heads with bodies. Raises LoadFailed if one is not answered
    with 2xx or 3xx.
    """
    with tempfile.TemporaryDirectory() as folder:
        running = []
        for port, texts in zip(ports, requests, strict=True):
            script = Path(folder) / f"{port}.lua"
            script.write_text(
                _SCRIPT.format(requests=",\n".join(lua_string(text) for text in texts))
            )
            command = ["wrk", "-t1", f"-c{max(1, connections // len(ports))}"]
            command += [f"-d{seconds:g}s", "--timeout", "30s", "-s", str(script)]
            command.append(f"http://127.0.0.1:{port}")
            running.append(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            )
        results = [_result(process.communicate()[0].decode()) for process in running]
    return Done(
        amount=sum(each["requests"] for each in results),
        seconds=max(each["us"] for each in results) / 1e6,
        p50_ms=max(each["p50_us"] for each in results) / 1e3,
        p99_ms=max(each["p99_us"] for each in results) / 1e3,
    )


def _result(output: str) -> dict[str, int]:
    for line in output.splitlines():
        if line.startswith("RESULT "):
            result: dict[str, int] = json.loads(line.removeprefix("RESULT "))
            if result["failed"] or not result["requests"]:
                raise LoadFailed(output)
            return result
    raise LoadFailed(output)
