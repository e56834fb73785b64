"""The record of one training run: a folder with ``model.keras``, ``history.csv``, ``run.json`` and ``report.html``."""

from __future__ import annotations

import csv
import io
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dougong.core.errors import DataError
from dougong.data import Column, Dataset
from dougong.workbench.storage import write_text

__all__ = ["Record", "describe_data", "environment", "find_record", "history_csv"]


@dataclass(frozen=True)
class Record:
    """What ``run.json`` holds: enough to repeat the run, and to feed the model again."""

    command: str
    arguments: Mapping[str, Any]
    task: str
    seed: int
    started: str
    """Local time with its offset, ISO 8601."""
    environment: Mapping[str, Any]
    data: Mapping[str, Any]
    model: Mapping[str, Any]
    columns: Sequence[Mapping[str, Any]]
    """A table's columns, as they became inputs: name, and categories of text."""
    class_names: Sequence[str]
    target_names: Sequence[str]
    ranges: Sequence[Sequence[float]] = ()
    """The least and the largest value of each input of a table in training."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """On the test part."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    epochs_done: int = 0
    best_epoch: int | None = None
    """Counted from 1; the weights in ``model.keras`` are those after it."""
    stopped: str = ""
    version: int = 1

    def write(self, folder: Path) -> None:
        write_text(folder / "run.json", json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n")

    def data_columns(self) -> tuple[Column, ...]:
        """The columns as the data package wants them."""
        return tuple(Column(str(one["name"]), tuple(one.get("categories", ()))) for one in self.columns)


def find_record(model_path: Path) -> Record | None:
    """The ``run.json`` beside a model, or None.   Raises: DataError if it is there but cannot be read."""
    path = model_path.parent / "run.json"
    if not path.is_file():
        return None
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        known = {name: held[name] for name in Record.__dataclass_fields__ if name in held}
        return Record(**known)
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is damaged: {error}. Delete it to use the model without its column names.") from error


def environment(device: str, threads: int) -> dict[str, Any]:
    """What the run ran on."""
    return {
        "dougong": version("dougong"),
        "python": platform.python_version(),
        "torch": version("torch"),
        "numpy": version("numpy"),
        "platform": platform.platform(),
        "processor": _processor(),
        "device": device,
        "threads": threads,
    }


def _processor() -> str:
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.is_file():
        for line in cpu_info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def history_csv(history: Mapping[str, Sequence[float]]) -> str:
    """One line per epoch, counted from 1; a value that an epoch lacks is left empty.

    >>> print(history_csv({"loss": [0.5, 0.25], "val_loss": [0.6]}), end="")
    epoch,loss,val_loss
    1,0.5,0.6
    2,0.25,
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["epoch", *history])
    for epoch in range(max(map(len, history.values()), default=0)):
        row = [values[epoch] if epoch < len(values) else "" for values in history.values()]
        writer.writerow([epoch + 1, *row])
    return buffer.getvalue()


def describe_data(data: Dataset, parts: Mapping[str, int]) -> dict[str, Any]:
    """What identifies the data, as `Record.data`."""
    return {
        "source": data.source,
        "sha256": data.sha256,
        "samples": len(data),
        "input_shape": list(data.input_shape),
        "parts": dict(parts),
        "notes": list(data.notes),
    }
