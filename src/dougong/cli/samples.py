"""``dougong samples``."""

from __future__ import annotations

from dougong.cli.show import console, table

__all__ = ["samples"]


def samples() -> None:
    """List the data sets that come with Dougong.

    Example: `dougong train mlp wine`
    """
    from dougong.data import samples as known  # lazy: loads NumPy and torch, which help must not

    rows = []
    for info in known():
        what = f"{info.num_classes} classes" if info.num_classes else "numbers"
        rows.append([info.name, str(info.size), "×".join(map(str, info.shape)), what, info.title])
    console().print(table(["name", "samples", "one input", "to predict", "what it is"], rows, numbers=[1]))
