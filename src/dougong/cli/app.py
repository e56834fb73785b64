"""The program ``dougong``: its commands, its options for all of them, and what happens when something goes wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from dougong.cli.samples import samples
from dougong.cli.show import show_error, version_line
from dougong.cli.train import train
from dougong.cli.use import evaluate, predict, summary
from dougong.core.errors import DougongError

__all__ = ["app", "main"]

app = typer.Typer(
    name="dougong",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (samples, train, evaluate, predict, summary):
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version_line())
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show versions and stop.")
    ] = False,
    traceback: Annotated[
        bool,
        typer.Option("--traceback", envvar="DOUGONG_TRACEBACK", help="Show where in the program an error arose."),
    ] = False,
) -> None:
    """Neural networks from standard blocks: train, judge and use them from the command line.

    Example: `dougong train lenet5 digits`, then open the `report.html` that it names.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 2 refused (one red line says why), 130 after Ctrl-C; other errors are bugs."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # Accepted behind the command too, since that is where one adds it after an error.
    wants_traceback = "--traceback" in arguments or os.environ.get("DOUGONG_TRACEBACK", "") not in ("", "0")
    arguments = [argument for argument in arguments if argument != "--traceback"]
    try:
        app(args=arguments, prog_name="dougong")
    except DougongError as error:
        if wants_traceback:
            raise
        show_error(error)
        sys.exit(2)
