"""`dougong.keras.tree` beside Keras's own."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

import hypothesis.strategies as st
import keras
import pytest
from hypothesis import given, settings

from dougong.core import tree

Pair = namedtuple("Pair", "left right")
LEAVES = st.none() | st.integers() | st.text(max_size=2)
NESTED = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        # Keras's torch backend sorts the keys of the outermost dict only: inner ones are drawn in order.
        | st.dictionaries(st.text("abcd", max_size=2), inner, max_size=3).map(lambda made: dict(sorted(made.items())))
        | st.dictionaries(st.text("abcd", max_size=2), inner, max_size=3).map(OrderedDict)
        | st.builds(Pair, inner, inner)
    ),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(NESTED)
def test_structures_are_taken_apart_and_mapped_as_keras_does(structure) -> None:
    assert tree.flatten(structure) == keras.tree.flatten(structure)
    if "Pair" not in repr(structure):  # Keras counts the leaves of a named tuple, not its fields
        assert tree.flatten_with_path(structure) == keras.tree.flatten_with_path(structure)
    for function in (lambda leaf: (leaf, 1), lambda leaf: None):
        got, want = tree.map_structure(function, structure), keras.tree.map_structure(function, structure)
        assert got == want and type(got) is type(want)
    numbered = list(range(len(tree.flatten(structure))))
    assert tree.pack_sequence_as(structure, numbered) == keras.tree.pack_sequence_as(structure, numbered)
    assert tree.lists_to_tuples(structure) == keras.tree.lists_to_tuples(structure)
    assert tree.is_nested(structure) == keras.tree.is_nested(structure)


@settings(max_examples=100, deadline=None)
@given(NESTED, NESTED)
def test_what_differs_is_refused_as_keras_does(one, other) -> None:
    for name in ("assert_same_structure", "assert_same_paths")[: 1 if "Pair" in repr((one, other)) else 2]:
        outcomes = []
        for module in (tree, keras.tree):
            try:
                getattr(module, name)(one, other)
                outcomes.append(True)
            except (ValueError, TypeError):
                outcomes.append(False)
        assert outcomes[0] == outcomes[1], (name, one, other)


def test_keys_are_sorted_at_every_depth() -> None:
    assert tree.flatten({"b": {"y": 1, "x": 2}, "a": 3}) == [3, 2, 1]


def test_the_rest_of_keras_tree() -> None:
    shapes = {"a": (None, 3), "b": [(1, 2), (3,)]}
    assert tree.map_shape_structure(len, shapes) == keras.tree.map_shape_structure(len, shapes)
    assert tree.map_structure_up_to([0, {"a": 0}], len, [[1, 2], {"a": "xyz"}]) == [2, {"a": 3}]
    both = [1, [2, 3], {"a": None}]
    for function in (
        lambda n: 0 if isinstance(n, list) and len(n) == 2 else None,
        lambda n: tree.MAP_TO_NONE if n == 1 else None,
    ):
        theirs = lambda n, f=function: keras.tree.MAP_TO_NONE if f(n) is tree.MAP_TO_NONE else f(n)  # noqa: E731
        for top_down in (True, False):
            assert tree.traverse(function, both, top_down) == keras.tree.traverse(theirs, both, top_down)
    with pytest.raises(TypeError):
        tree.map_structure(1, [2])
    assert tree.map_structure(str, [1, None], none_is_leaf=False) == ["1", None]
