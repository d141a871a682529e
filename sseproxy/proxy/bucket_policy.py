"""Put-, Get- and DeleteBucketPolicy: conditions on encryption are kept from the store.

A policy is in two places while it has such conditions, and no failure between the two writes may
leave less than the old or the new one asks for: the new conditions hold beside the old ones
before the store hears of the change, and the old ones go only after it has answered
(docs/decisions/0014-policies-on-encryption-are-kept-here.md).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from dataclasses import dataclass, replace

from aiohttp import web

from sseproxy.keys.bucket_settings import BucketSettings
from sseproxy.keys.settings import Settings
from sseproxy.proxy.answer import relay
from sseproxy.proxy.bucket_encryption import newest_settings, read_document
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.passthrough import forward
from sseproxy.s3.bucket_policy import (
    MAX_POLICY_BYTES,
    BucketPolicyDocument,
    parse_bucket_policy,
)
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.headers import (
    forwarded_request_headers,
    forwarded_response_headers,
    without_digests,
)
from sseproxy.s3.policy_document import merged_policy, same_policy
from sseproxy.store.answers import parse_xml, text

# A change that another worker began and did not end is taken over once its request to the store
# can't be under way any more.
STORE_ANSWERS_WITHIN_S = 30.0
_TAKEN_OVER_AFTER_S = 60
_ANSWER_LIMIT_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Answer:
    """A whole answer of the store's. code: of an error, else ""."""

    status: int
    headers: dict[str, str]
    body: bytes
    code: str

    @property
    def done(self) -> bool:
        return self.status < 300

    @property
    def no_policy(self) -> bool:
        return self.status == 404 and self.code == "NoSuchBucketPolicy"

    def relayed(self, exchange: Exchange) -> web.StreamResponse:
        headers = forwarded_response_headers(self.headers)
        return exchange.answer(self.status, headers, self.body)


async def put_bucket_policy(exchange: Exchange) -> web.StreamResponse:
    """PutBucketPolicy. What the store is to hold requests to goes there, the rest stays here."""
    document = await read_document(exchange, MAX_POLICY_BYTES)
    try:
        policy = parse_bucket_policy(document.decode(), exchange.bucket)
    except UnicodeDecodeError:
        raise S3Error(Fault.MalformedPolicy) from None
    if policy is not None and exchange.anonymous:
        raise exchange.anonymous_denied()
    entry = await newest_settings(exchange)
    if policy is None and not entry.policies:
        return (await _send(exchange, "PUT", document)).relayed(exchange)
    return await _change(exchange, policy, document if policy is None else policy.for_store)


async def delete_bucket_policy(exchange: Exchange) -> web.StreamResponse:
    """DeleteBucketPolicy, of both parts."""
    entry = await newest_settings(exchange)
    if not entry.policies:
        return await relay(exchange, await forward(exchange))
    return await _change(exchange, None, None)


async def get_bucket_policy(exchange: Exchange) -> web.StreamResponse:
    """GetBucketPolicy: the document as the client wrote it.

    If the store's part was changed past the proxy: what the store has, and what is kept here.
    """
    policies = exchange.services.keys.settings.of(exchange.bucket).policies
    if not policies:
        return await relay(exchange, await forward(exchange))
    answer = await _send(exchange, "GET")
    if not (answer.done or answer.no_policy):
        return answer.relayed(exchange)
    stored = answer.body if answer.done else None
    for policy in reversed(policies):
        if _is_stored(policy, stored):
            return exchange.answer(200, _JSON, policy.text.encode())
    kept = tuple(statement for policy in policies for statement in policy.kept)
    return exchange.answer(200, _JSON, merged_policy(stored, kept))


_JSON = {"content-type": "application/json"}


def _is_stored(policy: BucketPolicyDocument, stored: bytes | None) -> bool:
    """Whether what the store has is its part of that policy."""
    if policy.for_store is None or stored is None:
        return policy.for_store is stored
    return same_policy(policy.for_store, stored)


