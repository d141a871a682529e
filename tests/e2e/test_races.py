"""Writers that race through two proxies over one store: conditions hold, nothing said is untrue."""

from __future__ import annotations

import itertools
import random
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from sseproxy.s3.multipart_xml import complete_request
from tests.contract.client import Reply
from tests.e2e.attacks import md5_hex
from tests.e2e.kill_client import S3, TURN, Version, done, xml

WRITERS = 8
LOST = (409, 412)
ABSENT = {"if-none-match": "*"}


@pytest.fixture(
    scope="module", params=["seaweedfs", pytest.param("minio", marks=pytest.mark.minio)]
)
def pair(request, start_proxy) -> tuple[S3, S3]:
    """A client of each proxy, of a bucket that is theirs."""
    store = request.getfixturevalue(request.param)
    bucket = f"races-{uuid.uuid4().hex[:12]}"
    proxies = [start_proxy(store) for _ in range(2)]
    one, two = (S3(p.endpoint, p.access_key, p.secret_key, bucket) for p in proxies)
    done(one.ask("PUT", ""))
    return one, two


@pytest.fixture
def store_name(request, pair) -> str:
    return str(request.node.callspec.params["pair"])


@pytest.fixture
def atomic_completes(store_name: str) -> bool:
    """MinIO looks at the conditions of a completion under the key's lock, SeaweedFS does not
    (docs/compatibility.md)."""
    return store_name == "minio"


