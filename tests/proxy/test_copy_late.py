"""A store that answers a copy at once, sends white space while it works, and says the end late."""

from __future__ import annotations

import pytest

from tests.proxy.copy_samples import create
from tests.proxy.samples import LARGE, body_of
from tests.proxy.wire import Answer, Wire
from tests.store.memory import MemoryResponse, MemoryStore

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
WAITING = b" \n" * 500


def error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>Said late.</Message></Error>".encode()


@pytest.fixture
def late(store: MemoryStore, monkeypatch: pytest.MonkeyPatch):
    """Answer every copy with 200 and this body; None: with the store's own, after white space."""
    send = store.send

    def arrange(body: bytes | None) -> None:
        async def answering(*target, headers=None, **more) -> MemoryResponse:
            if "x-amz-copy-source" not in (headers or {}):
                return await send(*target, headers=headers or {}, **more)
            if body is not None:
                return MemoryResponse(200, {"content-type": "application/xml"}, body)
            response = await send(*target, headers=headers, **more)
            return MemoryResponse(200, response.headers, WAITING + await response.read())

        monkeypatch.setattr(store, "send", answering)

    return arrange


async def copies(wire: Wire, store: MemoryStore) -> dict[str, Answer]:
    """Every copy that the store makes: of ciphertext, of plaintext, as a part."""
    upload = await create(wire, "/plain/parts")
    query = {"partNumber": "1", "uploadId": upload}
    return {
        "sealed": await wire.copy("data/from", "/data/to"),
        "plain": await wire.copy("plain/from", "/plain/to"),
        "part": await wire.copy("plain/from", "/plain/parts", query=query),
    }


@pytest.fixture(autouse=True)
async def sources(wire: Wire) -> None:
    for bucket in ("data", "plain"):
        await wire.put(f"/{bucket}/from", body_of(LARGE))


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("InternalError", 500, "InternalError"),
        ("SlowDown", 503, "SlowDown"),
        ("PreconditionFailed", 412, "PreconditionFailed"),
        ("AccessDenied", 403, "AccessDenied"),
        ("XSomethingOfItsOwn", 500, "InternalError"),
    ],
)
async def test_an_error(
    wire: Wire, store: MemoryStore, late, code: str, status: int, told: str
) -> None:
    """Nothing has been sent yet, so it is told as the error that it is."""
    for body in (error(code), DECLARATION + WAITING + error(code), WAITING + error(code)):
        late(body)
        for kind, answer in (await copies(wire, store)).items():
            assert (answer.status, answer.code) == (status, told), kind
            assert "Said late." in str(answer.text("Message"))


async def test_a_success(wire: Wire, store: MemoryStore, late) -> None:
    late(None)
    for kind, answer in (await copies(wire, store)).items():
        assert (answer.status, answer.code) == (200, None), kind
        assert answer.text("ETag"), kind
    assert (await wire.get("/data/to")).body == body_of(LARGE)


async def test_neither(wire: Wire, store: MemoryStore, late) -> None:
    for body in (b"", b"<html/>", b"<CopyObj", WAITING):
        late(body)
        for kind, answer in (await copies(wire, store)).items():
            assert (answer.status, answer.code) == (503, "ServiceUnavailable"), kind
