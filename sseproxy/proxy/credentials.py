"""The credential hook: secrets of clients that the configuration does not name.

A signature can't be checked without its secret, so an unknown access key is looked up at a service
of the operator's (docs/configuration.md, "Credential hook"). Its answers are cached; while it
fails, what is not cached is refused with 503, and never taken for anonymous.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import aiohttp

from sseproxy.metrics import Metrics
from sseproxy.proxy.exchange import Client
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.secret import Secret
from sseproxy.store.objects import StoreCredential

log = logging.getLogger("sseproxy")

MAX_CACHED = 10_000  # answers of each kind, found and unknown
UNKNOWN_CACHE_S = 10.0  # an access key just made works soon
MAX_LOOKUPS = 64  # at a time: unknown keys cost an attacker nothing
_MAX_TOKEN_BYTES = 8192
_MAX_ANSWER_BYTES = 64 * 1024
_ACCESS_KEY = re.compile("[!-.0-~]{1,128}")
_LINE = re.compile("[!-~]{1,8192}")

_Key = tuple[str, bytes | None]
_Value = TypeVar("_Value")


class HookFailed(Exception):
    """The hook did not answer as documented. The message holds nothing of what it said."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the hook says of an access key. expires: aware, or None."""

    client: Client
    expires: datetime | None


class CredentialHook:
    """Look-ups at one URL, each answer cached for a while, each question asked once at a time.

    bearer: sent as `Authorization: Bearer`. cache_s: how long an answer counts, at most until its
    `expires`. refused_store_keys: store keys that no client may have (the service account's).
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        *,
        metrics: Metrics,
        clock: Callable[[], datetime],
        bearer: Secret | None = None,
        timeout_s: float = 5.0,
        cache_s: float = 300.0,
        refused_store_keys: Collection[str] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session, self._url, self._bearer = session, url, bearer
        self._metrics, self._clock, self._monotonic = metrics, clock, monotonic
        self._timeout_s, self._refused = timeout_s, refused_store_keys
        self._found = _Cache[Found](cache_s, monotonic)
        self._unknown = _Cache[bool](min(cache_s, UNKNOWN_CACHE_S), monotonic)
        self._asking: dict[_Key, asyncio.Task[Found | None]] = {}

    async def find(self, access_key: str, session_token: str | None) -> Client:
        """The client of an access key, with exactly this session token.

        Raises S3Error: InvalidAccessKeyId, ExpiredToken, SlowDown (too many look-ups at a time),
        ServiceUnavailable (the hook fails).
        """
        token = session_token.encode("utf-8", "surrogateescape") if session_token else None
        if not _ACCESS_KEY.fullmatch(access_key) or (token and len(token) > _MAX_TOKEN_BYTES):
            raise _unknown_key(access_key)
        # The token's digest, so that finding it takes the same time whatever was sent.
        key = access_key, hashlib.sha256(token).digest() if token else None
        found = self._found.get(key)
        if found is not None and not self._is_over(found):
            self._looked_up("hit")
            return found.client
        if self._unknown.get(key):
            self._looked_up("hit")
            raise _unknown_key(access_key)
        self._looked_up("miss")
        try:
            found = await self._ask_once(key, access_key, session_token)
        except HookFailed:
            raise S3Error(
                Fault.ServiceUnavailable,
                "The service that knows the access keys does not answer. Please try again.",
            ) from None
        if found is None:
            raise _unknown_key(access_key)
        if self._is_over(found):
            raise S3Error(Fault.ExpiredToken)
        return found.client

    async def close(self) -> None:
        """End the look-ups that are still going on."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask_once(
        self, key: _Key, access_key: str, session_token: str | None
    ) -> Found | None:
        task = self._asking.get(key)
        if task is None:
            if len(self._asking) >= MAX_LOOKUPS:
                raise S3Error(Fault.SlowDown)
            task = asyncio.create_task(self._ask(key, access_key, session_token))
            self._asking[key] = task
            task.add_done_callback(lambda done: self._asked(key, done))
        # A client that hangs up ends its own waiting only.
        return await asyncio.shield(task)

    def _asked(self, key: _Key, task: asyncio.Task[Found | None]) -> None:
        del self._asking[key]
        if not task.cancelled():
            task.exception()  # seen, also where every client that waited has left

    async def _ask(self, key: _Key, access_key: str, session_token: str | None) -> Found | None:
        started = self._monotonic()
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await self._request(access_key, session_token)
        except (HookFailed, TimeoutError, aiohttp.ClientError, OSError) as error:
            self._metrics.credential_hook_requests.labels("failed").inc()
            reason = error if isinstance(error, HookFailed) else type(error).__name__
            log.warning("credential hook failed: %s", reason)
            raise HookFailed from None
        finally:
            self._metrics.credential_hook_seconds.observe(self._monotonic() - started)
        self._metrics.credential_hook_requests.labels("found" if found else "unknown").inc()
        if found is None:
            self._unknown.put(key, True)
        else:
            self._found.put(key, found)
        self._metrics.cache_entries.labels("credentials").set(len(self._found) + len(self._unknown))
        return found

    async def _request(self, access_key: str, session_token: str | None) -> Found | None:
        headers = {"accept": "application/json"}
        if self._bearer is not None:
            headers["authorization"] = f"Bearer {self._bearer.reveal().decode()}"
        question = {"access_key": access_key, "session_token": session_token}
        async with self._session.post(
            self._url, json=question, headers=headers, allow_redirects=False
        ) as answer:
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise HookFailed(f"status {answer.status}")
            body = bytearray()
            async for piece in answer.content.iter_any():
                body += piece
                if len(body) > _MAX_ANSWER_BYTES:
                    raise HookFailed("the answer is too long")
        found = parse_answer(bytes(body), access_key, session_token)
        if found.client.store_credential.access_key in self._refused:
            raise HookFailed("a client may not have the service account's store key")
        return found

    def _is_over(self, found: Found) -> bool:
        return found.expires is not None and self._clock() >= found.expires

    def _looked_up(self, result: str) -> None:
        self._metrics.cache_lookups.labels("credentials", result).inc()


