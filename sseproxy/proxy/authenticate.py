"""Who is asking: the signature of a request checked against the secrets the proxy knows."""

from __future__ import annotations

from sseproxy.proxy.exchange import Exchange
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.sigv4 import parse_claim, verify


def authenticate(exchange: Exchange) -> None:
    """Set `exchange.client`, or leave it None for a request that carries no signature.

    A signature that is there but wrong, expired or of an unknown kind raises S3Error; such a
    request is never taken as anonymous.
    """
    services, head = exchange.services, exchange.head
    claim = parse_claim(head)
    if claim is None:
        return
    client = services.clients.get(claim.access_key)
    if client is None:
        raise S3Error(Fault.InvalidAccessKeyId, AWSAccessKeyId=claim.access_key)
    if claim.session_token is not None:
        raise S3Error(Fault.InvalidToken, "This proxy knows no session tokens.")
    exchange.chunk_signer = verify(
        claim,
        head,
        client.secret,
        now=services.clock(),
        hosts_refused=services.refused_hosts,
        hosts_allowed=services.accepted_hosts,
    )
    exchange.client = client
