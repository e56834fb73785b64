"""Reading tables from text files: comma, semicolon, tab or blank separated, with or without a header.

Shapes: N rows, F inputs.   Rows in messages are lines of the file, as an editor counts them.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from dougong.core.errors import DataError, near_names
from dougong.data.dataset import Column, Dataset, Task
from dougong.data.delimited import Layout, find_layout
from dougong.data.limits import MAX_BYTES
from dougong.data.targets import Targets, numeric_targets, text_targets

__all__ = ["encode_columns", "read_frame", "read_table"]

# pandas's DataFrame and Series, whose indexing no type checker can follow.
Frame: TypeAlias = Any
Series: TypeAlias = Any

_TARGET_NAMES = ("target", "label", "class", "y", "species", "output")
_MOST_CATEGORIES = 50
# Text in memory needs several times what it needs in the file.
_GROWTH = 4


def read_table(
    path: Path,
    *,
    target: str | int | Sequence[str | int] | None = None,
    ignore: Sequence[str | int] = (),
    task: Task | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    skip_bad: bool = False,
    max_bytes: int = MAX_BYTES,
) -> Dataset:
    """The data set in a text table.

    ``target``: a column by name or number (-1 is the last), or several; without it a column named as targets are, or
    the last.  ``ignore``: columns to leave out.  ``skip_bad``: leave out rows with missing values.
    Text inputs become one input per category, 0 or 1; a text target becomes class numbers.
    Raises: DataError naming the line and column of a missing value, or the column that cannot be used, and what to do.
    """
    frame, notes = read_frame(path, delimiter=delimiter, header=header, max_bytes=max_bytes)
    names = [str(name) for name in frame.columns]
    ignored = [_find(name, names, path, "ignore") for name in ignore]
    targets, guess = _find_targets(target, [name for name in names if name not in ignored], names, path)
    frame = frame[[name for name in names if name not in ignored]]
    frame, skipped = _without_missing(frame, path, skip_bad)
    found = _targets(frame, targets, path, task)
    rest = frame[[name for name in frame.columns if name not in targets]]
    columns = tuple(_column(rest, name, path) for name in rest.columns)
    if not columns:
        raise DataError(f"{path} has no columns beside the target {', '.join(targets)}; a model needs inputs.")
    texts = [f"{column.name!r} ({len(column.categories)} values)" for column in columns if column.categories]
    if texts:
        notes = (*notes, f"Text columns became one input per value: {', '.join(texts)}.")
    return Dataset(
        inputs=encode_columns(rest, columns),
        targets=found.values,
        task=found.task,
        source=str(path),
        columns=columns,
        class_names=found.class_names,
        target_names=found.names,
        notes=(*notes, *guess, *skipped, *found.notes),
    )


def read_frame(
    path: Path, *, delimiter: str | None = None, header: bool | None = None, max_bytes: int = MAX_BYTES
) -> tuple[Frame, tuple[str, ...]]:
    """The table as pandas reads it, indexed by the line of the file, and notes on what was guessed."""
    import pandas as pd  # lazy: half a second, and only tables need it

    if path.stat().st_size * _GROWTH > max_bytes:
        raise DataError(f"{path} has {path.stat().st_size / 2**30:.1f} GiB, too much for memory; raise max_bytes.")
    text = _text(path)
    layout = find_layout(text, delimiter=delimiter, header=header)
    if layout.empty:
        raise DataError(f"{path} is empty; a table with a column per input and one per target is needed.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.StringIO(text), sep=layout.delimiter, decimal=layout.decimal, header=0 if layout.header else None,
                index_col=0 if layout.row_names else False, na_values=["?"], skipinitialspace=True,
            )  # fmt: skip
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a {layout.delimiter_name}-separated table: {error}") from error
    if frame.empty:
        raise DataError(f"{path} has a header but no rows.")
    frame.columns = [str(name).strip() if layout.header else f"column_{name}" for name in frame.columns]
    frame.index = pd.Index(_line_numbers(text, len(frame), layout))
    return frame, (_note(layout, len(frame)),)


def _text(path: Path) -> str:
    raw = path.read_bytes()
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path} is not UTF-8 text (byte {raw[error.start]:#04x} in line {line}); save it as CSV in UTF-8."
        ) from error


def _line_numbers(text: str, num_rows: int, layout: Layout) -> list[int]:
    """The line of each row; rows are simply counted where quoted fields run over several lines."""
    numbers = [number for number, line in enumerate(text.splitlines(), 1) if line.strip()][layout.header :]
    return numbers if len(numbers) == num_rows else list(range(1 + layout.header, num_rows + 1 + layout.header))


def _note(layout: Layout, num_rows: int) -> str:
    header = (
        "its first line names the columns" if layout.header else "it has no header: columns are column_0, column_1 …"
    )
    comma = ", with decimal commas" if layout.decimal == "," else ""
    rows = " Its first column has no name and was left out as row names." if layout.row_names else ""
    return f"Read as a {layout.delimiter_name}-separated table of {num_rows} rows{comma}; {header}.{rows}"


def _find(name: str | int, names: Sequence[str], path: Path, role: str) -> str:
    """A column's name from its name or number.   Raises: DataError with near names and all columns."""
    if name in names:
        return str(name)
    text = str(name)
    if text.lstrip("-").isdigit() and -len(names) <= int(text) < len(names):
        return names[int(text)]
    near = near_names(text, names)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    listed = ", ".join(names[:30]) + (" …" if len(names) > 30 else "")
    raise DataError(f"{path} has no column {text!r} ({role}); its {len(names)} columns are: {listed}.{hint}")