def parse_answer(body: bytes, access_key: str, session_token: str | None) -> Found:
    """What an answer of the hook says. Raises HookFailed for one that is not as documented."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise HookFailed("the answer is no JSON") from None
    if not isinstance(answer, dict):
        raise HookFailed("the answer is no JSON object")
    store_key = _text(answer, "store_access_key")
    if not _ACCESS_KEY.fullmatch(store_key):
        raise HookFailed("store_access_key is no access key")
    store_token = None
    if answer.get("store_session_token") is not None:
        store_token = Secret(_text(answer, "store_session_token"))
    store = StoreCredential(store_key, Secret(_text(answer, "store_secret")), store_token)
    token = Secret(session_token.encode("utf-8", "surrogateescape")) if session_token else None
    client = Client(access_key, Secret(_text(answer, "secret")), store, token)
    return Found(client, _expires(answer.get("expires")))


def _text(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not _LINE.fullmatch(value):
        raise HookFailed(f"{name} is no text of printable ASCII")
    return value


def _expires(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise HookFailed("expires is no RFC 3339 time with its zone")
    return moment


def _unknown_key(access_key: str) -> S3Error:
    return S3Error(Fault.InvalidAccessKeyId, AWSAccessKeyId=access_key)


class _Cache(Generic[_Value]):
    """The answers of the last `seconds`, MAX_CACHED of them at most."""

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self._seconds, self._monotonic = seconds, monotonic
        self._entries: OrderedDict[_Key, tuple[float, _Value]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: _Key) -> _Value | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if self._monotonic() >= entry[0]:
            del self._entries[key]
            return None
        return entry[1]

    def put(self, key: _Key, value: _Value) -> None:
        self._entries.pop(key, None)
        while len(self._entries) >= MAX_CACHED:
            self._entries.popitem(last=False)  # the oldest answer
        self._entries[key] = self._monotonic() + self._seconds, value
