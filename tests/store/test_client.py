"""Every fault of a store that the pool has to meet, made by a server of a few lines."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from sseproxy.errors import StoreCut, StoreError, StoreProtocolError, StoreUnavailable
from sseproxy.store.client import HttpPool
from sseproxy.store.connection import INPUT_BYTES
from sseproxy.store.response import ResponseHead
from tests.store.scripted import ScriptedServer, answer, ending, read_head, repeating

SHORT_S = 0.2  # long enough for loopback, short enough to wait for
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def get(pool: HttpPool, target: str = "/", method: str = "GET") -> tuple[int, bytes]:
    async with await pool.request(method, target) as response:
        return response.status, await response.read()


async def run(script: Any, **options: Any) -> tuple[int, bytes]:
    """One GET against the script."""
    async with ScriptedServer(script) as server:
        pool = HttpPool(server.endpoint, **options)
        try:
            return await get(pool)
        finally:
            await pool.close()


# -- connecting -------------------------------------------------------------------------------


async def test_refused_connection_is_unavailable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening
        pool = HttpPool(f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(StoreUnavailable, match="no connection"):
            await pool.request("GET", "/")
        await pool.close()


async def test_tls_handshake_that_never_ends_is_unavailable() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with ScriptedServer(silent) as server:
        endpoint = server.endpoint.replace("http:", "https:")
        pool = HttpPool(endpoint, connect_timeout_s=SHORT_S)
        with pytest.raises(StoreUnavailable, match="in time"):
            await pool.request("GET", "/")
        await pool.close()


async def test_tls_carries_bodies_both_ways_and_checks_the_name() -> None:
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)
    payload = bytes(range(256)) * 8192

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_head(reader)
            body = await reader.readexactly(len(payload))
            writer.write(answer(body))
            await writer.drain()

    async def body() -> AsyncIterator[bytes]:
        for start in range(0, len(payload), 100_000):
            yield payload[start : start + 100_000]

    async with ScriptedServer(echo, ssl_context=server_side) as server:
        pool = HttpPool(server.endpoint, ssl_context=client_side)
        for _ in range(2):
            length = [("content-length", str(len(payload)))]
            async with await pool.request("PUT", "/", length, body()) as response:
                assert await response.read() == payload
        assert server.connections == 1
        await pool.close()
        pool = HttpPool(server.endpoint)  # does not trust the authority
        with pytest.raises(StoreUnavailable, match="no connection"):
            await pool.request("GET", "/")
        await pool.close()


@pytest.mark.parametrize("bad", ["ftp://h", "http://", "http://h/path", "http://u:p@h"])
async def test_an_endpoint_is_scheme_host_and_port(bad: str) -> None:
    with pytest.raises(ValueError):
        HttpPool(bad)


# -- answers ----------------------------------------------------------------------------------


async def test_no_answer_in_time_is_unavailable() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    with pytest.raises(StoreUnavailable, match="did not answer in time"):
        await run(silent, first_byte_timeout_s=SHORT_S)


async def test_closing_without_an_answer_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match="without an answer"):
        await run(ending(b""))


async def test_cut_in_the_head() -> None:
    with pytest.raises(StoreCut, match="was cut"):
        await run(ending(b"HTTP/1.1 200 OK\r\nContent-Le"))


@pytest.mark.parametrize("size", [0, 1, 5, 999])
async def test_cut_in_the_body(size: int) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    with pytest.raises(StoreCut, match="was cut"):
        await run(ending(head + b"x" * size))


@pytest.mark.parametrize("tail", [b"", b"5\r\nab", b"2\r\nab\r\n", b"2\r\nab\r\n0\r\n"])
async def test_cut_in_a_chunked_body(tail: bytes) -> None:
    with pytest.raises(StoreCut, match="was cut"):
        await run(ending(CHUNKED + tail))


async def test_stalled_body() -> None:
    stalled = repeating(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    with pytest.raises(StoreCut, match="stopped"):
        await run(stalled, idle_timeout_s=SHORT_S)


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * INPUT_BYTES,
        CHUNKED + b"zz\r\nab\r\n",
        CHUNKED + b"2\r\nabX\r\n",
    ],
)
async def test_what_is_not_http(garbage: bytes) -> None:
    with pytest.raises(StoreProtocolError):
        await run(repeating(garbage), idle_timeout_s=5, first_byte_timeout_s=5)


async def test_informational_answers_are_skipped() -> None:
    script = repeating(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\n" + answer(b"ok"))
    assert await run(script) == (200, b"ok")


async def test_a_body_without_length_ends_with_the_connection() -> None:
    data = b"z" * (3 * INPUT_BYTES)
    assert await run(ending(b"HTTP/1.1 200 OK\r\n\r\n" + data)) == (200, data)


@pytest.mark.parametrize(
    ("method", "data"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\n\r\n"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("HEAD", CHUNKED),
    ],
)
async def test_answers_without_a_body_leave_the_connection_usable(method: str, data: bytes) -> None:
    async with ScriptedServer(repeating(data, answer(b"next"))) as server:
        pool = HttpPool(server.endpoint)
        assert (await get(pool, method=method))[1] == b""
        assert await get(pool) == (200, b"next")
        assert server.connections == 1
        await pool.close()


async def test_head_keeps_the_length_a_get_would_have() -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nX-A: 1\r\nx-a: 2\r\n\r\n"
    async with ScriptedServer(repeating(data)) as server:
        pool = HttpPool(server.endpoint)
        response = await pool.request("HEAD", "/")
        assert response.content_length == 5000
        assert response.headers["x-a"] == "1, 2"
        await pool.close()


async def test_undecodable_header_bytes_survive() -> None:
    async with ScriptedServer(repeating(answer(headers="X-A: \xff\r\n"))) as server:
        pool = HttpPool(server.endpoint)
        async with await pool.request("GET", "/") as response:
            value = response.headers["x-a"]
        assert value.encode("utf-8", "surrogateescape") == "\xff".encode()
        await pool.close()
    raw = ResponseHead(b"HTTP/1.1 200 OK\r\nX: \xff\xfe\r\n\r\n").headers["x"]
    assert raw.encode("utf-8", "surrogateescape") == b"\xff\xfe"


async def test_chunked_answers_are_joined_and_the_connection_kept() -> None:
    chunks = [b"a" * 10, b"b" * 70_000, b"c"]
    body = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(c), c) for c in chunks)
    data = CHUNKED + body + b"0\r\nX-Trailer: 1\r\n\r\n"
    async with ScriptedServer(repeating(data, answer(b"next"))) as server:
        pool = HttpPool(server.endpoint)
        response = await pool.request("GET", "/")
        assert response.content_length is None
        view = memoryview(bytearray(80_000))
        assert await response.readinto(view[:7]) == 7
        assert await response.readinto(view[7:]) == 70_004
        assert bytes(view[:70_011]) == b"".join(chunks)
        assert await response.readinto(view) == 0
        assert "x-trailer" not in response.headers
        assert await get(pool) == (200, b"next")
        assert server.connections == 1
        await pool.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 300), max_size=8), st.data())
def test_a_chunked_body_may_arrive_in_any_pieces(sizes: list[int], data: st.DataObject) -> None:
    payload = [bytes([65 + i]) * size for i, size in enumerate(sizes)]
    wire = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in payload) + b"0\r\n\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    head = ResponseHead(CHUNKED)
    for start, stop in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        head.feed(wire[start:stop])
    assert (b"".join(head.pieces), head.complete, head.extra) == (b"".join(payload), True, False)


async def test_read_refuses_more_than_its_limit() -> None:
    async with ScriptedServer(repeating(answer(b"x" * 300))) as server:
        pool = HttpPool(server.endpoint)
        response = await pool.request("GET", "/")
        with pytest.raises(StoreProtocolError, match="more than 100 bytes"):
            await response.read(100)
        assert await get(pool) == (200, b"x" * 300)
        assert server.connections == 2  # the unread answer's connection was not used again
        await pool.close()


# -- keeping connections ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first",
    [
        answer(b"one", headers="Connection: close\r\n"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\none",
        answer(b"one") + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong",
        CHUNKED + b"3\r\none\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong",
    ],
)
async def test_a_doubtful_connection_is_not_used_again(first: bytes) -> None:
    async with ScriptedServer(repeating(first, answer(b"wrong"))) as server:
        pool = HttpPool(server.endpoint)
        for expected in (1, 2):
            assert await get(pool) == (200, b"one")
            assert server.connections == expected
        await pool.close()


async def test_a_body_not_read_to_its_end_closes_the_connection() -> None:
    async with ScriptedServer(repeating(answer(b"one"), answer(b"wrong"))) as server:
        pool = HttpPool(server.endpoint)
        response = await pool.request("GET", "/")
        await response.readinto(memoryview(bytearray(2)))
        response.release()
        response.release()
        assert await get(pool) == (200, b"one")
        assert server.connections == 2
        await pool.close()


def stale_after_one(log: list[bytes]) -> Any:
    """A script that answers once, and closes when it sees the next request."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        log.append(await read_head(reader))
        writer.write(answer(b"ok"))
        log.append(await read_head(reader))

    return script


