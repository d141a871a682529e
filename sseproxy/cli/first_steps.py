"""`init`, which makes a deployment; and `demo`, which needs none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from sseproxy import app
from sseproxy.cli.console import fail, given, load, run, say
from sseproxy.cli.scaffold import check_mapped, write_files
from sseproxy.config.model import Config
from sseproxy.errors import ConfigError
from sseproxy.keys.create import suggested_store_policies

Mode = Literal["none", "sse-cos"]


def init(
    context: typer.Context,
    config: Annotated[
        Path, typer.Argument(help="The YAML to write; one that is there is used as it is.")
    ] = Path("sseproxy.yaml"),
    store: Annotated[
        str, typer.Option(help="URL of the store's S3 API: http(s)://HOST[:PORT].")
    ] = "http://127.0.0.1:9000",
    service_access_key: Annotated[
        str, typer.Option(help="Access key of the proxy's own account at the store.")
    ] = "sseproxy",
    default_encryption: Annotated[
        Mode, typer.Option(help="Mode of a write that asks for none.")
    ] = ("sse-cos"),
) -> None:
    """Make YAML, clients.txt, root key, keyring and settings. Killed at any step, run it again.

    The secret of the service account is read from SSEPROXY_SERVICE_SECRET. Then edit clients.txt,
    and run `sseproxy serve --config sseproxy.yaml`.
    """
    try:
        if not config.exists():
            written = write_files(
                config,
                endpoint=store,
                service_access_key=service_access_key,
                default_encryption=default_encryption,
            )
            say(f"wrote {' and '.join(map(str, written))}")
    except OSError as error:
        fail(error)
    settings = load(config, unmapped_clients=True)
    _refuse_contradiction(context, config, settings)
    keyring_id = run(app.initialise(settings, os.environ))
    say(f"keyring {keyring_id.hex()} is ready")
    if settings.root_key_file is not None:
        say(
            f"root key: {settings.root_key_file} - back it up apart from the store; "
            "without it nothing can be decrypted"
        )
    say("\nSuggested policies for the store:\n")
    say(suggested_store_policies(settings.system_bucket))
    try:
        check_mapped(settings, config)
    except ConfigError as error:
        say(f"Next: {error.message}")
    say(f"Then: sseproxy serve --config {config}")


def _refuse_contradiction(context: typer.Context, path: Path, config: Config) -> None:
    """Options that say something else than a YAML that was there before."""
    said = {
        "--store": config.store.endpoint,
        "--service-access-key": config.service_account.access_key,
        "--default-encryption": config.default_encryption,
    }
    for name in given(context):
        asked = str(context.params[name.removeprefix("--").replace("-", "_")])
        if name in said and asked.rstrip("/").lower() != said[name].lower():
            fail(ConfigError(f"says {said[name]}, and {name} {asked}: edit it", file=str(path)))


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave it running for your own client, until Ctrl-C.")
    ] = False,
) -> None:
    """Show it: an embedded store, the proxy, signed uploads, and what the disk holds."""
    try:
        from sseproxy.demo import run_demo
    except ModuleNotFoundError as error:
        fail(ConfigError(f"{error.name} is missing: pip install 'sseproxy[demo]'"))
    raise typer.Exit(run(run_demo(keep=keep)))
