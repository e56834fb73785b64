"""Lists and dicts that register the modules and weights they hold, so that ``self.blocks.append(Dense(4))`` works."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, SupportsIndex

from torch import nn

from dougong.core.variable import VariableKeeper, is_trainable

__all__ = ["Holder", "TrackedDict", "TrackedList", "tracked"]


class Holder(VariableKeeper):
    """What tracked containers share: they are modules, which gives ``state_dict`` its names (``blocks.0.weight``)."""

    def __init__(self) -> None:
        super().__init__()
        self.training = False  # as a new layer; then as the layer that holds it

    def hold(self, items: Iterable[tuple[str, Any]]) -> None:
        self._modules.clear()
        self._parameters.clear()
        self._buffers.clear()
        for key, item in items:
            key = key.replace(".", "_")
            if isinstance(item, nn.Module):
                if item.training != self.training:
                    item.train(self.training)
                self._modules[key] = item
            elif isinstance(item, nn.Parameter):
                (self._parameters if is_trainable(item) else self._buffers)[key] = item


class TrackedList(list[Any], Holder):
    """A list that is a module, too: its modules and parameters are registered whenever they come."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # modules are told apart by identity

    def __init__(self, items: Iterable[Any] = ()) -> None:
        list.__init__(self, (tracked(item) for item in items))
        Holder.__init__(self)
        self._sync()

    def _sync(self) -> None:
        if "_modules" in self.__dict__:  # not yet while it is unpickled
            self.hold((str(index), item) for index, item in enumerate(self))

    def append(self, item: Any) -> None:
        super().append(tracked(item))
        self._sync()

    def extend(self, items: Iterable[Any]) -> None:
        super().extend(tracked(item) for item in items)
        self._sync()

    def insert(self, index: SupportsIndex, item: Any) -> None:
        super().insert(index, tracked(item))
        self._sync()

    def pop(self, index: SupportsIndex = -1) -> Any:
        item = super().pop(index)
        self._sync()
        return item

    def remove(self, item: Any) -> None:
        super().remove(item)
        self._sync()

    def clear(self) -> None:
        super().clear()
        self._sync()

    def __setitem__(self, index: Any, item: Any) -> None:
        super().__setitem__(index, [tracked(i) for i in item] if isinstance(index, slice) else tracked(item))
        self._sync()

    def __delitem__(self, index: Any) -> None:
        super().__delitem__(index)
        self._sync()

    def __iadd__(self, items: Iterable[Any]) -> TrackedList:  # type: ignore[override]
        self.extend(items)
        return self


class TrackedDict(dict[Any, Any], Holder):
    """A dict that is a module, too."""

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __init__(self, items: Mapping[Any, Any]) -> None:
        dict.__init__(self, {key: tracked(item) for key, item in items.items()})
        Holder.__init__(self)
        self._sync()

    def _sync(self) -> None:
        if "_modules" in self.__dict__:
            self.hold((str(key), item) for key, item in self.items())

    def __setitem__(self, key: Any, item: Any) -> None:
        super().__setitem__(key, tracked(item))
        self._sync()

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        self._sync()

    def update(self, *args: Any, **kwargs: Any) -> None:
        for key, item in dict(*args, **kwargs).items():
            self[key] = item


def tracked(value: Any) -> Any:
    """An empty list, or a list or dict with modules or weights in it, as a tracked one; all else as it is."""
    if type(value) is list and (not value or any(map(_is_trackable, value))):
        return TrackedList(value)
    if type(value) is dict and any(map(_is_trackable, value.values())):
        return TrackedDict(value)
    return value


def _is_trackable(item: Any) -> bool:
    if isinstance(item, list | tuple):
        return any(map(_is_trackable, item))
    if isinstance(item, dict):
        return any(map(_is_trackable, item.values()))
    return isinstance(item, nn.Module | nn.Parameter)
