"""The `sseproxy` command.

Exit status: 0 done; 1 it failed; 2 the command line, the configuration or the environment is
wrong. An error is a line on standard error (a configuration's, one for each), never a traceback.
"""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from sseproxy import __version__
from sseproxy.cli import first_steps, objects, serving
from sseproxy.cli.console import EXIT_FAILED, complain, say

__all__ = ["cli", "main"]

cli = typer.Typer(
    no_args_is_help=True,
    # Local variables in a traceback would show keys.
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def version() -> None:
    """Print the version."""
    say(__version__)


def _print_version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


@cli.callback()
def root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Server-side encryption for any S3-compatible object store, as a transparent proxy."""


cli.command()(serving.serve)
cli.command()(first_steps.demo)
cli.command()(first_steps.init)
cli.command("check-config")(serving.check_config)
cli.command("check-store")(serving.check_store)
cli.command()(objects.inspect)
cli.command()(objects.decrypt)
cli.command()(version)


def main() -> None:
    """The entry point."""
    try:
        cli()
    except Exception as error:  # a defect: where it happened, but no values, which may be secret
        complain(f"internal error: {type(error).__name__}; please report it with these lines")
        sys.stderr.writelines(traceback.format_tb(error.__traceback__))
        sys.exit(EXIT_FAILED)
