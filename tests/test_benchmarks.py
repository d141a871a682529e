"""The benchmarks' own arithmetic, and what they need of a real store; no timing is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from benchmarks import docs
from benchmarks.accounting import Cost, Way, cpu_seconds, interleaved, restart_peak, status_bytes
from benchmarks.client import Client, UnexpectedAnswer, etag_of, fetched, in_parallel, once
from benchmarks.profile import top_functions
from benchmarks.results import Line, Report, Table, cpu, latency, rate, ratio_of_rates, shown
from benchmarks.signing import REGION, Endpoint, signed_head
from benchmarks.wrk import lua_string
from sseproxy.demo_store import SeaweedFS, free_ports, wait_until

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def cost(seconds: float, **cpu_by_role: float) -> Cost:
    return Cost(seconds, cpu_by_role, amount=2.0)


def test_medians_are_of_rounds() -> None:
    costs = {"a": [cost(1, front=2), cost(2, front=8), cost(4, front=4)]}
    costs["b"] = [cost(2), cost(2), cost(2)]
    assert rate(costs["a"]) == 1.0
    assert cpu(costs["a"], "front") == 2.0
    # Round by round: 2, 1 and 0.5 times as fast.
    assert ratio_of_rates(costs, "a", "b") == 1.0
    assert ratio_of_rates({"a": [cost(1), cost(9)], "b": [cost(2), cost(9)]}, "a", "b") == 1.5


def test_roles_are_added_up_only_where_they_are_asked_for() -> None:
    both = [cost(1, front=2, store=6)]
    assert (cpu(both), cpu(both, "store")) == (4.0, 3.0)


def test_latency_is_absent_where_it_was_not_measured() -> None:
    assert latency([cost(1)], "p50") is None
    measured = [Cost(1, {}, 1, p50_ms=ms) for ms in (1.0, 5.0, 3.0)]
    assert latency(measured, "p50") == 3.0


@pytest.mark.parametrize(
    ("line", "reached"),
    [
        (Line("a", 1.3, 1.3), True),
        (Line("a", 1.31, 1.3), False),
        (Line("a", 1.0, 1.0, at_least=True), True),
        (Line("a", 0.99, 1.0, at_least=True), False),
        (Line("a", 5.0), None),
    ],
)
def test_lines_know_their_limit(line: Line, reached: bool | None) -> None:
    assert line.reached is reached


def test_a_report_as_json_and_markdown() -> None:
    table = Table("T", ["ms", "µs"], [("way", [1234.5, None])])
    report = Report({"CPU": "c"}, {"Python": "3"}, [table], [Line("l", 1.5, 1, at_least=True)])
    data = json.loads(json.dumps(report.as_json()))
    assert data["lines"] == [
        {"name": "l", "value": 1.5, "limit": 1, "at_least": True, "reached": True}
    ]
    assert data["tables"][0]["rows"] == [["way", [1234.5, None]]]
    text = report.as_markdown()
    assert "| l | 1.50 | ≥ 1 | reached |" in text
    assert "| way | 1,234 |  |" in text
    assert [shown(value) for value in (0.012, 0.5, 0.0)] == ["0.012", "0.50", "0.00"]


def test_results_replace_the_block_of_the_page() -> None:
    page = f"before\n{docs.BEGIN}\nold\n{docs.END}\nafter\n"
    assert docs.put_into(page, "new\n") == f"before\n{docs.BEGIN}\nnew\n{docs.END}\nafter\n"
    with pytest.raises(ValueError, match="no"):
        docs.put_into("nothing", "new\n")
    assert docs.put_into(PAGE.read_text(), "new\n")


def test_stacks_of_one_function_are_taken_together() -> None:
    raw = "a (x.py:1);b (y.py:2) 3\na (x.py:9);b (y.py:7) 5\na (x.py:1) 2\n"
    top = {name: (inclusive, own) for inclusive, own, name in top_functions(raw)}
    assert top == {"a (x.py)": (100.0, 20.0), "b (y.py)": (80.0, 80.0)}


def test_any_bytes_are_a_lua_string() -> None:
    assert lua_string(b'"\\\n\0a') == '"\\034\\092\\010\\000\\097"'


class TestAccounting:
    def test_the_work_of_children_counts(self) -> None:
        spin = "import time\nwhile time.process_time() < 0.3: pass\nprint(1, flush=True)\ninput()"
        outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {spin!r}])"
        with subprocess.Popen(
            [sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            assert cpu_seconds(process.pid) >= 0.3
            process.communicate(b"\n")

    def test_a_peak_outlives_what_made_it(self) -> None:
        script = "input(); x = bytearray(50 << 20); del x; print(1, flush=True); input()"
        with subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            base = restart_peak(process.pid)
            process.stdin.write(b"\n")
            process.stdin.flush()
            process.stdout.readline()
            assert status_bytes(process.pid, "VmHWM") - base >= 50 << 20
            process.communicate(b"\n")

    def test_ways_take_turns(self) -> None:
        order: list[str] = []
        ways = {name: Way(lambda name=name: order.append(name)) for name in "ab"}
        costs = interleaved(ways, 2, 5.0, lambda _: None)
        assert order == list("ab" * 3)
        assert [each.amount for each in costs["a"]] == [5.0, 5.0]


@pytest.fixture
def store(seaweedfs: SeaweedFS) -> Iterator[Endpoint]:
    """A bucket of its own for each test."""
    endpoint = Endpoint(seaweedfs.ports[0], seaweedfs.access_key, seaweedfs.secret_key)
    once(endpoint.port, signed_head(endpoint, "PUT", "/bench-client", body=b""))
    yield endpoint
    client = boto3.client(
        "s3",
        endpoint_url=endpoint.url,
        aws_access_key_id=endpoint.access_key,
        aws_secret_access_key=endpoint.secret_key,
        region_name=REGION,
    )
    for item in client.list_objects_v2(Bucket="bench-client").get("Contents", ()):
        client.delete_object(Bucket="bench-client", Key=item["Key"])
    client.delete_bucket(Bucket="bench-client")
    client.close()


class TestClient:
    @pytest.mark.parametrize("size", [0, 1024, 300_000])
    def test_a_real_store_takes_its_requests(self, store: Endpoint, size: int) -> None:
        body = bytes(range(256)) * (size // 256)
        target = f"/bench-client/object-{size}"
        signed = signed_head(store, "PUT", target, body=body)
        unsigned = signed_head(store, "PUT", target, length=len(body))
        for head in (signed, unsigned):
            assert etag_of(once(store.port, head, body))
        get = signed_head(store, "GET", target)
        assert fetched(store.port, get) == body
        with Client(store.port) as client:
            assert b"200" in client.request(get)
            assert b"200" in client.request(get)

    def test_heads_come_back_in_order(self, store: Endpoint) -> None:
        bodies = [bytes([number]) * 10 for number in range(7)]
        requests = [
            (signed_head(store, "PUT", f"/bench-client/{number}", body=body), body)
            for number, body in enumerate(bodies)
        ]
        one_by_one = [etag_of(once(store.port, *request)) for request in requests]
        assert [etag_of(head) for head in in_parallel(store.port, requests, 3)] == one_by_one

    def test_a_refusal_is_no_measurement(self, store: Endpoint) -> None:
        wrong = Endpoint(store.port, store.access_key, "wrong")
        with pytest.raises(UnexpectedAnswer, match="SignatureDoesNotMatch"):
            once(store.port, signed_head(wrong, "GET", "/bench-client/0"))

    @pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
    def test_the_baseline_passes_everything_on(self, store: Endpoint, loop: str) -> None:
        (port,) = free_ports(1)
        script = Path(__file__).parents[1] / "benchmarks" / "bare.py"
        command = [sys.executable, str(script), store.url, str(port), loop]
        relay = Endpoint(port, store.access_key, store.secret_key, signed_for=store.host)
        process = subprocess.Popen(command)
        try:
            wait_until(lambda: _listens(port), 30, lambda: TimeoutError("the relay"))
            for size in (1024, 300_000):
                body = bytes(size)
                target = f"/bench-client/relayed-{size}"
                once(port, signed_head(relay, "PUT", target, length=size), body)
                assert fetched(port, signed_head(relay, "GET", target)) == body
        finally:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    try:
        with Client(port):
            return True
    except OSError:
        return False


def test_names_are_checked_before_anything_starts() -> None:
    command = [sys.executable, "-m", "benchmarks", "run", "--only", "nothing"]
    told = subprocess.run(command, capture_output=True, text=True, cwd=PAGE.parents[1], check=False)
    assert told.returncode == 2
    assert "large" in told.stderr