def _check_principals(exchange: Exchange, policy: BucketPolicyDocument | None) -> None:
    """Raise S3Error (MalformedPolicy) for a user that nobody is: a misspelt Deny denies nobody.

    With a credential hook, nobody knows them all.
    """
    services = exchange.services
    if policy is None or services.credential_source is not None:
        return
    known = frozenset().union(*(client.names for client in services.clients.values()))
    unknown = policy.principals - known
    if unknown:
        raise S3Error(
            Fault.MalformedPolicy, f"Invalid principal in policy: {', '.join(sorted(unknown))}."
        )


async def _change(
    exchange: Exchange, policy: BucketPolicyDocument | None, for_store: bytes | None
) -> web.StreamResponse:
    """Replace the policy of a bucket in both places. policy: None if nothing is kept of it."""
    if exchange.anonymous:
        raise exchange.anonymous_denied()
    # Before anything changes: who may not even see the policy has no business to change it.
    seen = await _send(exchange, "GET")
    if not (seen.done or seen.no_policy):
        return seen.relayed(exchange)
    _check_principals(exchange, policy)  # whose answer tells which users there are
    before, begun = await _begin(exchange, policy)
    try:
        async with asyncio.timeout(STORE_ANSWERS_WITHIN_S):
            method = "DELETE" if for_store is None else "PUT"
            answer = await _send(exchange, method, for_store)
    except TimeoutError:
        raise S3Error(Fault.ServiceUnavailable, "The object store does not answer.") from None
    if answer.done or (for_store is None and answer.no_policy):
        await _end(exchange, begun, () if policy is None else (policy,))
        return exchange.answer(204)
    if answer.status < 500:
        await _end(exchange, begun, before)
    return answer.relayed(exchange)


async def _begin(
    exchange: Exchange, policy: BucketPolicyDocument | None
) -> tuple[tuple[BucketPolicyDocument, ...], BucketSettings]:
    """Let the new conditions hold beside the old: (the old, the entry as it is now).

    Raises S3Error (OperationAborted) while another change is under way.
    """
    bucket, now = exchange.bucket, int(exchange.services.clock().timestamp())
    before: tuple[BucketPolicyDocument, ...] = ()

    def begin(settings: Settings) -> Settings:
        nonlocal before
        entry = settings.of(bucket)
        before = entry.policies
        repeated = policy is not None and before[-1:] == (policy,)
        if abs(now - entry.pending) < _TAKEN_OVER_AFTER_S and not repeated:
            raise S3Error(Fault.OperationAborted)
        both = before if policy is None or policy in before else (*before, policy)
        return settings.with_bucket(bucket, replace(entry, policies=both, pending=now))

    settings = await exchange.services.keys.update_settings(begin)
    return before, settings.of(bucket)


async def _end(
    exchange: Exchange, begun: BucketSettings, policies: tuple[BucketPolicyDocument, ...]
) -> None:
    """Keep only these, unless another change took over meanwhile."""
    bucket = exchange.bucket

    def end(settings: Settings) -> Settings:
        entry = settings.of(bucket)
        if (entry.policies, entry.pending) != (begun.policies, begun.pending):
            return settings
        return settings.with_bucket(bucket, replace(entry, policies=policies, pending=0))

    await exchange.services.keys.update_settings(end)


async def _send(exchange: Exchange, method: str, document: bytes | None = None) -> _Answer:
    """Ask the store for, give it, or take from it its part of the policy, as the client."""
    headers = without_digests(forwarded_request_headers(exchange.head.headers))
    if document is not None:
        md5 = hashlib.md5(document, usedforsecurity=False).digest()
        headers["content-md5"] = base64.b64encode(md5).decode()
    else:
        headers.pop("content-type", None)
    response = await exchange.send(method, headers, query=[("policy", "")], body=document)
    async with response:
        body = await response.read(_ANSWER_LIMIT_BYTES)
    failed = response.status >= 300 and body
    code = text(parse_xml(body), "Code") if failed else ""
    return _Answer(response.status, response.headers, body, code)
