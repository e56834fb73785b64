"""``dougong evaluate``, ``dougong predict``, ``dougong summary``."""

from __future__ import annotations

from typing import Annotated

import typer

from dougong.cli.show import console, error_console, table

__all__ = ["evaluate", "predict", "summary"]

Model = Annotated[
    str, typer.Argument(help="The model.keras that dougong train wrote, or another .keras file.", metavar="MODEL")
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out unreadable pictures and incomplete rows.")]
_ROWS_SHOWN = 10


def evaluate(
    model: Model,
    data: Annotated[str, typer.Argument(help="Data with targets, as for dougong train.", metavar="DATA")],
    target: Annotated[str | None, typer.Option(help="The target column, if its name differs.", metavar="COL")] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Test a trained model on data with targets.

    Example: `dougong evaluate runs/wine/model.keras new_wines.csv`
    """
    from dougong.workbench import evaluate as run  # lazy: loads torch, which help must not

    found = run(model, data, target=target, skip_bad=skip_bad)
    screen = console()
    screen.print(f"{found.num_samples:,} samples ({found.part})")
    screen.print(
        table(["score", "value"], [[name, f"{value:.6g}"] for name, value in found.scores.items()], numbers=[1])
    )
    screen.print(found.headline, style="bold green", markup=False)


def predict(
    model: Model,
    data: Annotated[
        str,
        typer.Argument(
            help="A table (the target column may be absent), a picture, a folder of pictures, or anything that dougong "
            "train reads.",
            metavar="DATA",
        ),
    ],
    out: Annotated[str | None, typer.Option("-o", "--out", help="Write a CSV file.", metavar="FILE.csv")] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Predict classes with probabilities, or values, for new data.

    Columns are matched by name to those the model was trained with.

    Example: `dougong predict runs/wine/model.keras new_wines.csv -o predictions.csv`
    """
    from dougong.workbench import predict as run  # lazy: loads torch, which help must not

    found = run(model, data, out, skip_bad=skip_bad)
    for note in found.notes:
        error_console().print(f"note: {note}", style="yellow", markup=False)
    if out is not None:
        console().print(f"wrote {out}: {len(found.rows):,} predictions", markup=False)
        return
    most = 3 if "class" in found.header else 7
    console().print(table(found.header[:most], [row[:most] for row in found.rows[:_ROWS_SHOWN]]))
    if len(found.rows) > _ROWS_SHOWN or len(found.header) > most:
        console().print(f"… {len(found.rows):,} predictions in all; -o FILE.csv writes them", markup=False)


def summary(
    model: Annotated[str, typer.Argument(help="A .keras or .json file.", metavar="MODEL")],
) -> None:
    """Show a model's layers, shapes and parameter counts.

    Example: `dougong summary runs/wine/model.keras`
    """
    from dougong.workbench import summary as run  # lazy: loads torch, which help must not

    console().print(run(model), markup=False)
