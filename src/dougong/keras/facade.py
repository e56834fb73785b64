"""How a module of the facade finds its names: in the module where they stand, under another name, or refused."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

from dougong.core.errors import NotOfferedError, no_attribute

__all__ = ["Facade"]


class Facade:
    """The public names of one of Keras's modules.

    ``sources`` are the modules that hold them, by the names in their ``__all__``; ``also`` gives further names, each
    as ``"module:name"`` or ``"module"``; ``refused`` says why a name is not there and what to use.

    >>> tree = Facade("keras.tree", also={"count": "collections:Counter"}, refused={"prune": "use a saw"})
    >>> tree.get("count").__name__, tree.names()
    ('Counter', ['count'])
    >>> tree.get("prune")
    Traceback (most recent call last):
    dougong.core.errors.NotOfferedError: keras.tree.prune is not part of Dougong: use a saw
    """

    def __init__(
        self,
        module: str,
        *sources: ModuleType,
        also: Mapping[str, str] | None = None,
        refused: Mapping[str, str] | None = None,
        without: Iterable[str] = (),
    ) -> None:
        self.module, self.sources = module, sources
        self.also, self.refused = dict(also or {}), dict(refused or {})
        self._without = frozenset(without)

    def names(self) -> list[str]:
        """What ``dir`` shows: every name that can be used."""
        own = {name for source in self.sources for name in getattr(source, "__all__", ())}
        return sorted((own - self._without) | set(self.also))

    def get(self, name: str) -> Any:
        """What a module's ``__getattr__`` gives.

        Raises: NotOfferedError for a name of Keras's that Dougong does not have, AttributeError for any other.
        """
        if name in self.also:
            place, _, inner = self.also[name].partition(":")
            found = importlib.import_module(place)
            return getattr(found, inner) if inner else found
        if name in self.refused:
            raise NotOfferedError(f"{self.module}.{name} is not part of Dougong: {self.refused[name]}")
        if name not in self._without:
            for source in self.sources:
                if name in getattr(source, "__all__", ()):
                    return getattr(source, name)
        raise no_attribute(self.module, name, [*self.names(), *self.refused])

    def of(self) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
        """``__all__``, ``__getattr__`` and ``__dir__`` of the module."""
        return self.names(), self.get, self.names
