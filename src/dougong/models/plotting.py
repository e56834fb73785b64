"""`plot_model` and `model_to_dot`: a picture of a model.   Keras: ``keras.utils.plot_model``, ``model_to_dot``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from dougong.core.errors import BuildError, ConfigError, SaveError, UnknownNameError
from dougong.models.diagram import Wishes, diagram_of
from dougong.models.diagram_dot import Dot, graphviz
from dougong.models.diagram_drawing import draw

__all__ = ["model_to_dot", "plot_model"]

_DIRECTIONS = ("TB", "LR", "BT", "RL")


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Dot:
    """The model as a graph in Graphviz's language; ``subgraph=True`` gives it as a part of another one.

    Raises: BuildError for a model that is not built.
    Keras: the same boxes and arrows as ``keras.utils.model_to_dot``, in a `Dot` in the place of `pydot.Dot`.

    >>> from dougong.core.symbol import Input
    >>> from dougong.layers.dense import Dense
    >>> from dougong.models.sequential import Sequential
    >>> model_to_dot(Sequential([Input((2,)), Dense(3), Dense(1)])).to_string().count(" -> ")
    1
    """
    wishes = Wishes(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    diagram = _diagram(model, wishes, rankdir, expand_nested, kwargs)
    return Dot(diagram, name=model.name if subgraph else "", rankdir=rankdir, dpi=dpi, splines=splines)


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """Draw the model, one box a layer, into a file whose ending says the kind: png, svg, pdf, jpg, dot.

    Drawn by Graphviz where its program ``dot`` is installed, else by matplotlib.  ``rankdir`` is TB, LR, BT or RL;
    ``expand_nested`` shows models within as frames with their own boxes.  In a notebook the picture is returned.
    Raises: BuildError for a model that is not built; SaveError; ConfigError.
    Keras: the same arguments as ``keras.utils.plot_model``, which needs pydot and Graphviz.
    """
    wishes = Wishes(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    diagram = _diagram(model, wishes, rankdir, expand_nested, kwargs)
    path = Path(to_file)
    kind = path.suffix[1:].lower() or "png"
    if not path.parent.is_dir():
        raise SaveError(f"cannot draw to {path}: the folder {path.parent} does not exist; create it first")
    if kind == "dot" or graphviz() is not None:
        Dot(diagram, rankdir=rankdir, dpi=dpi, splines=splines).write(path, kind)
    else:
        try:
            draw(diagram, path, format=kind, rankdir=rankdir, dpi=dpi, splines=splines)
        except ValueError as error:
            raise ConfigError(f"a model cannot be drawn as {kind!r}; use png, svg or pdf") from error
        except OSError as error:
            raise SaveError(f"cannot write {path}: {error.strerror or error}; choose another folder") from error
    shell: Any = sys.modules.get("IPython.display")  # there only in a notebook
    return shell.Image(filename=str(path)) if shell is not None and kind in ("png", "jpg", "jpeg") else None


def _diagram(model: Any, wishes: Wishes, rankdir: str, expand_nested: bool, rest: dict[str, Any]) -> Any:
    if rest.pop("layer_range", None) is not None:
        raise ConfigError("layer_range is no longer offered; plot a Model of the layers that you want")
    if rest:
        raise ConfigError(f"there is no argument {next(iter(rest))!r} for drawing a model")
    if rankdir not in _DIRECTIONS:
        raise UnknownNameError("rankdir", rankdir, _DIRECTIONS)
    if not model.built:
        raise BuildError(f"model {model.name!r} is not built: call it on a batch of data, or build((None, …)), first")
    return diagram_of(model, wishes, expand_nested=expand_nested)
