"""Start the store and the proxy, show the steps, stop; or stay for one's own client."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import time
from collections.abc import AsyncIterator

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape

from sseproxy import app
from sseproxy.config.load import load_config
from sseproxy.config.render import render_config
from sseproxy.demo.stage import (
    BUCKET,
    PUBLIC_BUCKET,
    Stage,
    StepFailed,
    make_samples,
)
from sseproxy.demo.steps import STEPS, Step
from sseproxy.demo_store import ALL_ACTIONS, LOOPBACK, REGION, Identity, SeaweedFS
from sseproxy.keys.rootkey import write_private_file

_SERVICE_SECRET = "SSEPROXY_SERVICE_SECRET"  # noqa: S105  # the name of a variable


async def run_demo(*, keep: bool) -> int:
    """Show the steps; the exit status: 0 if each showed what it should.

    keep: leave all of it running until Ctrl-C. Raises SseProxyError if it can't be started.
    """
    console = Console()
    _die_on_sigterm()
    # What the proxy logs about refused requests is what the steps show.
    logging.getLogger("sseproxy").setLevel(logging.CRITICAL)
    started = time.monotonic()
    async with _stage(console) as stage:
        console.print("[bold]1. Start a store (SeaweedFS) and the proxy before it[/]")
        _done(console, f"store {stage.store.endpoint}, proxy {stage.endpoint}")
        failed = await _show(stage)
        seconds = time.monotonic() - started
        if failed:
            console.print(f"\n[bold red]✗ {failed} of {len(STEPS)} steps failed[/]")
        else:
            console.print(f"\n[bold green]✓ all of it in {seconds:.0f} s[/]")
        if keep:
            _print_access(stage)
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
    return 1 if failed else 0


async def _show(stage: Stage) -> int:
    """Run the steps; how many failed. A failed one does not keep the others from running."""
    await asyncio.to_thread(stage.open_clients)
    stage.metrics_before = await asyncio.to_thread(stage.metrics)
    failed = 0
    for number, (title, step) in enumerate(STEPS, start=2):
        stage.console.print(f"\n[bold]{number}. {title}[/]")
        failed += not await asyncio.to_thread(_run, stage, step)
    return failed


def _run(stage: Stage, step: Step) -> bool:
    try:
        _done(stage.console, step(stage))
    except (StepFailed, ClientError, BotoCoreError, OSError) as error:
        stage.console.print(f"[red]✗ {escape(str(error))}[/]", highlight=False)
        return False
    return True


def _done(console: Console, what: str) -> None:
    console.print(f"[green]✓[/] {escape(what)}", highlight=False)


@contextlib.asynccontextmanager
async def _stage(console: Console) -> AsyncIterator[Stage]:
    """Store and proxy, as an operator would set them up: three keys, a YAML, `init`, `serve`."""
    application, service = (Identity.make(name, *ALL_ACTIONS) for name in ("client", "service"))
    store = SeaweedFS(identities=[application, service])
    try:
        # Blocks the loop, which has nothing else to do yet: a Ctrl-C comes when it can be undone.
        store.start()
        client = Identity.make("client of the proxy")
        folder = store.folder / "proxy"
        yaml = folder / "sseproxy.yaml"
        mapping = (client, application)
        line = " ".join(f"{entry.access_key} {entry.secret_key}" for entry in mapping)
        write_private_file(folder / "clients.txt", f"{line}\n".encode())
        text = render_config(
            endpoint=store.endpoint,
            listen=f"{LOOPBACK}:0",
            admin_listen=f"{LOOPBACK}:0",
            service_access_key=service.access_key,
            default_encryption="none",
        )
        # Customer keys cross the loopback interface only.
        write_private_file(yaml, f"{text}\nallow_insecure_ssec: true\n".encode())
        environ = {_SERVICE_SECRET: service.secret_key}
        config = load_config(yaml, environ)
        await app.initialise(config, environ)
        async with app.serve(config, environ, create=False) as running:
            customer_key = secrets.token_bytes(32)
            yield Stage(
                console=console,
                store=store,
                application=application,
                client_key=(client.access_key, client.secret_key),
                endpoint=running.endpoint,
                admin=running.admin,
                folder=folder,
                customer_key=customer_key,
                samples=make_samples(customer_key),
            )
    finally:
        store.stop()


def _die_on_sigterm() -> None:
    """Unwind on SIGTERM as on Ctrl-C: the store is a process of its own, and would stay."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _print_access(stage: Stage) -> None:
    """Endpoints, credentials, and commands to paste."""
    access_key, secret_key = stage.client_key
    at_store = stage.application
    lines = f"""
It stays until Ctrl-C; then everything in {stage.store.folder} is removed.

export AWS_ACCESS_KEY_ID={access_key} AWS_SECRET_ACCESS_KEY={secret_key} AWS_REGION={REGION}
aws --endpoint-url {stage.endpoint} s3 ls s3://{BUCKET}
aws --endpoint-url {stage.endpoint} s3 cp --sse AES256 README.md s3://{BUCKET}/
aws --endpoint-url {stage.endpoint} s3 cp s3://{BUCKET}/README.md -
curl {stage.endpoint}/{PUBLIC_BUCKET}/plain.bin | head -c 64
curl {stage.admin}/metrics

What the store itself holds, with the store's own key:
export AWS_ACCESS_KEY_ID={at_store.access_key} AWS_SECRET_ACCESS_KEY={at_store.secret_key}
aws --endpoint-url {stage.store.endpoint} s3 cp s3://{BUCKET}/README.md - | head -c 64 | od -c
"""
    stage.console.print(lines, markup=False, highlight=False, soft_wrap=True)
