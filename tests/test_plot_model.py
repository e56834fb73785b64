"""`plot_model` and `model_to_dot`: the boxes and arrows of Keras, drawn with and without Graphviz."""

from __future__ import annotations

import os
import re
import stat
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import dougong as dg
from dougong.core.errors import BuildError, ConfigError, SaveError, UnknownNameError
from dougong.models import diagram_dot
from dougong.models.diagram import Wishes, diagram_of
from dougong.models.diagram_layout import laid_out
from dougong.models.plotting import model_to_dot, plot_model


@pytest.fixture(autouse=True)
def without_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")


def stack() -> Any:
    layers = dg.layers
    conv = layers.Conv2D(4, 3, activation="relu", name="conv")
    return dg.Sequential([dg.Input((8, 8, 3)), conv, layers.Flatten(name="flat"), layers.Dense(2, name="out")])


def branched() -> Any:
    dg.utils.clear_session()  # so that "mul" is "mul" again
    layers = dg.layers
    left, right, inner = dg.Input((6,), name="left"), dg.Input((6,), name="right"), dg.Input((6,), name="inner")
    tower = dg.Model(
        inner,
        layers.Add(name="sum")([layers.Dense(4, name="d1")(inner), layers.Dense(4, name="d2")(inner)]),
        name="tower",
    )
    head = dg.Sequential([dg.Input((4,)), layers.Dense(3, name="h1"), layers.Dropout(0.5, name="h2")], name="head")
    joined = layers.Concatenate(name="cat")([tower(left), tower(right)])
    frozen = layers.Dense(6, trainable=False, name="frozen")(joined)
    return dg.Model([left, right], [layers.Add(name="skip")([frozen, left]), head(tower(right)) * 2.0], name="net")


def told(model: Any, *, expand_nested: bool = False, **wishes: bool) -> tuple[list[str], list[tuple[str, str]]]:
    """The boxes' heads in order, and the arrows by name."""
    diagram = diagram_of(model, Wishes(**wishes), expand_nested=expand_nested)
    heads = {key: box.head for key, box in diagram.whole.all_boxes()}
    names = {key: head.partition(" ")[0] for key, head in heads.items()}
    return list(heads.values()), [(names[a], names[b]) for a, b in diagram.arrows]


def test_a_stack_is_a_chain_without_its_input() -> None:
    heads, arrows = told(stack())
    assert heads == ["conv (Conv2D)", "flat (Flatten)", "out (Dense)"]
    assert arrows == [("conv", "flat"), ("flat", "out")]


def test_a_graph_has_keras_boxes_and_arrows() -> None:  # compared once with Keras and pydot, which tests do not need
    heads, arrows = told(branched())
    assert set(heads) == {
        "left (InputLayer)", "right (InputLayer)", "tower (Functional)", "cat (Concatenate)", "frozen (Dense)",
        "skip (Add)", "head (Sequential)", "mul (mul)",
    }  # fmt: skip
    assert sorted(arrows) == sorted(
        [("left", "tower"), ("right", "tower"), ("tower", "cat"), ("cat", "frozen"), ("frozen", "skip"),
         ("left", "skip"), ("tower", "head"), ("head", "mul")]
    )  # fmt: skip


def test_models_within_are_opened() -> None:
    heads, arrows = told(branched(), expand_nested=True)
    assert {"inner (InputLayer)", "d1 (Dense)", "h1 (Dense)", "h2 (Dropout)"} <= set(heads)
    assert not {"tower (Functional)", "head (Sequential)"} & set(heads)
    assert {("left", "inner"), ("right", "inner"), ("inner", "d1"), ("d2", "sum"), ("sum", "cat"), ("sum", "h1"),
            ("h1", "h2"), ("h2", "mul")} <= set(arrows)  # fmt: skip
    groups = diagram_of(branched(), Wishes(), expand_nested=True).whole.groups.values()
    assert [group.label for group in groups] == ["tower", "head"]


def test_boxes_tell_what_is_asked() -> None:
    wishes = Wishes(show_shapes=True, show_dtype=True, show_layer_activations=True, show_trainable=True)
    boxes = {box.head.partition(" ")[0]: box for _, box in diagram_of(branched(), wishes).whole.all_boxes()}
    assert boxes["left"].cells == ("Output shape: (None, 6)", "Output dtype: float32")
    assert boxes["cat"].cells[:2] == ("Input shape: (None, 4), (None, 4)", "Output shape: (None, 8)")
    assert (boxes["frozen"].trainable, boxes["tower"].trainable, boxes["cat"].trainable) == (False, True, None)
    conv = next(box for _, box in diagram_of(stack(), wishes).whole.all_boxes())
    assert conv.activation == "relu"
    plain = next(box for _, box in diagram_of(stack(), Wishes(show_layer_names=False)).whole.all_boxes())
    assert (plain.head, plain.activation, plain.cells) == ("Conv2D", "", ())


def test_a_model_with_its_own_call_is_one_box() -> None:
    class Own(dg.Model):
        def __init__(self) -> None:
            super().__init__(name="own")
            self.dense = dg.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    model = Own()
    with pytest.raises(BuildError, match="model 'own' is not built"):
        model_to_dot(model)
    model.build((None, 3))
    assert told(model) == (["own (Own)"], [])


def test_the_dot_text() -> None:
    text = model_to_dot(
        branched(), show_shapes=True, expand_nested=True, rankdir="LR", dpi=96, splines="curved"
    ).to_string()
    for part in (
        'rankdir="LR"',
        'dpi="96"',
        'splines="curved"',
        'label="tower"',
        "Output shape: <b>(None, 6)</b>",
        "<b>d1 (Dense)</b>",
    ):
        assert part in text
    assert text.count("subgraph") == 2
    assert text.count("{") == text.count("}")
    keys = set(re.findall(r'"(\d+)" \[label', text))
    for source, target in re.findall(r'"(\d+)" -> "(\d+)"', text):
        assert {source, target} <= keys
    part = model_to_dot(stack(), subgraph=True).to_string()
    assert part.startswith('subgraph "cluster_')
    assert "rankdir" not in part


