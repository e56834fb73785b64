"""Models: sequential, functional, subclassed; to and from files."""

from dougong.models import files
from dougong.models.cloning import clone_model
from dougong.models.files import (
    load_model,
    load_weights,
    model_from_json,
    save_model,
    save_weights,
    to_json,
)
from dougong.models.model import Model
from dougong.models.sequential import Sequential

# What saves and loads builds models, so it stands above `Model` and is handed down to it.
Model.files = files

__all__ = [
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "load_weights",
    "model_from_json",
    "save_model",
    "save_weights",
    "to_json",
]