async def test_a_stale_connection_is_retried_once_for_a_read() -> None:
    log: list[bytes] = []
    async with ScriptedServer(stale_after_one(log)) as server:
        pool = HttpPool(server.endpoint)
        assert await get(pool, "/1") == (200, b"ok")
        assert await get(pool, "/2") == (200, b"ok")
        targets = [head.split(b" ", 2)[1] for head in log]
        assert targets == [b"/1", b"/2", b"/2"]
        await pool.close()


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
async def test_a_write_on_a_stale_connection_is_never_sent_twice(method: str) -> None:
    log: list[bytes] = []
    async with ScriptedServer(stale_after_one(log)) as server:
        pool = HttpPool(server.endpoint)
        await get(pool)
        with pytest.raises(StoreUnavailable):
            await pool.request(method, "/w", body=b"data" if method != "DELETE" else None)
        assert [head.split(b" ", 1)[0] for head in log] == [b"GET", method.encode()]
        await pool.close()


async def test_a_new_connection_is_not_retried() -> None:
    async with ScriptedServer(ending(b"")) as server:
        pool = HttpPool(server.endpoint)
        with pytest.raises(StoreUnavailable):
            await get(pool)
        assert server.connections == 1
        await pool.close()


async def test_a_slow_answer_on_a_kept_connection_is_not_retried() -> None:
    async with ScriptedServer(repeating(answer(b"ok"))) as server:
        pool = HttpPool(server.endpoint, first_byte_timeout_s=SHORT_S)
        await get(pool)
        with pytest.raises(StoreUnavailable, match="in time"):
            await get(pool)
        assert server.connections == 1
        await pool.close()


