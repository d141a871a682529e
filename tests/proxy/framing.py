"""aws-chunked bodies, framed and signed from AWS's description, not with the product's code."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence

REGION = "us-east-1"
STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
_EMPTY = hashlib.sha256(b"").hexdigest()


def framed_body(
    chunks: Sequence[bytes],
    headers: Mapping[str, str],
    secret_key: str,
    kind: str,
    trailer: tuple[str, str] | None,
    spoil: int | None,
    spoil_trailer: bool,
) -> bytes:
    """The body in chunks, each signed as the signature in `headers` demands; see `put_chunked`."""
    lower = {name.lower(): value for name, value in headers.items()}
    signature = lower["authorization"].rpartition("Signature=")[2]
    moment = lower["x-amz-date"]
    scope = f"{moment[:8]}/{REGION}/s3/aws4_request"
    key = b"AWS4" + secret_key.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")

    def chain(label: str, what: str) -> str:
        nonlocal signature
        text = f"AWS4-HMAC-SHA256-{label}\n{moment}\n{scope}\n{signature}\n{what}"
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        return signature

    framed = bytearray()
    for index, chunk in enumerate((*chunks, b"")):
        framed += b"%x" % len(chunk)
        if kind != UNSIGNED_TRAILER:
            shown = chain("PAYLOAD", f"{_EMPTY}\n{hashlib.sha256(chunk).hexdigest()}")
            if index == spoil:
                shown = "0" * 64
            framed += f";chunk-signature={shown}".encode()
        framed += b"\r\n" + chunk + (b"\r\n" if chunk else b"")
    if trailer is not None:
        framed += f"{trailer[0]}:{trailer[1]}\r\n".encode()
        if kind == STREAMING_TRAILER:
            digest = hashlib.sha256(f"{trailer[0]}:{trailer[1]}\n".encode()).hexdigest()
            shown = "0" * 64 if spoil_trailer else chain("TRAILER", digest)
            framed += f"x-amz-trailer-signature:{shown}\r\n".encode()
    return bytes(framed + b"\r\n")