def _find_targets(
    target: str | int | Sequence[str | int] | None, usable: Sequence[str], names: Sequence[str], path: Path
) -> tuple[list[str], tuple[str, ...]]:
    if target is not None:
        wanted = [target] if isinstance(target, str | int) else list(target)
        return [_find(name, names, path, "target") for name in wanted], ()
    by_folded = {name.lower(): name for name in usable}
    guess = next((by_folded[name] for name in _TARGET_NAMES if name in by_folded), usable[-1] if usable else None)
    if guess is None:
        raise DataError(f"{path} has no column left to learn; ignore fewer.")
    return [guess], (f"No target was named: column {guess!r} was taken; name another with target=.",)


def _without_missing(frame: Frame, path: Path, skip_bad: bool) -> tuple[Frame, tuple[str, ...]]:
    values = np.asarray(frame.isna() | frame.isin([np.inf, -np.inf]))
    bad = values.any(axis=1)
    if not bad.any():
        return frame, ()
    if skip_bad:
        if bad.all():
            raise DataError(f"{path}: every row has a missing value; leave the emptiest columns out with ignore=.")
        return frame[~bad], (f"{int(bad.sum())} of {len(frame)} rows with missing values were left out.",)
    row = int(bad.argmax())
    column = frame.columns[int(values[row].argmax())]
    what = "is missing" if bool(frame[column].isna().iloc[row]) else "is infinite"
    raise DataError(
        f"{path}: the value in line {frame.index[row]}, column {column!r} {what}; {int(bad.sum())} of {len(frame)} "
        "rows have such values. Fill them in, leave these rows out with skip_bad=True, or the column with ignore=."
    )


def _targets(frame: Frame, names: Sequence[str], path: Path, task: Task | None) -> Targets:
    texts = [name for name in names if frame[name].dtype.kind not in "biuf"]
    if not texts:
        values = frame[list(names)].to_numpy()
        place = f"{path.name}: {', '.join(names)}"
        found = numeric_targets(values[:, 0] if len(names) == 1 else values, names[0], place, task)
        return found._replace(names=tuple(names)) if found.task == "regression" else found
    if len(names) > 1:
        raise DataError(f"{path}: the target {texts[0]!r} holds text; several targets must be numbers.")
    labels = frame[names[0]]
    if task == "regression":
        raise DataError(_bad_number(labels, names[0], path))
    different = labels.nunique()
    if different > max(2, len(labels) // 2):
        raise DataError(
            f"{path}: the target {names[0]!r} holds {different} different texts in {len(labels)} rows, too many for "
            f"classes (for example {_shown(labels.iloc[0])}); name another column with target=."
        )
    return text_targets(labels.astype(str).to_numpy(), names[0], f"{path.name}: {names[0]}")


def _column(frame: Frame, name: str, path: Path) -> Column:
    """How a column becomes inputs.   Raises: DataError for text that is meant as numbers or has too many values."""
    column = frame[name]
    if column.dtype.kind in "biuf":
        return Column(name)
    if _is_no_number(column).mean() < 0.5:
        raise DataError(_bad_number(column, name, path))
    categories = tuple(sorted(column.astype(str).unique()))
    if len(categories) > min(_MOST_CATEGORIES, max(2, len(column) // 2)):
        raise DataError(
            f"{path}: column {name!r} holds text with {len(categories)} different values in {len(column)} rows (for "
            f"example {_shown(categories[0])}), too many for one input each; leave it out with ignore=[{name!r}]."
        )
    return Column(name, categories)


def _is_no_number(column: Series) -> np.ndarray:
    import pandas as pd  # lazy: as above

    return np.isnan(np.asarray(pd.to_numeric(column, errors="coerce"), dtype=np.float64))


def _bad_number(column: Series, name: str, path: Path) -> str:
    bad = _is_no_number(column)
    line = column.index[int(bad.argmax())]
    return (
        f"{path}: column {name!r} holds {_shown(column[line])} in line {line}, which is no number; {int(bad.sum())} of "
        f"{len(column)} values are none. Correct them, or leave the column out with ignore=[{name!r}]."
    )


def _shown(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= 40 else text[:37] + "...")


def encode_columns(frame: Frame, columns: Sequence[Column]) -> np.ndarray:
    """Rows of a table as inputs, in the order of ``columns``, as they were when the model was trained.

    Shapes: ``-> [N, F]`` float32.   Raises: DataError for a missing column, or a text not seen then.
    """
    inputs = np.empty((len(frame), sum(len(column.input_names) for column in columns)), dtype=np.float32)
    at = 0
    for column in columns:
        if column.name not in frame.columns:
            raise DataError(f"the table has no column {column.name!r}; it has: {', '.join(map(str, frame.columns))}.")
        values: Series = frame[column.name]
        width = len(column.input_names)
        if column.categories:
            values = values.astype(str)
            unseen = ~values.isin(column.categories)
            if unseen.any():
                row = int(unseen.to_numpy().argmax())
                raise DataError(
                    f"column {column.name!r} holds {_shown(values.iloc[row])} in line {values.index[row]}, "
                    f"which was not in the training data; known: {', '.join(column.categories)}."
                )
            inputs[:, at : at + width] = values.to_numpy()[:, None] == np.array(column.categories, dtype=object)
        elif values.dtype.kind not in "biuf":
            raise DataError(f"column {column.name!r} must hold numbers, but holds {_shown(values.iloc[0])}.")
        else:
            inputs[:, at] = values.to_numpy()
        at += width
    return inputs
