"""Who is asking: the signature of a request checked against the secrets the proxy knows."""

from __future__ import annotations

from collections.abc import Mapping

from sseproxy.proxy.exchange import Client, Exchange, Services
from sseproxy.s3 import sigv2, sigv4
from sseproxy.s3.claims import parse_claim
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.post_signature import PostSignature, parse_post_claim, verify_post
from sseproxy.s3.request import Dialect, RequestHead
from sseproxy.s3.sigv2 import SigV2Claim
from sseproxy.s3.sse_names import DIALECTS
from sseproxy.secret import Secret

_MODE = DIALECTS[Dialect.S3].mode


async def authenticate(exchange: Exchange) -> None:
    """Set `exchange.client`, or leave it None for a request that carries no signature.

    A signature that is there but wrong, expired or of an unknown kind raises S3Error; such a
    request is never taken as anonymous.
    """
    services, head = exchange.services, exchange.head
    claim = parse_claim(head)
    if claim is None:
        return
    if isinstance(claim, SigV2Claim):
        _check_sigv2(services, head)
    client = await find_client(services, claim.access_key, claim.session_token)
    if isinstance(claim, SigV2Claim):
        sigv2.verify(
            claim,
            head,
            client.secret,
            now=services.clock(),
            bucket_of_host=services.addressing.bucket_of_host(head.host),
            hosts_refused=services.refused_hosts,
            hosts_allowed=services.accepted_hosts,
        )
        exchange.signature_version = 2
    else:
        exchange.chunk_signer = sigv4.verify(
            claim,
            head,
            client.secret,
            now=services.clock(),
            hosts_refused=services.refused_hosts,
            hosts_allowed=services.accepted_hosts,
        )
        exchange.signature_version = 4
    exchange.client = client


async def authenticate_form(exchange: Exchange, fields: Mapping[str, str]) -> None:
    """Set `exchange.client` by the signature of a browser form, or leave it None without one.

    fields: all fields of the form that stand before its file. Raises S3Error as `authenticate`.
    What the signed policy allows is the caller's to check.
    """
    services = exchange.services
    claim = parse_post_claim(fields)
    if claim is None:
        return
    if claim.kind is PostSignature.V2:
        _check_sigv2_allowed(services)
    client = await find_client(services, claim.access_key, claim.session_token)
    verify_post(claim, fields, client.secret, services.clock())
    exchange.signature_version = 2 if claim.kind is PostSignature.V2 else 4
    exchange.client = client


async def find_client(services: Services, access_key: str, session_token: str | None) -> Client:
    """The client of an access key, which must come with the session token that it has, if any.

    Raises S3Error: InvalidAccessKeyId, InvalidToken, and what the credential hook raises.
    """
    client = services.clients.get(access_key)
    if client is None:
        if services.credential_source is None:
            raise S3Error(Fault.InvalidAccessKeyId, AWSAccessKeyId=access_key)
        return await services.credential_source.find(access_key, session_token)
    if client.session_token is None:
        if session_token is not None:
            raise S3Error(Fault.InvalidToken, "This access key has no session token.")
    elif session_token is None:
        raise S3Error(Fault.InvalidToken, "This access key needs its session token.")
    elif Secret(session_token.encode("utf-8", "surrogateescape")) != client.session_token:
        raise S3Error(Fault.InvalidToken)
    return client


def _check_sigv2(services: Services, head: RequestHead) -> None:
    _check_sigv2_allowed(services)
    for name, value in (*head.query.items(), *head.headers.items()):
        if name.lower() == _MODE and value.startswith("aws:kms"):
            raise S3Error(
                Fault.InvalidArgument,
                "Requests specifying Server Side Encryption with AWS KMS managed keys require "
                "AWS Signature Version 4.",
                ArgumentName="Authorization",
            )


def _check_sigv2_allowed(services: Services) -> None:
    if not services.allow_sigv2:
        raise S3Error(
            Fault.UnsupportedSignature,
            "The authorization mechanism you have provided is not supported. Please use "
            "AWS4-HMAC-SHA256.",
        )
