"""``dougong train``."""

from __future__ import annotations

import re
import shlex
from enum import StrEnum
from typing import Annotated

import typer

from dougong.cli.show import console, in_options

__all__ = ["train"]


class Task(StrEnum):
    """What is predicted."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


def _size(text: str | None) -> tuple[int, int] | None:
    """``"64"`` or ``"48x64"`` (height x width)."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)(?:[x×,](\d+))?", text.strip())
    if found is None or min(int(part) for part in found.groups() if part) < 1:
        raise typer.BadParameter(f"{text!r} is no size; write 64, or 48x64 for height x width.")
    height = int(found[1])
    return height, int(found[2] or height)


def train(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            help="mlp or lenet5; or a .keras file (architecture and weights), a .json file (architecture), or a .py "
            "file that defines model or build(input_shape, outputs). A .py file is run, as your own program.",
            metavar="MODEL",
        ),
    ],
    data: Annotated[
        str,
        typer.Argument(
            help="A sample's name (see dougong samples), a folder with one folder of pictures per class, an idx file "
            "or folder (MNIST), an .npz file, or a table (.csv, .tsv, .txt).",
            metavar="DATA",
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(help="The column of a table to predict, by name or number; several: a,b.", metavar="COL"),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="A column of a table to leave out; may be repeated.", metavar="COL")
    ] = None,
    task: Annotated[Task | None, typer.Option(help="Whether numbers are classes; guessed if not given.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, metavar="N", help="Passes over the training samples.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, metavar="N", help="Samples per step.")] = None,
    optimizer: Annotated[
        str | None, typer.Option(metavar="NAME", help="adam (if not given), sgd, rmsprop, adamw …")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="At the start; it falls to 0 along a cosine.", metavar="RATE")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Same seed, same machine: same result.")] = 0,
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="cpu, cuda, cuda:1; a GPU is used if there is one.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="The run's folder; if it is not empty, a numbered one beside it.", metavar="DIR")
    ] = None,
    test: Annotated[
        float, typer.Option(metavar="SHARE", help="Held out for the test, unless the data have a test part.")
    ] = 0.2,
    validation: Annotated[float, typer.Option(metavar="SHARE", help="Chooses the epoch whose weights are kept.")] = 0.1,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out unreadable pictures and incomplete rows.")
    ] = False,
    image_size: Annotated[
        str | None, typer.Option(help="Resize pictures: 64, or 48x64 (height x width).", metavar="SIZE")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the results only.")] = False,
) -> None:
    """Train a network; leave model, history, record and an HTML report in a folder.

    Example: `dougong train mlp wine --epochs 100 --out runs/wine`

    The test share is looked at once, at the end. Ctrl-C ends training early: the best weights so far are kept, and
    everything is written.
    """
    size = _size(image_size)
    from dougong.workbench import TrainRequest  # lazy: loads torch, which help must not
    from dougong.workbench import train as run  # lazy: as above

    screen = console()

    def say(line: str) -> None:
        if not quiet:
            screen.print(in_options(line), markup=False)

    request = TrainRequest(
        model=model,
        data=data,
        target=target,
        ignore=tuple(ignore or ()),
        task=None if task is None else task.value,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        learning_rate=learning_rate,
        seed=seed,
        device=device,
        out=out,
        test=test,
        validation=validation,
        skip_bad=skip_bad,
        image_size=size,
        command=_command_line(context),
        verbose=0 if quiet else 1,
    )
    result = run(request, say)
    read_back = result.verdict
    say(f"wrote {result.folder}: model.keras, history.csv, run.json, report.html")
    screen.print(result.headline, style="bold green", markup=False)
    screen.print(f"{read_back.read_back}   # {_executed(len(read_back.y_pred), read_back.difference)}", markup=False)
    if result.interrupted:
        raise typer.Exit(130)


def _executed(num_samples: int, difference: float) -> str:
    """What was seen when the line was executed."""
    if difference == 0:
        return f"executed: same outputs on {num_samples} test samples"
    return f"executed on {num_samples} test samples: max |Δ| {difference:.1e} to the model before it was saved"


def _command_line(context: typer.Context) -> str:
    """The command as it could be typed again: what was given, not the defaults."""
    words = ["dougong", "train"]
    options: list[str] = []
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        source = context.get_parameter_source(parameter.name or "")
        if value is None or source is None or source.name == "DEFAULT":
            continue
        if parameter.param_type_name == "argument":
            words.append(shlex.quote(str(value)))
        elif value is True:
            options.append(parameter.opts[0])
        else:
            for one in value if isinstance(value, list | tuple) else [value]:
                options += [parameter.opts[0], shlex.quote(str(one))]
    return " ".join(words + options)
