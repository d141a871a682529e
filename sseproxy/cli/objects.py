"""`inspect` and `decrypt`: raw objects, without proxy or store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sseproxy import offline
from sseproxy.cli.console import fail, say
from sseproxy.errors import ConfigError, SseProxyError

_MANIFEST = "Of a multipart object: the record of its parts, named as in the system bucket."


def inspect(
    thing: Annotated[
        str,
        typer.Argument(
            metavar="OBJECT|ENVELOPE",
            help="An object as the store holds it, or its x-amz-meta-sseproxy (a file, too).",
        ),
    ],
    raw: Annotated[Path | None, typer.Option(help="With an ENVELOPE: its object.")] = None,
    envelope: Annotated[str | None, typer.Option(help="With an OBJECT: its envelope.")] = None,
    root_key: Annotated[Path | None, typer.Option(help="The root key file.")] = None,
    keyring: Annotated[
        Path | None, typer.Option(help="The object `keyring` of the system bucket, as a file.")
    ] = None,
    bucket: Annotated[str | None, typer.Option(help="Bucket (or its identity).")] = None,
    key: Annotated[str | None, typer.Option(help="Object key.")] = None,
    manifest: Annotated[Path | None, typer.Option(help=_MANIFEST)] = None,
) -> None:
    """What a stored object says of itself: mode, key ids, sizes and format version.

    Without any key. ETag and checksums need object, envelope and all of the other options.
    """
    if offline.is_raw_object(thing):
        raw = Path(thing)
    else:
        envelope = thing
    try:
        rows = []
        if envelope is not None:
            envelope = offline.envelope_argument(envelope)
            rows += offline.describe(envelope)
        if raw is not None:
            rows += offline.describe_raw(raw)
        if any(option is not None for option in (root_key, keyring, bucket, key)):
            if not (raw and envelope and root_key and keyring and bucket and key):
                raise ConfigError(
                    "ETag and checksums need an object and its envelope, and all of "
                    "--root-key, --keyring, --bucket, --key"
                )
            sources = offline.Sources(raw, root_key, keyring, manifest=manifest)
            rows += offline.describe_sealed(sources, envelope, bucket, key)
    except (SseProxyError, OSError) as error:
        fail(error)
    for name, value in rows:
        say(f"{name:<22}{value}")


def decrypt(
    raw: Annotated[Path, typer.Argument(help="The object as the store holds it.")],
    output: Annotated[Path, typer.Argument(help="Where the plaintext goes; must not exist.")],
    envelope: Annotated[str, typer.Option(help="x-amz-meta-sseproxy of the object, or a file.")],
    bucket: Annotated[str, typer.Option(help="Bucket (or its identity in the YAML).")],
    key: Annotated[str, typer.Option(help="Object key.")],
    root_key: Annotated[Path, typer.Option(help="The root key file.")],
    keyring: Annotated[
        Path, typer.Option(help="The object `keyring` of the system bucket, as a file.")
    ],
    customer_key: Annotated[
        Path | None, typer.Option(help="File with the SSE-C key: 32 bytes, or base64 of them.")
    ] = None,
    manifest: Annotated[Path | None, typer.Option(help=_MANIFEST)] = None,
) -> None:
    """Open a raw object offline, without proxy or store."""
    sources = offline.Sources(raw, root_key, keyring, customer_key, manifest)
    try:
        text = offline.envelope_argument(envelope)
        size = offline.decrypt(sources, text, bucket, key, output)
    except (SseProxyError, OSError) as error:
        fail(error)
    say(f"{output}: {size} bytes, verified")