async def test_a_connection_closed_while_idle_is_noticed_before_a_write() -> None:
    closed = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(answer(b"ok"))
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    async with ScriptedServer(script) as server:
        pool = HttpPool(server.endpoint)
        await get(pool)
        await closed.wait()
        while pool.idle_connections:
            await asyncio.sleep(0.001)
        async with await pool.request("PUT", "/", body=b"data") as response:
            assert response.status == 200
        assert server.connections == 2
        await pool.close()


async def test_idle_connections_expire() -> None:
    async with ScriptedServer(repeating(answer(b"ok"), answer(b"ok"))) as server:
        pool = HttpPool(server.endpoint, keepalive_s=0.05)
        await get(pool)
        while pool.idle_connections:
            await asyncio.sleep(0.001)
        await get(pool)
        assert server.connections == 2
        await pool.close()


async def test_no_more_connections_than_allowed_and_every_waiter_is_served() -> None:
    async with ScriptedServer(repeating(*[answer(b"ok")] * 50)) as server:
        pool = HttpPool(server.endpoint, max_connections=2)
        results = await asyncio.gather(*(get(pool) for _ in range(30)))
        assert results == [(200, b"ok")] * 30
        assert server.connections == 2
        await pool.close()


async def test_waiting_for_a_connection_ends_in_time() -> None:
    async with ScriptedServer(repeating(answer(b"held"))) as server:
        pool = HttpPool(server.endpoint, max_connections=1, first_byte_timeout_s=SHORT_S)
        async with await pool.request("GET", "/"):
            with pytest.raises(StoreUnavailable, match="in use"):
                await pool.request("GET", "/")
        await pool.close()


