"""The credential hook: what it is asked, what its answers mean, and what is kept of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.app import _clients, open_hook
from sseproxy.config import Config, load_config
from sseproxy.errors import ConfigError
from sseproxy.metrics import Metrics
from sseproxy.proxy import credentials
from sseproxy.proxy.credentials import CredentialHook, HookFailed, parse_answer
from sseproxy.s3.faults import S3Error
from sseproxy.secret import Secret
from tests.proxy.conftest import Serve
from tests.proxy.wire import Wire
from tests.store.memory import MemoryStore

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ANSWER = {
    "secret": "hook-secret",
    "store_access_key": "AT-STORE",
    "store_secret": "hook-store-secret",
}


@dataclass
class Service:
    """The service behind the hook. `answers`: by access key; a key that is not there is 404."""

    url: str = ""
    answers: dict[str, object] = field(default_factory=dict)
    asked: list[dict[str, object]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    gate: asyncio.Event | None = None
    response: web.Response | None = None

    async def answer(self, request: web.Request) -> web.Response:
        question = await request.json()
        self.asked.append(question)
        self.headers.append({n.lower(): v for n, v in request.headers.items()})
        if self.gate is not None:
            await self.gate.wait()
        if self.response is not None:
            return self.response
        answer = self.answers.get(question["access_key"])
        if answer is None:
            return web.Response(status=404)
        return web.Response(text=answer if isinstance(answer, str) else json.dumps(answer))


@dataclass
class Setup:
    service: Service
    hook: CredentialHook
    metrics: Metrics
    now: datetime = NOW
    monotonic: float = 1000.0

    def count(self, result: str) -> float:
        name, labels = "sseproxy_credential_hook_requests_total", {"result": result}
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def looked_up(self, result: str) -> float:
        labels = {"cache": "credentials", "result": result}
        name = "sseproxy_cache_lookups_total"
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    async def code(self, access_key: str, token: str | None = None) -> str:
        with pytest.raises(S3Error) as caught:
            await self.hook.find(access_key, token)
        return caught.value.code


@pytest.fixture
async def service(aiohttp_server) -> Service:
    service = Service(answers={"KNOWN": ANSWER})
    application = web.Application()
    application.router.add_post("/s3", service.answer)
    server = await aiohttp_server(application)
    service.url = f"http://127.0.0.1:{server.port}/s3"
    return service


@pytest.fixture
async def setup(service: Service) -> AsyncIterator[Setup]:
    metrics = Metrics()
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        made: Setup
        hook = CredentialHook(
            session,
            service.url,
            metrics=metrics,
            clock=lambda: made.now,
            bearer=Secret("hook-bearer"),
            timeout_s=5,
            cache_s=300,
            refused_store_keys={"SERVICE"},
            monotonic=lambda: made.monotonic,
        )
        made = Setup(service, hook, metrics)
        yield made
        await hook.close()


class TestQuestionAndAnswer:
    async def test_what_is_asked_and_what_comes_of_it(self, setup: Setup) -> None:
        token = "token/+= and more"
        setup.service.answers["TEMP"] = ANSWER | {
            "store_session_token": "at-store-token",
            "expires": "2026-11-24T13:00:00Z",
        }
        client = await setup.hook.find("TEMP", token)
        assert setup.service.asked == [{"access_key": "TEMP", "session_token": token}]
        assert setup.service.headers[0]["authorization"] == "Bearer hook-bearer"
        assert setup.service.headers[0]["content-type"] == "application/json"
        assert (client.access_key, client.secret) == ("TEMP", Secret("hook-secret"))
        store = client.store_credential
        assert (store.access_key, store.secret) == ("AT-STORE", Secret("hook-store-secret"))
        assert store.session_token == Secret("at-store-token")
        assert setup.count("found") == 1
        for secret in ("hook-secret", "hook-store-secret", "at-store-token", "token/"):
            assert secret not in repr(client)

    async def test_long_term_keys(self, setup: Setup) -> None:
        client = await setup.hook.find("KNOWN", None)
        assert setup.service.asked == [{"access_key": "KNOWN", "session_token": None}]
        assert client.store_credential.session_token is None

    async def test_an_unknown_key(self, setup: Setup) -> None:
        assert await setup.code("OTHER") == "InvalidAccessKeyId"
        assert setup.count("unknown") == 1

    @pytest.mark.parametrize("access_key", ["", "a/b", "é", "a b", "x" * 129, "\ud800"])
    async def test_what_can_be_no_key_is_not_asked(self, setup: Setup, access_key: str) -> None:
        assert await setup.code(access_key) == "InvalidAccessKeyId"
        assert await setup.code("KNOWN", "t" * 8193) == "InvalidAccessKeyId"
        assert setup.service.asked == []

    @pytest.mark.parametrize(
        "answer",
        [
            "",
            "no json",
            "[]",
            "[" * 100_000,
            json.dumps(ANSWER | {"secret": None}),
            json.dumps(ANSWER | {"secret": ""}),
            json.dumps(ANSWER | {"secret": 5}),
            json.dumps(ANSWER | {"store_secret": "line\nbreak"}),
            json.dumps(ANSWER | {"store_access_key": "a/b"}),
            json.dumps(ANSWER | {"store_access_key": "SERVICE"}),
            json.dumps(ANSWER | {"store_session_token": "a\r\nb"}),
            json.dumps(ANSWER | {"store_session_token": 5}),
            json.dumps(ANSWER | {"expires": "soon"}),
            json.dumps(ANSWER | {"expires": "2026-11-24T13:00:00"}),
            json.dumps(ANSWER | {"expires": 1795521600}),
            json.dumps({name: ANSWER[name] for name in ("secret", "store_secret")}),
            json.dumps(ANSWER | {"more": "x" * 70_000}),
        ],
        ids=lambda text: text[:40],
    )
    async def test_other_answers_are_failures(
        self, setup: Setup, answer: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        setup.service.answers["KNOWN"] = answer
        assert await setup.code("KNOWN") == "ServiceUnavailable"
        assert setup.count("failed") == 1
        (record,) = caplog.records
        assert "credential hook failed" in record.message
        assert "hook-s" not in record.message

    @pytest.mark.parametrize("status", [204, 301, 307, 400, 401, 403, 500])
    async def test_other_statuses_are_failures(self, setup: Setup, status: int) -> None:
        headers = {"location": setup.service.url}
        setup.service.response = web.Response(status=status, headers=headers)
        assert await setup.code("KNOWN") == "ServiceUnavailable"
        assert len(setup.service.asked) == 1

    async def test_no_answer_in_time_or_at_all(self, setup: Setup, service: Service) -> None:
        setup.hook._timeout_s = 0.01
        setup.service.gate = asyncio.Event()
        assert await setup.code("KNOWN") == "ServiceUnavailable"
        setup.service.gate.set()
        setup.hook._timeout_s = 5
        setup.hook._url = "http://127.0.0.1:9/s3"
        assert await setup.code("KNOWN") == "ServiceUnavailable"
        assert setup.count("failed") == 2

    @given(st.recursive(st.none() | st.text(max_size=5) | st.integers(), st.lists, max_leaves=3))
    def test_any_json_is_an_answer_or_a_failure(self, value: object) -> None:
        for document in (value, *(ANSWER | {name: value} for name in (*ANSWER, "expires"))):
            try:
                found = parse_answer(json.dumps(document).encode(), "A", "token")
            except HookFailed:
                continue
            assert found.client.session_token == Secret("token")


class TestCache:
    async def test_a_found_key_counts_for_a_while(self, setup: Setup) -> None:
        first = await setup.hook.find("KNOWN", None)
        setup.monotonic += 299
        assert await setup.hook.find("KNOWN", None) is first
        assert (len(setup.service.asked), setup.looked_up("hit")) == (1, 1)
        setup.monotonic += 1
        assert await setup.hook.find("KNOWN", None) is not first
        assert (len(setup.service.asked), setup.looked_up("miss")) == (2, 2)

    async def test_an_unknown_key_counts_for_ten_seconds(self, setup: Setup) -> None:
        await setup.code("NEW")
        setup.service.answers["NEW"] = ANSWER
        setup.monotonic += 9
        assert await setup.code("NEW") == "InvalidAccessKeyId"
        setup.monotonic += 1
        assert (await setup.hook.find("NEW", None)).access_key == "NEW"

    async def test_another_token_is_another_question(self, setup: Setup) -> None:
        for token in ("one", "two", None, "one"):
            await setup.hook.find("KNOWN", token)
        assert [asked["session_token"] for asked in setup.service.asked] == ["one", "two", None]

    async def test_never_beyond_its_expiry(self, setup: Setup) -> None:
        setup.service.answers["KNOWN"] = ANSWER | {"expires": "2026-11-24T13:00:10+01:00"}
        await setup.hook.find("KNOWN", "t")
        setup.now += timedelta(seconds=9)
        await setup.hook.find("KNOWN", "t")
        assert len(setup.service.asked) == 1
        setup.now += timedelta(seconds=1)
        assert await setup.code("KNOWN", "t") == "ExpiredToken"
        assert len(setup.service.asked) == 2
        setup.service.answers["KNOWN"] = ANSWER | {"expires": "2026-11-24T14:00:00Z"}
        await setup.hook.find("KNOWN", "t")

    async def test_a_failure_is_not_kept_and_what_is_kept_goes_on(self, setup: Setup) -> None:
        kept = await setup.hook.find("KNOWN", None)
        setup.service.answers["NEW"] = ANSWER
        setup.service.response = web.Response(status=500)
        assert await setup.code("NEW") == "ServiceUnavailable"
        assert await setup.hook.find("KNOWN", None) is kept
        setup.service.response = None
        assert (await setup.hook.find("NEW", None)).access_key == "NEW"

    async def test_it_is_bounded_and_unknown_keys_push_no_known_one_out(
        self, setup: Setup, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(credentials, "MAX_CACHED", 3)
        await setup.hook.find("KNOWN", None)
        for index in range(5):
            await setup.code(f"UNKNOWN{index}")
        sizes = (len(setup.hook._found), len(setup.hook._unknown))
        assert sizes == (1, 3)
        labels = {"cache": "credentials"}
        value = setup.metrics.registry.get_sample_value("sseproxy_cache_entries", labels)
        assert value == 4
        setup.service.asked.clear()
        await setup.hook.find("KNOWN", None)
        await setup.code("UNKNOWN4")
        assert setup.service.asked == []
        await setup.code("UNKNOWN0")
        assert len(setup.service.asked) == 1


class TestOneAtATime:
    async def test_one_question_for_all_who_wait(self, setup: Setup) -> None:
        setup.service.gate = asyncio.Event()
        waiting = [asyncio.create_task(setup.hook.find("KNOWN", "t")) for _ in range(20)]
        while not setup.service.asked:
            await asyncio.sleep(0.001)
        waiting[0].cancel()  # the first to ask hangs up
        await asyncio.sleep(0)
        setup.service.gate.set()
        clients = await asyncio.gather(*waiting[1:])
        assert len(setup.service.asked) == 1
        assert all(client is clients[0] for client in clients)
        assert waiting[0].cancelled()

    async def test_a_failure_is_everybodys(self, setup: Setup) -> None:
        setup.service.gate = asyncio.Event()
        setup.service.response = web.Response(status=500)
        waiting = [asyncio.create_task(setup.code("KNOWN")) for _ in range(5)]
        while not setup.service.asked:
            await asyncio.sleep(0.001)
        setup.service.gate.set()
        assert set(await asyncio.gather(*waiting)) == {"ServiceUnavailable"}
        assert len(setup.service.asked) == 1

    async def test_too_many_at_a_time(self, setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(credentials, "MAX_LOOKUPS", 2)
        await setup.hook.find("KNOWN", None)
        setup.service.gate = asyncio.Event()
        waiting = [asyncio.create_task(setup.code(f"K{index}")) for index in range(2)]
        while len(setup.service.asked) < 3:
            await asyncio.sleep(0.001)
        assert await setup.code("K9") == "SlowDown"
        assert (await setup.hook.find("KNOWN", None)).access_key == "KNOWN"
        setup.service.gate.set()
        await asyncio.gather(*waiting)

    async def test_closing_ends_what_is_asked(self, setup: Setup) -> None:
        setup.service.gate = asyncio.Event()
        waiting = asyncio.create_task(setup.hook.find("KNOWN", None))
        while not setup.service.asked:
            await asyncio.sleep(0.001)
        await setup.hook.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        setup.service.gate.set()


class TestFromTheConfiguration:
    def config(self, folder: Path, more: str) -> Config:
        (folder / "secret").write_text("of-the-hook")
        text = (
            "store: {endpoint: 'http://127.0.0.1:1'}\n"
            "service_account: {access_key: SERVICE, secret: {file: secret}}\n"
            "root_key: {file: root.key}\n"
            "credentials:\n"
            "  - {access_key: A, secret: {file: secret}, session_token: {file: secret}}\n"
        )
        (folder / "sseproxy.yaml").write_text(text + more)
        return load_config(folder / "sseproxy.yaml", {})

    async def test_a_hook_is_opened_and_closed(self, service: Service, tmp_path: Path) -> None:
        more = f"credential_hook: {{url: '{service.url}', secret: {{file: secret}}}}\n"
        config = self.config(tmp_path, more)
        async with open_hook(config, Metrics()) as hook:
            assert hook is not None
            assert (await hook.find("KNOWN", None)).secret == Secret("hook-secret")
            assert service.headers[0]["authorization"] == "Bearer of-the-hook"
            service.answers["KNOWN2"] = ANSWER | {"store_access_key": "SERVICE"}
            with pytest.raises(S3Error, match="ServiceUnavailable"):
                await hook.find("KNOWN2", None)
        with pytest.raises(RuntimeError, match="closed"):
            await hook.find("KNOWN3", None)

    async def test_none_where_none_is_configured(self, tmp_path: Path) -> None:
        async with open_hook(self.config(tmp_path, ""), Metrics()) as hook:
            assert hook is None

    async def test_a_ca_that_can_not_be_read(self, tmp_path: Path) -> None:
        more = "credential_hook: {url: 'https://h/', ca: none.pem}\n"
        with pytest.raises(ConfigError, match=r"credential_hook\.ca: .*none\.pem"):
            async with open_hook(self.config(tmp_path, more), Metrics()):
                pass

    def test_clients_carry_their_tokens(self, tmp_path: Path) -> None:
        client = _clients(self.config(tmp_path, ""))["A"]
        assert client.session_token == Secret("of-the-hook")
        assert client.store_credential.session_token == Secret("of-the-hook")


class TestThroughTheProxy:
    @pytest.fixture
    async def hooked(self, serve: Serve, setup: Setup, store: MemoryStore) -> Wire:
        wire = await serve()
        setup.now = datetime.now(UTC)
        wire.proxy.services.credential_source = setup.hook
        store.requests.clear()
        return wire

    async def test_its_client_reads_and_writes_by_its_store_key(
        self, hooked: Wire, setup: Setup, store: MemoryStore
    ) -> None:
        setup.service.answers["KNOWN"] = ANSWER | {"store_session_token": "at-store"}
        hooked.access_key, hooked.secret_key = "KNOWN", "hook-secret"
        assert (await hooked.put("/data/k", b"there")).status == 200
        assert (await hooked.get("/data/k")).body == b"there"
        assert b"there" not in store.raw("data", "k").data
        for asked in store.requests:
            assert asked.credential is not None
            assert asked.credential.access_key == "AT-STORE"
            assert asked.credential.session_token == Secret("at-store")
        assert len(setup.service.asked) == 1

    async def test_refusals(self, hooked: Wire, setup: Setup, store: MemoryStore) -> None:
        hooked.access_key, hooked.secret_key = "KNOWN", "wrong"
        assert (await hooked.get("/data/k")).code == "SignatureDoesNotMatch"
        hooked.access_key = "OTHER"
        assert (await hooked.get("/data/k")).code == "InvalidAccessKeyId"
        assert store.requests == []

    async def test_configured_clients_are_not_asked_for(self, hooked: Wire, setup: Setup) -> None:
        setup.service.answers["CLIENTKEY"] = ANSWER
        assert (await hooked.put("/data/k", b"x")).status == 200
        assert setup.service.asked == []

    async def test_a_failure_is_503_and_never_anonymous(
        self, hooked: Wire, setup: Setup, store: MemoryStore
    ) -> None:
        setup.service.response = web.Response(status=500)
        hooked.access_key, hooked.secret_key = "KNOWN", "hook-secret"
        for path in ("/data/k", "/public/k"):
            refused = await hooked.get(path)
            assert (refused.status, refused.code) == (503, "ServiceUnavailable")
            assert int(refused.headers["retry-after"]) > 0
        assert store.requests == []
        name = "sseproxy_authentication_failures_total"
        assert hooked.proxy.metric(name, reason="ServiceUnavailable") == 2
