"""Browser forms as bytes, with policies signed by botocore."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import boto3
from botocore.config import Config

from tests.proxy.wire import Answer, Wire

BOUNDARY = "form-boundary"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"

Pairs = Sequence[tuple[str, str]]


def part(name: str, value: bytes, filename: str | None = None) -> bytes:
    named = f'; filename="{filename}"' if filename is not None else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return head.encode() + value + b"\r\n"


def form_body(
    fields: Mapping[str, str] | Pairs,
    file: bytes | None,
    *,
    filename: str | None = "name.bin",
    after: Pairs = (),
) -> bytes:
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    parts = [part(name, value.encode()) for name, value in pairs]
    if file is not None:
        parts.append(part("file", file, filename))
    parts += [part(name, value.encode()) for name, value in after]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def presigned(
    wire: Wire,
    bucket: str,
    key: str,
    fields: Mapping[str, str] | None = None,
    conditions: list | None = None,
    *,
    version: str = "s3v4",
    expires_s: int = 3600,
    secret_key: str | None = None,
    access_key: str | None = None,
) -> dict[str, str]:
    """The fields of boto3's generate_presigned_post, a condition for each given field."""
    client = boto3.client(
        "s3",
        endpoint_url=wire.proxy.endpoint,
        aws_access_key_id=access_key or wire.access_key,
        aws_secret_access_key=secret_key or wire.secret_key,
        region_name="us-east-1",
        config=Config(signature_version=version, s3={"addressing_style": "path"}),
    )
    given = dict(fields or {})
    if conditions is None:
        conditions = [{name: value} for name, value in given.items()]
    try:
        signed = client.generate_presigned_post(bucket, key, given, conditions, expires_s)
    finally:
        client.close()
    assert signed["url"] == f"{wire.proxy.endpoint}/{bucket}"
    return dict(signed["fields"])


def policy_text(
    conditions: object, *, expires_s: float = 600, now: datetime | None = None, **more: object
) -> str:
    """A policy as the field has it, not signed."""
    moment = (now or datetime.now(UTC)) + timedelta(seconds=expires_s)
    document = {"expiration": moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "conditions": conditions}
    return base64.b64encode(json.dumps(document | more).encode()).decode()


async def post(
    wire: Wire,
    bucket: str,
    fields: Mapping[str, str] | Pairs,
    file: bytes | None = b"the file",
    headers: Mapping[str, str] | None = None,
    *,
    body: bytes | None = None,
    path: str | None = None,
    filename: str | None = "name.bin",
    after: Pairs = (),
    **more,
) -> Answer:
    """Send a form as a browser does: the request itself carries no signature."""
    more.setdefault("anonymous", True)
    return await wire.request(
        "POST",
        path or f"/{bucket}",
        form_body(fields, file, filename=filename, after=after) if body is None else body,
        {"content-type": CONTENT_TYPE, **(headers or {})},
        **more,
    )
