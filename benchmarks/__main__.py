"""`python -m benchmarks`: run the measurements and show ratios; or profile a kind of work."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status
from rich.table import Table as RichTable

from benchmarks.bench import Bench
from benchmarks.docs import put_into
from benchmarks.measures import MEASURES
from benchmarks.profile import WORKS, record
from benchmarks.results import Report, mark, shown

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, help=__doc__
)
console = Console()


@app.command()
def run(
    *,
    quick: Annotated[bool, typer.Option(help="Fewer rounds, smaller work: minutes.")] = False,
    only: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(MEASURES)}.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Results as JSON.")] = None,
    docs: Annotated[Path | None, typer.Option(help="A page to put the results into.")] = None,
) -> None:
    """Measure, and print each ratio with its limit."""
    names = only or list(MEASURES)
    for name in names:
        if name not in MEASURES:
            raise typer.BadParameter(f"{name}: not one of {', '.join(MEASURES)}")
    began = time.monotonic()
    with Status("", console=console) as status, Bench(quick=quick, say=status.update) as bench:
        for name in names:
            step = time.monotonic()
            MEASURES[name](bench)
            console.print(f"{name}: {time.monotonic() - step:.0f} s")
    _show(bench.report)
    console.print(f"all in {time.monotonic() - began:.0f} s")
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(bench.report.as_json(), indent=1) + "\n")
    if docs is not None:
        docs.write_text(put_into(docs.read_text(), bench.report.as_markdown()))


@app.command()
def profile(
    work: Annotated[str, typer.Argument(help=f"One of {', '.join(WORKS)}.")],
    *,
    seconds: Annotated[int, typer.Option(help="How long.")] = 15,
    folder: Annotated[Path, typer.Option(help="Where the flame graph goes.")] = Path("build"),
) -> None:
    """Record a worker under load: a flame graph, and the functions that take most."""
    if work not in WORKS:
        raise typer.BadParameter(f"{work}: not one of {', '.join(WORKS)}")
    folder.mkdir(parents=True, exist_ok=True)
    with Status("", console=console) as status, Bench(quick=True, say=status.update) as bench:
        graph, top = record(bench, work, seconds, folder)
    table = RichTable("% of samples", "in itself", "function", title=work)
    for inclusive, own, name in top:
        table.add_row(f"{inclusive:.1f}", f"{own:.1f}", name)
    console.print(table)
    console.print(f"flame graph: {graph}")


def _show(report: Report) -> None:
    for each in report.tables:
        table = RichTable("", *each.columns, title=each.title)
        for name, cells in each.rows:
            table.add_row(name, *(shown(cell) for cell in cells))
        console.print(table)
    lines = RichTable("ratio", "measured", "limit", "", title="What has to be reached")
    for line in report.lines:
        lines.add_row(line.name, shown(line.value), line.bound, mark(line).strip("*"))
    console.print(lines)


if __name__ == "__main__":
    app()