def together(calls: Sequence[Callable[[], Reply]]) -> list[Reply]:
    """The answers to requests that begin at the same moment, in order."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], Reply]) -> Reply:
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def new_body(size: int = 100) -> bytes:
    return random.randbytes(size)


def won(replies: Sequence[Reply]) -> list[int]:
    """Which of them succeeded; the others lost and say so."""
    assert {reply.status for reply in replies} <= {200, *LOST}, replies
    return [index for index, reply in enumerate(replies) if reply.status == 200]


# -- one winner ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [100, 700_000])
def test_one_of_many_makes_an_object(pair, size: int) -> None:
    for number in range(5):
        key = f"absent-{size}-{number}"
        bodies = [new_body(size) for _ in range(WRITERS)]

        def put(s3: S3, body: bytes, key: str = key) -> Reply:
            return s3.ask("PUT", key, headers=ABSENT | {TURN: "x"}, body=body)

        calls = [
            lambda s3=s3, body=body: put(s3, body)
            for s3, body in zip(itertools.cycle(pair), bodies, strict=False)
        ]
        winners = won(together(calls))
        assert len(winners) == 1, winners
        for s3 in pair:
            assert s3.see(key) == Version.single(bodies[winners[0]], "x")


def test_a_thousand_racing_writes_lose_none(pair) -> None:
    """Compare and swap: the counter is how many were told that they had increased it."""
    key, each = "counter", 1000 // WRITERS
    pair[0].put(key, Version.single(b"0 start", "x"))

    def count(writer: int) -> int:
        s3, increased = pair[writer % 2], 0
        for _ in range(each):
            seen = done(s3.ask("GET", key))
            body = b"%d %s" % (int(seen.body.split()[0]) + 1, new_body(8).hex().encode())
            reply = s3.ask("PUT", key, headers={"if-match": seen.headers["etag"]}, body=body)
            increased += len(won([reply]))
        return increased

    with ThreadPoolExecutor(WRITERS) as pool:
        increased = sum(pool.map(count, range(WRITERS)))
    values = {int(done(s3.ask("GET", key)).body.split()[0]) for s3 in pair}
    assert values == {increased}
    assert increased >= each, "some writer always wins"


# -- completions --------------------------------------------------------------------------------


def begin(s3: S3, key: str, parts: Sequence[bytes]) -> str:
    upload_id = s3.create(key)
    for number, part in enumerate(parts, 1):
        done(s3.part(key, upload_id, number, part))
    return upload_id


def finish(
    s3: S3,
    key: str,
    upload_id: str,
    number: int,
    part: bytes,
    headers: Mapping[str, str] = {},
) -> Reply:
    """Complete an upload with one part of it."""
    body = complete_request([(number, md5_hex(part))])
    return s3.ask("POST", key, {"uploadId": upload_id}, headers, body)


def test_one_of_many_completes_a_new_object(pair, atomic_completes: bool) -> None:
    for number in range(6):
        key = f"complete-absent-{number}"
        bodies = [new_body() for _ in range(4)]
        uploads = [begin(s3, key, [body]) for s3, body in zip(pair * 2, bodies, strict=True)]
        calls = [
            lambda s3=s3, upload=upload, body=body, key=key: finish(
                s3, key, upload, 1, body, ABSENT
            )
            for s3, upload, body in zip(pair * 2, uploads, bodies, strict=True)
        ]
        winners = won(together(calls))
        assert len(winners) == 1 or (winners and not atomic_completes), winners
        assert pair[0].see(key) in [Version.of_parts([bodies[w]], "new") for w in winners]


def test_completions_and_puts_lose_no_increment(pair, atomic_completes: bool) -> None:
    """The counter, by turns increased by PUT and by multipart upload."""
    key = "counter-in-parts"
    pair[0].put(key, Version.single(b"0 start", "new"))
    bodies: set[bytes] = set()

    def count(writer: int) -> int:
        s3, increased = pair[writer % 2], 0
        for turn in range(20):
            seen = done(s3.ask("GET", key))
            body = b"%d %s" % (int(seen.body.split()[0]) + 1, new_body(8).hex().encode())
            condition = {"if-match": seen.headers["etag"]}
            if (writer + turn) % 2:
                reply = s3.ask("PUT", key, headers=condition | {TURN: "new"}, body=body)
            else:
                reply = finish(s3, key, begin(s3, key, [body]), 1, body, condition)
            if won([reply]):
                increased += 1
                bodies.add(body)
        return increased

    with ThreadPoolExecutor(4) as pool:
        increased = sum(pool.map(count, range(4)))
    left = pair[0].see(key)
    assert left is not None
    assert left.body in bodies
    value = int(left.body.split()[0])
    assert value == increased or (value < increased and not atomic_completes)


def test_two_completions_of_one_upload(pair) -> None:
    """With different lists: the object is that of the one that was told so."""
    for number in range(15):
        key = f"two-lists-{number}"
        parts = [new_body(), new_body(600_000)]
        upload_id = begin(pair[0], key, parts)
        calls = [
            lambda s3=s3, n=n, key=key, u=upload_id, part=part: finish(s3, key, u, n, part)
            for s3, n, part in zip(pair, (1, 2), parts, strict=True)
        ]
        replies = together(calls)
        assert {reply.status for reply in replies} <= {200, 400, 404}, replies
        told = [part for reply, part in zip(replies, parts, strict=True) if reply.status == 200]
        assert len(told) == 1, replies
        for s3 in pair:
            assert s3.see(key) == Version.of_parts(told, "new")


def test_one_list_completed_twice_at_once(pair) -> None:
    """Both are told of the same object, or one that the other was first."""
    for number in range(10):
        key, part = f"one-list-{number}", new_body()
        upload_id = begin(pair[0], key, [part])
        replies = together(
            [
                lambda s3=s3, key=key, u=upload_id, part=part: finish(s3, key, u, 1, part)
                for s3 in pair
            ]
        )
        made = Version.of_parts([part], "new")
        assert 200 in {reply.status for reply in replies} <= {200, 404}, replies
        for reply in replies:
            if reply.status == 200:
                assert xml(reply).findtext("{*}ETag") == f'"{made.etag}"'
        assert pair[1].see(key) == made


def test_a_part_sent_again_while_its_upload_is_completed(pair) -> None:
    """The completion gets the part that it names, or says that there is none."""
    for number in range(15):
        key, old, new = f"part-again-{number}", new_body(), new_body(600_000)
        upload_id = begin(pair[0], key, [old])
        again, complete = together(
            [
                lambda key=key, u=upload_id, new=new: pair[0].part(key, u, 1, new),
                lambda key=key, u=upload_id, old=old: finish(pair[1], key, u, 1, old),
            ]
        )
        assert again.status in (200, 404), again
        assert complete.status in (200, 400), complete
        made = old
        if complete.status == 400:
            assert b"InvalidPart" in complete.body
            assert again.status == 200
            done(finish(pair[1], key, upload_id, 1, new))
            made = new
        for s3 in pair:
            assert s3.see(key) == Version.of_parts([made], "new")


# -- copies, deletions --------------------------------------------------------------------------


def _copies(s3: S3, key: str, stop: threading.Event, turn: Iterator[int]) -> list[int]:
    """Copy an object onto itself until told to stop; the statuses."""
    statuses = []
    while not stop.is_set():
        headers = {
            "x-amz-copy-source": f"/{s3.bucket}/{key}",
            "x-amz-metadata-directive": "REPLACE",
            TURN: f"copy {next(turn)}",
        }
        statuses.append(s3.ask("PUT", key, headers=headers).status)
    return statuses


@pytest.mark.parametrize("size", [100, 600_000])
def test_no_put_is_lost_to_a_copy_onto_itself(pair, size: int) -> None:
    key, stop, turn = f"itself-{size}", threading.Event(), itertools.count()
    pair[0].put(key, Version.single(new_body(size), "put"))
    with ThreadPoolExecutor(2) as pool:
        copying = [pool.submit(_copies, s3, key, stop, turn) for s3 in pair]
        try:
            for number in range(60):
                body, s3 = new_body(size), pair[number % 2]
                s3.put(key, Version.single(body, "put"))
                got = done(s3.ask("GET", key))
                assert got.body == body
                assert got.headers["etag"] == f'"{md5_hex(body)}"'
        finally:
            stop.set()
        statuses = [status for copies in copying for status in copies.result()]
    assert 200 in statuses, "some copies came through"
    # Asked for nothing that could fail, a copy is not told that a condition did.
    assert set(statuses) <= {200, 503}, statuses


def test_a_conditional_put_after_a_deletion_fails(pair) -> None:
    """Whichever comes first, the deleted object stays deleted."""
    for number in range(20):
        key = f"deleted-{number}"
        etag = pair[0].put(key, Version.single(new_body(), "x")).headers["etag"]
        put, deleted = together(
            [
                lambda key=key, etag=etag: pair[0].ask(
                    "PUT", key, headers={"if-match": etag}, body=new_body()
                ),
                lambda key=key: pair[1].ask("DELETE", key),
            ]
        )
        assert put.status in (200, 404, *LOST), put
        assert deleted.status == 204
        assert pair[0].see(key) is None, put


def test_a_deletion_and_a_put_where_nothing_is(pair) -> None:
    """If the PUT was made, it was made behind the deletion: its object is there."""
    for number in range(20):
        key, body = f"made-again-{number}", new_body()
        pair[0].put(key, Version.single(new_body(), "x"))
        put, deleted = together(
            [
                lambda key=key, body=body: pair[0].ask(
                    "PUT", key, headers=ABSENT | {TURN: "x"}, body=body
                ),
                lambda key=key: pair[1].ask("DELETE", key),
            ]
        )
        assert deleted.status == 204
        expected = Version.single(body, "x") if won([put]) else None
        assert pair[1].see(key) == expected


def test_a_conditional_deletion_and_a_put(pair, store_name: str) -> None:
    """A PUT that was made is not deleted by who meant what was there before.

    MinIO ignores conditions on DELETE: there it is, if it came between the look and the DELETE.
    """
    for number in range(20):
        key, body = f"deleted-if-{number}", new_body()
        etag = pair[0].put(key, Version.single(new_body(), "x")).headers["etag"]
        deleted, put = together(
            [
                lambda key=key, etag=etag: pair[0].ask("DELETE", key, headers={"if-match": etag}),
                lambda key=key, body=body: pair[1].ask("PUT", key, headers={TURN: "x"}, body=body),
            ]
        )
        assert put.status == 200
        assert deleted.status in (204, 412)
        seen = pair[0].see(key)
        lost = seen is None and deleted.status == 204 and store_name == "minio"
        assert seen == Version.single(body, "x") or lost
