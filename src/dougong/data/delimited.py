"""How a text table is laid out, found by looking: its delimiter, its decimal mark, whether it has a header."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Layout", "find_layout"]

# In this order: a comma may be a decimal mark inside fields that one of the others divides.
_DELIMITERS = {"\t": "tab", ";": "semicolon", "|": "bar", ",": "comma"}
_BLANKS = r"\s+"
_LOOKED_AT = 50
_MISSING = frozenset({"", "?", "na", "n/a", "nan", "null", "none", "-"})
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")


@dataclass(frozen=True)
class Layout:
    """``delimiter`` is a character, or the pattern of blanks.

    ``row_names``: the first column has no name, as R writes tables; it names rows and is no input.
    """

    delimiter: str
    decimal: str
    header: bool
    row_names: bool
    empty: bool

    @property
    def delimiter_name(self) -> str:
        return _DELIMITERS.get(self.delimiter, "blank" if self.delimiter == _BLANKS else repr(self.delimiter))


def find_layout(text: str, *, delimiter: str | None = None, header: bool | None = None) -> Layout:
    """The layout of a table, from its first lines; what is given is not guessed.

    The delimiter is the first that divides every line into the same number of fields, more than one; the first line may
    have one field less.  It is a header if a column of numbers begins with a word, or if all is text and its words do
    not come again.

    >>> find_layout("name;size\\nbolt;1,5\\nnut;0,5\\n")
    Layout(delimiter=';', decimal=',', header=True, row_names=False, empty=False)
    """
    lines = [line for line in text[: 2**18].splitlines() if line.strip()][: _LOOKED_AT + 1]
    # A line cut off by looking at the beginning only would look like one with missing fields.
    lines = lines[:_LOOKED_AT] if len(lines) > _LOOKED_AT or len(text) <= 2**18 else lines[:-1]
    if delimiter is None:
        delimiter = next((mark for mark in _DELIMITERS if _divides(lines, mark)), None)
        if delimiter is None:
            delimiter = _BLANKS if _divides(lines, _BLANKS) else _likeliest(lines)
    rows = [_fields(line, delimiter) for line in lines]
    decimal = "," if delimiter not in (",", _BLANKS) and _has_decimal_commas(rows) else "."
    if header is None:
        header = _is_header(rows, decimal)
    row_names = header and len(rows) > 1 and (len(rows[0]) == len(rows[1]) - 1 or rows[0][0] == "")
    return Layout(delimiter, decimal, header, row_names, not rows)


def _fields(line: str, delimiter: str) -> list[str]:
    if delimiter == _BLANKS:
        return line.split()
    try:
        return [field.strip() for field in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:  # a field of more than 128 KiB
        return line.split(delimiter)


def _divides(lines: Sequence[str], delimiter: str) -> bool:
    counts = [len(_fields(line, delimiter)) for line in lines]
    return len(set(counts[1:] or counts)) == 1 and counts[-1] > 1 and counts[0] in (counts[-1], counts[-1] - 1)


def _likeliest(lines: Sequence[str]) -> str:
    """The mark that divides most lines alike, where none divides all: the reader will then name the odd line."""

    def num_alike(mark: str) -> int:
        counts = Counter(len(_fields(line, mark)) for line in lines)
        return max((number for count, number in counts.items() if count > 1), default=0)

    found = max((*_DELIMITERS, _BLANKS), key=num_alike)
    return found if num_alike(found) else ","


def _has_decimal_commas(rows: Sequence[Sequence[str]]) -> bool:
    fields = [field for row in rows for field in row]
    return any(_DECIMAL_COMMA.fullmatch(field) for field in fields) and not any("." in field for field in fields)


def _is_header(rows: Sequence[Sequence[str]], decimal: str) -> bool:
    if len(rows) < 2:
        return not any(_is_number(field, decimal) for row in rows for field in row)
    first, columns = rows[0], list(zip(*rows[1:]))
    columns = columns[1:] if len(columns) == len(first) + 1 else columns
    for name, column in zip(first, columns):
        held = [field for field in column if field.lower() not in _MISSING]
        if held and all(_is_number(field, decimal) for field in held):
            return not _is_number(name, decimal) and name.lower() not in _MISSING
    return len(set(first)) == len(first) and not any(name in column for name, column in zip(first, columns))


def _is_number(field: str, decimal: str) -> bool:
    try:
        float(field.replace(decimal, "."))
    except ValueError:
        return False
    return True
