"""What an upload has become, where its completion was asked for more than once.

A client repeats a completion whose answer it has not heard, and two clients may complete one
upload at the same moment. Who is told of success has made, or would make, the object there is.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sseproxy.format.derive import composite_etag
from sseproxy.format.names import composite_of
from sseproxy.proxy.cache import SealedObject
from sseproxy.proxy.completion import Completion, check_promises
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.lookup import Look, look
from sseproxy.proxy.uploads import Upload


@dataclass(frozen=True, slots=True)
class Finished:
    """A completed object. headers: of the store's answer; etag: the client's, as bytes.

    store_etag: unquoted; the client's where the object is not encrypted.
    """

    headers: Mapping[str, str]
    etag: bytes
    checksums: Mapping[str, bytes]
    store_etag: str = ""


async def completed_before(
    exchange: Exchange, upload: Upload, completion: Completion
) -> Finished | None:
    """The object that an earlier completion with the same parts has made; None if there is none.

    Raises S3Error for promises that it does not keep, and what `look` raises.
    """
    # As the client itself: the store is not asked for anything else on its behalf.
    seen = await look(exchange.services, exchange.credential, exchange.bucket, exchange.key)
    state = _made_by(upload, seen)
    if state is None:
        return None
    try:
        etag = composite_etag([bytes.fromhex(part.etag) for part in completion.parts])
    except ValueError:
        return None
    if not hmac.compare_digest(etag, state.attributes.etag or b""):
        return None
    check_promises(completion, state.plain_size, state.attributes.checksums)
    kept = ("x-amz-version-id", "x-amz-expiration")
    headers = {name: seen.headers[name] for name in kept if name in seen.headers}
    return Finished(headers, etag, state.attributes.checksums)


async def is_of_list(
    exchange: Exchange, upload: Upload, finished: Finished, store_etags: Sequence[str]
) -> bool:
    """Whether the store's success is about the parts that it was asked for.

    SeaweedFS answers every completion of an upload with the object that the first one made, even
    of other parts. Raises what `look` raises.
    """
    if finished.store_etag == composite_of(store_etags):
        return True
    state = _made_by(upload, await _look_as_allowed(exchange))
    # One that is there no more has been replaced since, whatever it was.
    return state is None or state.attributes.etag == finished.etag


def _made_by(upload: Upload, seen: Look) -> SealedObject | None:
    """The object, if it is the one that the upload has become."""
    state = seen.sealed
    return state if state is not None and state.encoded == upload.record.envelope else None


async def _look_as_allowed(exchange: Exchange) -> Look:
    """A look at the object; one may be allowed to write an object and not to read it."""
    services, bucket, key = exchange.services, exchange.bucket, exchange.key
    seen = await look(services, exchange.credential, bucket, key)
    if seen.status == 403:
        seen = await look(services, services.service_credential, bucket, key)
    return seen
