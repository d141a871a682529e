"""Every failure has an answer, and none of them tells what it should not."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from sseproxy import errors
from sseproxy.proxy.translate import TABLE, to_s3_error
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import Dialect
from tests.proxy.samples import RESERVED, SMALL, body_of
from tests.proxy.wire import Wire
from tests.store.memory import MemoryStore

SECRET = "the-message-must-not-leave"


def subclasses(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


def made(kind: type[BaseException]) -> BaseException:
    arguments = {
        errors.IntegrityError: ("segment", SECRET),
        errors.StoreRefused: (500, "Code", SECRET),
    }
    named = {"provider": "local"} if issubclass(kind, errors.KmsError) else {}
    return kind(*arguments.get(kind, (SECRET,)), **named)


OWN = [
    kind
    for kind in (errors.SseProxyError, *subclasses(errors.SseProxyError))
    if kind.__module__ == "sseproxy.errors"
]


@pytest.mark.parametrize("kind", OWN, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("dialect", Dialect)
def test_every_exception_of_ours(kind: type[BaseException], dialect: Dialect) -> None:
    answer = to_s3_error(made(kind), dialect)
    assert 400 <= answer.status < 600
    assert SECRET not in answer.message + "".join(answer.fields.values())


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.StoreUnavailable, 503),
        (errors.StoreProtocolError, 503),
        (errors.StoreCut, 503),
        (errors.StoreRefused, 503),
        (errors.KeyringStale, 503),
        (errors.RecordConflict, 503),
        (errors.KeyUnavailable, 500),
        (errors.IntegrityError, 500),
        (errors.ManifestMissing, 500),
        (errors.UnknownVersion, 500),
        (errors.CustomerKeyMissing, 400),
        (errors.CustomerKeyWrong, 403),
    ],
)
def test_statuses(kind: type[BaseException], status: int) -> None:
    answer = to_s3_error(made(kind), Dialect.S3)
    assert answer.status == status
    assert ("retry-after" in answer.headers) == (status == 503)


def test_an_s3_error_is_itself() -> None:
    error = S3Error(Fault.NoSuchKey)
    assert to_s3_error(error, Dialect.S3) is error


@pytest.mark.parametrize("kind", [ValueError, KeyError, AssertionError, RuntimeError, OSError])
def test_a_defect_is_an_internal_error_without_details(kind: type[Exception]) -> None:
    answer = to_s3_error(kind(SECRET), Dialect.S3)
    assert (answer.status, answer.message) == (500, Fault.InternalError.message)


def test_no_row_hides_behind_its_base() -> None:
    for index, (kind, _, _) in enumerate(TABLE):
        assert not any(issubclass(kind, earlier) for earlier, _, _ in TABLE[:index]), kind


class TestThroughTheServer:
    async def test_a_defect(self, wire: Wire, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
        await wire.put("/data/k", b"x")

        def broken(*_args: object, **_more: object) -> None:
            raise RuntimeError(SECRET)

        monkeypatch.setattr(wire.proxy.services.keymaster, "attribute_key", broken)
        got = await wire.get("/data/k")
        assert (got.status, got.code) == (500, "InternalError")
        assert SECRET.encode() not in got.body
        assert "Traceback" in caplog.text, "the operator sees what the client does not"
        labels = {"operation": "GetObject", "mode": "none", "dialect": "s3", "status": "500"}
        assert wire.proxy.metric("sseproxy_requests_total", **labels) == 1

    async def test_stale_keys_write_nothing(
        self, wire: Wire, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await wire.put("/data/k", b"x")
        store.requests.clear()

        def stale() -> None:
            raise errors.KeyringStale("too old")

        monkeypatch.setattr(wire.proxy.services.keys, "for_writing", stale)
        put = await wire.put("/data/k", b"y")
        assert (put.status, put.code) == (503, "ServiceUnavailable")
        assert "retry-after" in put.headers
        # Whether a bucket is encrypted may have been set meanwhile: nobody knows.
        assert (await wire.put("/plain/k", b"y")).status == 503
        assert (await wire.get("/data/k")).body == b"x"

    async def test_a_key_version_that_is_gone(self, wire: Wire, store: MemoryStore) -> None:
        """An envelope of another keyring: named by an error, never taken for plaintext."""
        await wire.put("/data/k", body_of(SMALL))
        raw = store.raw("data", "k")
        text = raw.headers[RESERVED]
        envelope = bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        envelope[2] ^= 1  # the keyring id
        raw.headers[RESERVED] = base64.urlsafe_b64encode(envelope).decode().rstrip("=")
        got = await wire.get("/data/k")
        assert (got.status, got.code) == (500, "InternalError")
        assert raw.data not in got.body