def test_names_are_written_so_that_dot_reads_them() -> None:
    model = dg.Sequential([dg.Input((2,)), dg.layers.Dense(2, name='a<b>&"c"')], name='m"m')
    text = model_to_dot(model, subgraph=True).to_string()
    assert "a&lt;b&gt;&amp;&quot;c&quot;" in text
    assert '\\"m' in text


# ── Layout ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def overlaps(placed: Any, sizes: Any) -> list[Any]:
    found = []
    for a, (ax, ay) in placed.centres.items():
        for b, (bx, by) in placed.centres.items():
            wide, high = (sizes[a][0] + sizes[b][0]) / 2, (sizes[a][1] + sizes[b][1]) / 2
            if str(a) < str(b) and abs(ax - bx) < wide and abs(ay - by) < high:
                found.append((a, b))
    return found


@pytest.mark.parametrize("seed", range(20))
def test_boxes_do_not_overlap_and_arrows_go_down_between_them(seed: int) -> None:
    import random

    draw = random.Random(seed)
    count = draw.randint(2, 25)
    sizes = {n: (draw.uniform(20, 300), draw.uniform(20, 80)) for n in range(count)}
    arrows = [(a, b) for a in range(count) for b in range(a + 1, count) if draw.random() < 0.15]
    placed = laid_out(sizes, arrows)
    assert not overlaps(placed, sizes)
    for a, b in arrows:
        way = placed.ways[a, b]
        assert all(lower[1] >= upper[1] for upper, lower in pairwise(way))
        for x, y in way[1:-1]:  # the bends stand beside the boxes of their rank
            for n, (cx, cy) in placed.centres.items():
                assert not (abs(x - cx) < sizes[n][0] / 2 and abs(y - cy) < sizes[n][1] / 2), (a, b, n)
    for n, (x, y) in placed.centres.items():
        assert x - sizes[n][0] / 2 >= -1e-6
        assert x + sizes[n][0] / 2 <= placed.size[0] + 1e-6
        assert y - sizes[n][1] / 2 >= -1e-6
        assert y + sizes[n][1] / 2 <= placed.size[1] + 1e-6


def test_nothing_to_lay_out() -> None:
    assert laid_out({}, []).size == (0.0, 0.0)


# ── Files ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rankdir", ["TB", "LR", "BT", "RL"])
@pytest.mark.parametrize("expand_nested", [False, True])
def test_pictures_are_drawn_without_graphviz(rankdir: str, expand_nested: bool, tmp_path: Path) -> None:
    path = tmp_path / "model.png"
    shown = plot_model(branched(), path, rankdir=rankdir, expand_nested=expand_nested, dpi=50)
    assert shown is None
    with Image.open(path) as picture:
        width, height = picture.size
        assert (width > height) is (rankdir in ("LR", "RL"))
        dark = sum(picture.convert("L").histogram()[:100])
        assert 0.01 < dark / (width * height) < 0.7


@pytest.mark.parametrize("ending", ["svg", "pdf", "jpg", "dot", ""])
def test_other_kinds_of_file(ending: str, tmp_path: Path) -> None:
    path = tmp_path / (f"model.{ending}" if ending else "model")
    plot_model(stack(), str(path), dpi=40)
    heads = {"svg": b"<?xml", "pdf": b"%PDF", "jpg": b"\xff\xd8", "dot": b"digraph", "": b"\x89PNG"}
    assert path.read_bytes().startswith(heads[ending])


def test_a_deep_model_is_drawn_at_a_lower_resolution(tmp_path: Path) -> None:
    model = dg.Sequential([dg.Input((2,)), *(dg.layers.Dense(2) for _ in range(150))])
    plot_model(model, tmp_path / "deep.png", dpi=500)
    with Image.open(tmp_path / "deep.png") as picture:
        assert 30_000 < picture.size[1] < 65_536


def test_wrong_arguments_are_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="rankdir"):
        plot_model(stack(), tmp_path / "a.png", rankdir="down")
    with pytest.raises(ConfigError, match="layer_range is no longer offered"):
        plot_model(stack(), tmp_path / "a.png", layer_range=("a", "b"))
    with pytest.raises(ConfigError, match="no argument 'colour'"):
        model_to_dot(stack(), colour="red")
    with pytest.raises(SaveError, match="does not exist; create it first"):
        plot_model(stack(), tmp_path / "none" / "a.png")
    with pytest.raises(ConfigError, match="cannot be drawn as 'xyz'; use png, svg or pdf"):
        plot_model(stack(), tmp_path / "a.xyz")
    with pytest.raises(ConfigError, match="needs Graphviz's program dot"):
        model_to_dot(stack()).create("png")


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script")
def test_graphviz_draws_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dot"
    program.write_text(
        f"#!{sys.executable}\nimport sys\ntext = sys.stdin.read()\n"
        "sys.exit('syntax error') if 'broken' in text else sys.stdout.write(sys.argv[1] + text[:9])\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(diagram_dot.shutil, "which", lambda name: str(program))
    plot_model(stack(), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_text() == "-Tpngdigraph G"
    model = dg.Sequential([dg.Input((2,)), dg.layers.Dense(2, name="broken")])
    with pytest.raises(ConfigError, match="dot refuses the drawing: syntax error"):
        plot_model(model, tmp_path / "b.png", show_layer_names=True)
