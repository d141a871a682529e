"""What the commands share: lines on the terminal, exit statuses, and reading the configuration."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
import uvloop
from rich.console import Console

from sseproxy.cli.scaffold import check_mapped
from sseproxy.config.flags import Flags, config_from_flags
from sseproxy.config.load import InvalidConfigError, load_config
from sseproxy.config.model import Config
from sseproxy.errors import ConfigError, SseProxyError

EXIT_FAILED = 1
EXIT_CONFIG = 2
EXIT_INTERRUPTED = 130

T = TypeVar("T")
ConfigPath = Annotated[
    Path | None, typer.Option("--config", "-c", help="The YAML configuration.", show_default=False)
]
StoreUrl = Annotated[
    str | None, typer.Option(help="URL of the store's S3 API: http(s)://HOST[:PORT].")
]

out = Console()
err = Console(stderr=True)


def given(context: typer.Context) -> list[str]:
    """The options that are on the command line, as --name."""
    return [
        f"--{name.replace('_', '-')}"
        for name in context.params
        # By name: the enum's module differs between versions of typer.
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    ]


def load(path: Path, *, unmapped_clients: bool = False) -> Config:
    """The configuration; or the errors in it, and exit.

    unmapped_clients: whether a client may still have the stand-in that `init` writes.
    """
    try:
        config = load_config(path, os.environ)
        if not unmapped_clients:
            check_mapped(config, path)
    except ConfigError as error:
        fail(error)
    return config


def from_flags(flags: Flags) -> Config:
    """The configuration; or the errors in flags and environment, and exit."""
    try:
        return config_from_flags(flags, os.environ)
    except ConfigError as error:
        fail(error)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it in an event loop; a failure is printed, and exits."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    except (SseProxyError, OSError) as error:
        fail(error)
    except (asyncio.CancelledError, KeyboardInterrupt):
        complain("interrupted")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def fail(error: Exception) -> NoReturn:
    """Print an error, a line for each problem, and exit with its status."""
    problems: Iterable[Exception] = (error,)
    if isinstance(error, InvalidConfigError):
        problems = error.problems
    for problem in problems:
        text = str(problem)
        if isinstance(problem, OSError) and problem.strerror:
            named = f"{problem.filename}: " if problem.filename else ""
            text = f"{named}{problem.strerror}"
        complain(text)
    raise typer.Exit(EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_FAILED)


def complain(text: str) -> None:
    """A line on standard error."""
    err.print(f"sseproxy: {text}", markup=False, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """A line on standard output."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)
