"""`serve`, and the checks before it: `check-config`, `check-store`."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from sseproxy import __version__, app, logs
from sseproxy.cli.console import (
    EXIT_FAILED,
    ConfigPath,
    StoreUrl,
    complain,
    fail,
    from_flags,
    given,
    load,
    out,
    run,
    say,
)
from sseproxy.config.flags import Flags
from sseproxy.config.model import Config
from sseproxy.errors import ConfigError
from sseproxy.metrics import Metrics
from sseproxy.store.policy_check import PolicyReport, check_policies
from sseproxy.store.probe import probe

log = logging.getLogger("sseproxy")


def serve(
    context: typer.Context,
    config: ConfigPath = None,
    store: StoreUrl = None,
    state: Annotated[
        Path | None, typer.Option(help="Folder of the root key; both are made when absent.")
    ] = None,
    listen: Annotated[str, typer.Option(help="HOST:PORT for clients.")] = "127.0.0.1:8080",
    admin_listen: Annotated[
        str, typer.Option(help="HOST:PORT for metrics and health.")
    ] = "127.0.0.1:8081",
    default_encryption: Annotated[
        str, typer.Option(help="Mode of a write that asks for none: none, sse-cos.")
    ] = "none",
    credentials: Annotated[
        Path | None,
        typer.Option(
            help="More clients, one a line: ACCESS_KEY SECRET_KEY [STORE_ACCESS_KEY "
            "STORE_SECRET_KEY]. With two fields the same pair is used at the store."
        ),
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM file: certificate and chain.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file: private key.")] = None,
    allow_insecure_ssec: Annotated[
        bool, typer.Option("--allow-insecure-ssec", help="Take customer keys without TLS, too.")
    ] = False,
) -> None:
    """Serve clients until SIGTERM or Ctrl-C, then finish what is running.

    Either with --config; or without a file, with --store and --state, and in the environment
    AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: the key of the store, the client and the proxy.
    """
    if config is not None:
        for name in given(context):
            if name != "--config":
                fail(ConfigError(f"with --config, {name} is set in the YAML"))
        settings = load(config)
    elif store is None or state is None:
        fail(ConfigError("either --config, or --store and --state"))
    else:
        flags = Flags(
            store=store,
            state=state,
            listen=listen,
            admin_listen=admin_listen,
            default_encryption=default_encryption,
            credentials=credentials,
            tls_cert=tls_cert,
            tls_key=tls_key,
            allow_insecure_ssec=allow_insecure_ssec,
        )
        settings = from_flags(flags)
    logs.configure(settings.log.level, settings.log.format)
    # A core file would hold keys.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    run(_serve(settings, create=config is None))


async def _serve(config: Config, *, create: bool) -> None:
    stop, started = asyncio.Event(), asyncio.Event()
    task = asyncio.current_task()
    assert task is not None

    def stop_now() -> None:
        stop.set()
        if not started.is_set():
            # A start may wait long for the store.
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop_now)
    async with app.serve(config, os.environ, create=create) as running:
        started.set()
        # What is there now stays: without it, a collection takes 50 ms of all that is served.
        gc.collect()
        gc.freeze()
        log.info(
            "sseproxy %s serves %s, metrics on %s", __version__, running.endpoint, running.admin
        )
        log.info(_key_mode(config))
        await stop.wait()
        log.info("stopping: no new connections; what is running has %g s", config.limits.shutdown_s)
    log.info("stopped")


def _key_mode(config: Config) -> str:
    """Who is protected against whom, in one line (README, "What it protects")."""
    if config.easy_mode:
        names = ", ".join(config.easy_mode_clients[:5])
        return (
            f"easy mode: the store knows the secrets of clients {names}. Disks, backups and "
            "replicas are protected; an operator of the store who reaches this proxy is not kept "
            "out. Map clients to keys of their own to change that."
        )
    return "client and store keys differ: the store can't ask this proxy for plaintext"


def check_config(
    config: Annotated[Path, typer.Argument(help="The YAML configuration.")] = Path("sseproxy.yaml"),
) -> None:
    """Check a YAML file: every error in it, with file, line and key."""
    settings = load(config)
    say(f"{config}: ok")
    say(_key_mode(settings))


def check_store(config: ConfigPath = None, store: StoreUrl = None) -> None:
    """Measure what the store does, with objects in the system bucket, which is made if absent.

    Fails if the store can't be used safely. Bucket policies there that would refuse proxied writes
    are named, as far as the service account may read them. Needs a --config; or --store, and the
    store's key in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
    """
    if (config is None) == (store is None):
        fail(ConfigError("either --config or --store"))
    if config is not None:
        settings = load(config, unmapped_clients=True)
    else:
        settings = from_flags(Flags(store=str(store), state=Path()))
    run(_check_store(settings))


async def _check_store(config: Config) -> None:
    async with app.open_store(config, Metrics()) as store:
        await app.system_bucket(config, store).ensure_bucket()
        quirks = await probe(store, app.service_credential(config), config.system_bucket)
        policies = await check_policies(store, app.service_credential(config), config.buckets)
    table = Table("what", "measured", title=config.store.endpoint)
    for name, value in quirks.as_table():
        table.add_row(name, str(value))
    out.print(table)
    failures = quirks.failures()
    for failure in failures:
        complain(f"not safe: {failure}")
    _say_policies(policies)
    if failures:
        raise typer.Exit(EXIT_FAILED)
    say("this store can be used safely")


def _say_policies(report: PolicyReport) -> None:
    for bucket, statements in report.refusing.items():
        complain(
            f"bucket {bucket}: its policy at the store would refuse writes through the proxy "
            f"(statement {', '.join(statements)}), as the store never sees their server-side-"
            "encryption headers. Put the policy through the proxy, which keeps those conditions"
        )
    for what in report.unread:
        say(f"policy not checked: {what}")