async def test_a_cancelled_request_frees_its_place() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        if b"/answered" in head:
            writer.write(answer(b"ok"))
        await reader.read()

    async with ScriptedServer(script) as server:
        pool = HttpPool(server.endpoint, max_connections=1)
        hung = asyncio.create_task(get(pool, "/hangs"))
        waiting = asyncio.create_task(get(pool, "/answered"))
        while not server.connections:
            await asyncio.sleep(0.001)
        hung.cancel()
        assert await waiting == (200, b"ok")
        await pool.close()


async def test_close_ends_what_is_in_use() -> None:
    async with ScriptedServer(repeating(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")) as server:
        pool = HttpPool(server.endpoint)
        response = await pool.request("GET", "/")
        await pool.close()
        with pytest.raises(StoreError):
            await response.read()
        with pytest.raises(StoreUnavailable, match="have been closed"):
            await pool.request("GET", "/")


# -- requests ---------------------------------------------------------------------------------


async def test_the_request_as_it_is_sent() -> None:
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await read_head(reader)
            heads.append(head)
            length = [h for h in head.split(b"\r\n") if h.lower().startswith(b"content-length")]
            if length:
                await reader.readexactly(int(length[0].split(b":")[1]))
            writer.write(answer())

    async with ScriptedServer(script) as server:
        pool = HttpPool(server.endpoint)
        host = pool.host.encode()
        await pool.request("GET", "/b//k/../x%2F?a=b", [("range", "bytes=0-1")])
        await pool.request("PUT", "/", [("Host", "other")], b"12345")
        await pool.request("POST", "/", [("x-amz-meta-a", "ü")])
        assert heads == [
            b"GET /b//k/../x%2F?a=b HTTP/1.1\r\nHost: " + host + b"\r\nrange: bytes=0-1\r\n\r\n",
            b"PUT / HTTP/1.1\r\nHost: other\r\nContent-Length: 5\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: "
            + host
            + "\r\nx-amz-meta-a: ü\r\nContent-Length: 0\r\n\r\n".encode(),
        ]
        await pool.close()


async def nothing() -> AsyncIterator[bytes]:
    return
    yield b""


@pytest.mark.parametrize(
    ("target", "headers", "body"),
    [
        ("/a b", [], None),
        ("no-slash", [], None),
        ("/", [("x", "a\r\nInjected: 1")], None),
        ("/", [("x", "a\nInjected: 1")], None),
        ("/\r\nHost:x", [], None),
        ("/", [("x", "\0")], None),
        ("/", [("content-length", "4")], b"12345"),
        ("/", [("content-length", "4")], None),
        ("/", [("transfer-encoding", "chunked")], b"12345"),
        ("/", [], nothing()),
    ],
)
async def test_what_can_not_be_sent_is_refused_before_connecting(
    target: str, headers: list[tuple[str, str]], body: Any
) -> None:
    pool = HttpPool("http://127.0.0.1:9")
    with pytest.raises(ValueError):
        await pool.request("PUT", target, headers, body)
    await pool.close()


# -- streamed bodies ----------------------------------------------------------------------------


def declared(size: int) -> list[tuple[str, str]]:
    return [("content-length", str(size))]


async def test_a_reused_buffer_reaches_a_slow_reader_unharmed() -> None:
    rounds, size = 24, 1024 * 1024
    seen = hashlib.sha256()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        left = rounds * size
        while left:
            data = await reader.read(50_000)
            await asyncio.sleep(0)
            seen.update(data)
            left -= len(data)
        writer.write(answer(b"ok"))

    expected = hashlib.sha256()

    async def body() -> AsyncIterator[memoryview]:
        buffer = bytearray(size)
        for index in range(rounds):
            buffer[:] = bytes([index]) * size
            expected.update(buffer)
            yield memoryview(buffer)
            buffer[:] = b"\xff" * size  # what a shared pool would do with it

    async with ScriptedServer(slow) as server:
        pool = HttpPool(server.endpoint)
        async with await pool.request("PUT", "/", declared(rounds * size), body()) as response:
            assert await response.read() == b"ok"
        await pool.close()
    assert seen.digest() == expected.digest()


async def test_the_iterator_is_not_asked_ahead_of_the_store() -> None:
    asked = 0
    go = asyncio.Event()
    total = 400 * 65536

    async def stalled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await go.wait()
        await reader.readexactly(total)
        writer.write(answer())

    async def body() -> AsyncIterator[bytes]:
        nonlocal asked
        for _ in range(400):
            asked += 1
            yield bytes(65536)

    async with ScriptedServer(stalled) as server:
        pool = HttpPool(server.endpoint)
        task = asyncio.create_task(pool.request("PUT", "/", declared(total), body()))
        before = -1
        while asked != before:  # until the kernel's buffers are full
            before = asked
            await asyncio.sleep(0.1)
        assert 0 < asked < 400
        go.set()
        assert (await task).status == 200
        await pool.close()


async def test_an_iterator_that_raises_cuts_the_request() -> None:
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        data = bytearray()
        try:
            while block := await reader.read(65536):
                data += block
        except ConnectionError:
            pass
        received.set_result(bytes(data))

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        raise LookupError("a digest was wrong")

    async with ScriptedServer(script) as server:
        pool = HttpPool(server.endpoint)
        with pytest.raises(LookupError, match="a digest was wrong"):
            await pool.request("PUT", "/", declared(10), body())
        assert len(await received) < 10
        assert server.connections == 1
        await pool.close()


@pytest.mark.parametrize(("size", "word"), [(4, "longer"), (6, "shorter")])
async def test_a_body_of_another_length_than_declared_is_cut(size: int, word: str) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        assert len(await reader.read()) < size

    async def body() -> AsyncIterator[bytes]:
        yield b"12345"

    async with ScriptedServer(script) as server:
        pool = HttpPool(server.endpoint)
        with pytest.raises(ValueError, match=word):
            await pool.request("PUT", "/", declared(size), body())
        await pool.close()


async def test_an_early_refusal_is_returned_while_the_iterator_waits() -> None:
    closed = False

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        writer.write(answer(b"denied", status="403 Forbidden"))
        await reader.read()

    async def body() -> AsyncIterator[bytes]:
        nonlocal closed
        try:
            yield b"first"
            await asyncio.Event().wait()  # a client that never sends the rest
        finally:
            closed = True

    async with ScriptedServer(script) as server:
        pool = HttpPool(server.endpoint)
        response = await pool.request("PUT", "/", declared(100), body())
        assert closed
        assert (response.status, await response.read()) == (403, b"denied")
        assert pool.idle_connections == 0
        await pool.close()


async def test_an_early_refusal_while_the_store_no_longer_reads() -> None:
    """The buffer that is still queued must not be sent once its owner has it back."""
    size = 16 * 1024 * 1024
    marker = b"\xee"
    got = bytearray()
    done = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await reader.readexactly(1000)
        writer.write(answer(b"denied", status="403 Forbidden"))
        await writer.drain()
        await done.wait()
        try:
            while block := await reader.read(65536):
                got.extend(block)
        except ConnectionError:
            pass

    buffer = bytearray(size)

    async def body() -> AsyncIterator[memoryview]:
        try:
            yield memoryview(buffer)
        finally:
            buffer[:] = marker * size

    async with ScriptedServer(script) as server:
        pool = HttpPool(server.endpoint)
        async with await pool.request("PUT", "/", declared(2 * size), body()) as response:
            assert (response.status, await response.read()) == (403, b"denied")
        done.set()
        await pool.close()
    assert marker not in got


async def test_success_before_the_whole_body_is_not_believed() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(answer(b"ok"))
        await reader.read()

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.Event().wait()

    async with ScriptedServer(script) as server:
        pool = HttpPool(server.endpoint)
        with pytest.raises(StoreProtocolError, match="before it had the whole body"):
            await pool.request("PUT", "/", declared(100), body())
        await pool.close()


async def test_an_answer_during_the_iterators_last_step_is_no_early_one() -> None:
    answered = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await read_head(reader)
            await reader.readexactly(5)
            writer.write(answer(b"ok"))
            await writer.drain()
            answered.set()

    async def body() -> AsyncIterator[bytes]:
        yield b"12345"
        await answered.wait()
        await asyncio.sleep(0.01)

    async with ScriptedServer(script) as server:
        pool = HttpPool(server.endpoint)
        for _ in range(2):
            async with await pool.request("PUT", "/", declared(5), body()) as response:
                assert await response.read() == b"ok"
        assert server.connections == 1
        await pool.close()


async def test_a_store_that_closes_in_the_middle_of_an_upload() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await reader.readexactly(5)

    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    async with ScriptedServer(script) as server:
        pool = HttpPool(server.endpoint)
        with pytest.raises(StoreUnavailable):
            await pool.request("PUT", "/", declared(2**40), body())
        await pool.close()


async def test_a_store_that_stops_reading_an_upload() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await asyncio.Event().wait()

    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1024 * 1024

    async with ScriptedServer(script) as server:
        pool = HttpPool(server.endpoint, idle_timeout_s=SHORT_S)
        with pytest.raises(StoreUnavailable, match="in time"):
            await pool.request("PUT", "/", declared(2**40), body())
        await pool.close()


async def test_a_cancelled_upload_closes_iterator_and_connection() -> None:
    gone = asyncio.Event()
    begun = asyncio.Event()
    closed = False

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        begun.set()
        try:
            await reader.read()
        finally:
            gone.set()

    async def body() -> AsyncIterator[bytes]:
        nonlocal closed
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            closed = True

    async with ScriptedServer(script) as server:
        pool = HttpPool(server.endpoint)
        task = asyncio.create_task(pool.request("PUT", "/", declared(100), body()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert closed
        await gone.wait()
        await pool.close()


# -- reading ----------------------------------------------------------------------------------


def sending(total: int, sent: list[int]) -> Any:
    """A script that sends `total` bytes as fast as they are taken, and counts them."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.transport.set_write_buffer_limits(0)
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n".encode())
        block = bytes(range(256)) * 256
        while sent[0] < total:
            writer.write(block)
            await writer.drain()
            sent[0] += len(block)
        await reader.read()

    return script


async def test_the_socket_is_not_read_while_nobody_asks() -> None:
    total, sent = 256 * 1024 * 1024, [0]
    async with ScriptedServer(sending(total, sent)) as server:
        pool = HttpPool(server.endpoint)
        response = await pool.request("GET", "/")
        view = memoryview(bytearray(1024 * 1024))
        for _ in range(2):
            before = -1
            while sent[0] != before:  # until the kernel's buffers are full
                before = sent[0]
                await asyncio.sleep(0.1)
            assert before < total // 2
            assert await response.readinto(view) == len(view)
            assert view == bytes(range(256)) * 4096
        response.release()
        await pool.close()


@pytest.mark.parametrize("size", [1, 1000, 65536, 65537, 1_000_000])
async def test_views_of_any_size_give_the_same_bytes(size: int) -> None:
    total, sent = 2 * 1024 * 1024, [0]
    steps = 200 if size == 1 else total
    async with ScriptedServer(sending(total, sent)) as server:
        pool = HttpPool(server.endpoint)
        response = await pool.request("GET", "/")
        view, position = memoryview(bytearray(size)), 0
        pattern = bytes(range(256)) * (size // 256 + 2)
        while steps and (count := await response.readinto(view)):
            assert view[:count] == pattern[position % 256 :][:count]
            assert count == min(size, total - position)
            position += count
            steps -= 1
        assert position == (200 if size == 1 else total)
        response.release()
        await pool.close()


async def test_a_cancelled_read_gives_the_memory_back() -> None:
    more = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        await more.wait()
        writer.write(b"defghi")
        await reader.read()

    async with ScriptedServer(script) as server:
        pool = HttpPool(server.endpoint)
        response = await pool.request("GET", "/")
        memory = bytearray(9)
        task = asyncio.create_task(response.readinto(memoryview(memory)))
        while memory[:3] != b"abc":
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        more.set()
        assert memory[3:] == bytes(6)
        with pytest.raises(StoreError):
            await response.readinto(memoryview(memory))
        await pool.close()
