"""What all picture layers share: who acts when, dicts, single pictures, streams of random numbers, workers, models."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import dougong as dg
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.symbol import Input
from dougong.layers.layer import Layer
from dougong.layers.pictures import RandomCrop, RandomFlip, RandomRotation, RandomTranslation, Resizing
from dougong.layers.pictures.base import PictureLayer, factor_range, number_pair
from dougong.ops.seed_generator import SeedGenerator

torch.set_num_threads(1)


def pictures(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def shift(**options: Any) -> RandomTranslation:
    """A layer that leaves no picture as it was."""
    return RandomTranslation((0.3, 0.4), (0.2, 0.3), **options)


IMAGES = pictures(4, 6, 7, 2)


def acts(run: Any, **call: Any) -> bool:
    return not torch.equal(torch.as_tensor(run(IMAGES, **call)), IMAGES)


# ── Who acts when ───────────────────────────────────────────────────────────────────────────────────────────────────


class Holding(Layer):
    def __init__(self) -> None:
        super().__init__()
        self.inner = shift()

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.inner(inputs)


def functional() -> Any:
    inputs = Input((6, 7, 2))
    return dg.Model(inputs, shift()(inputs))


@pytest.mark.parametrize("make", [shift, Holding, functional, lambda: dg.Sequential([shift()])])
def test_acts_unless_told_otherwise_as_in_keras(make: Any) -> None:
    layer = make()
    assert acts(layer) and acts(layer, training=True) and not acts(layer, training=False) and acts(layer)
    assert not any(module.training for module in layer.modules())
    assert not acts(layer.eval()) and acts(layer, training=True) and not acts(layer)
    assert acts(layer.train()) and not acts(layer, training=False)


def test_keras_does_the_same() -> None:
    layer = keras.layers.RandomTranslation((0.3, 0.4), (0.2, 0.3))
    model = keras.Sequential([layer])
    for one in (layer, model):
        assert acts(one) and acts(one, training=True) and not acts(one, training=False)


def test_in_plain_torch_it_follows_the_module() -> None:
    module = torch.nn.Sequential(shift(), torch.nn.Identity())
    assert acts(module) and not acts(module.eval()) and acts(module.train())


def test_fit_acts_and_predict_does_not() -> None:
    model = dg.Sequential([Input((6, 7, 2)), shift(), dg.layers.Flatten(), dg.layers.Dense(1)])
    model.compile(optimizer=dg.optimizers.SGD(1e-9), loss="mse")
    y = np.zeros((4, 1), "float32")
    still = model.evaluate(IMAGES.numpy(), y, verbose=0)
    assert still == model.evaluate(IMAGES.numpy(), y, verbose=0)
    losses = model.fit(IMAGES.numpy(), y, batch_size=4, epochs=3, verbose=0).history["loss"]
    assert len(set(losses)) == 3
    before = model.predict(IMAGES.numpy(), verbose=0)
    np.testing.assert_array_equal(before, model.predict(IMAGES.numpy(), verbose=0))
    assert not any(module.training for module in model.modules())
    assert not torch.equal(model(IMAGES), model(IMAGES)), "called bare, it acts as before fit"


@pytest.mark.parametrize("layer", [RandomCrop(4, 4), RandomCrop(4, 4, seed=1), shift(), shift(seed=1)])
def test_a_captured_step_draws_anew(layer: Any) -> None:
    model = dg.Sequential([Input((6, 7, 2)), copy.deepcopy(layer), dg.layers.Flatten(), dg.layers.Dense(1)])
    model.compile(optimizer=dg.optimizers.SGD(1e-9), loss="mse")
    history = model.fit(IMAGES.numpy(), np.ones((4, 1), "float32"), batch_size=4, epochs=60, verbose=0)
    assert history.plan.startswith("captured"), history.plan
    assert len(set(history.history["loss"][-30:])) > 5


# ── Data ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_dicts_and_single_pictures() -> None:
    masks, labels = (IMAGES[..., :1] * 5).to(torch.uint8), torch.arange(4)
    layer = shift(seed=2, interpolation="nearest")
    data = {"images": IMAGES, "labels": labels, "segmentation_masks": masks, "names": ["a", "b", "c", "d"]}
    kept = dict(data)
    got = layer(data)
    assert set(got) == set(data) and got["names"] == kept["names"]
    assert all(data[key] is kept[key] for key in data), "the caller's dict is left alone"
    assert torch.equal(got["labels"], labels)
    assert torch.equal((got["images"][..., :1] * 5).to(torch.uint8), got["segmentation_masks"])
    one = layer({key: value[0] for key, value in data.items()})
    assert (
        one["images"].shape == (6, 7, 2) and one["labels"].shape == () and one["segmentation_masks"].shape == (6, 7, 1)
    )
    assert torch.equal((one["images"][..., :1] * 5).to(torch.uint8), one["segmentation_masks"])
    assert layer(IMAGES.numpy()[0]).shape == (6, 7, 2)
    assert layer(IMAGES.tolist()).shape == IMAGES.shape


def test_pictures_are_changed_each_its_own_way() -> None:
    same = IMAGES[:1].expand(8, 6, 7, 2)
    moved = RandomRotation(0.5, seed=0)(same)
    assert len({tuple(one.flatten().tolist()) for one in moved}) == 8


def test_boxes_are_refused_in_words() -> None:
    layer = RandomFlip(name="mirror")
    with pytest.raises(ConfigError, match="RandomFlip 'mirror' was given bounding boxes, which Dougong does not carry"):
        layer({"images": IMAGES, "bounding_boxes": {"boxes": torch.zeros(4, 1, 4), "labels": torch.zeros(4, 1)}})
    with pytest.raises(ConfigError, match="bounding boxes"):
        RandomFlip(bounding_box_format="xyxy")  # type: ignore[call-arg]
    theirs = keras.layers.RandomFlip(bounding_box_format="xyxy").get_config()
    with pytest.raises(ConfigError, match="bounding boxes"):
        RandomFlip.from_config(theirs)
    assert "bounding_box_format" not in layer.get_config()
    with pytest.raises(ShapeError, match=r"received shape \(3, 3\)"):
        layer({"images": torch.zeros(3, 3)})


def test_factors_and_ranges() -> None:
    assert factor_range((-2, 0.5), (-1, 1)) == (-2, 0.5)  # Keras takes a range that meets the bounds
    for wrong in (1.5, "a", (0.1,), (2, 3), None, True):
        with pytest.raises(ConfigError, match="gain must be a number"):
            factor_range(wrong, (-1, 1), "gain")
    with pytest.raises(ConfigError, match="two numbers"):
        number_pair(255, "value_range")


# ── Random numbers ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_seeds_of_every_kind() -> None:
    state = {"class_name": "SeedGenerator", "config": {"seed": 5}}
    want = shift(seed=5)(IMAGES)
    assert torch.equal(shift(seed=SeedGenerator(5))(IMAGES), want) and torch.equal(shift(seed=state)(IMAGES), want)
    again = shift(seed=SeedGenerator(5)).get_config()
    assert torch.equal(RandomTranslation.from_config(again)(IMAGES), want)
    for seed in (5, SeedGenerator(5), torch.Generator().manual_seed(5)):
        drawn = shift().get_random_transformation(IMAGES, seed=seed)
        assert torch.equal(shift().transform_images(IMAGES, drawn), want)


def test_copies_go_on_alike() -> None:
    layer = shift(seed=1)
    layer(IMAGES)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        original = copy.deepcopy(layer)
        assert torch.equal(twin(IMAGES), original(IMAGES))


class Augmented(Dataset[Any]):
    """Four copies of one picture, each changed by the layer in a worker."""

    def __init__(self, layer: PictureLayer) -> None:
        self.layer = layer

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.layer(IMAGES[0])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # where a test before has loaded JAX
@pytest.mark.parametrize("layer", [shift(seed=3), shift(seed=SeedGenerator(3)), shift()])
def test_workers_draw_each_their_own_and_anew_in_every_epoch(layer: PictureLayer) -> None:
    def epochs() -> list[torch.Tensor]:
        torch.manual_seed(0)
        loader = DataLoader(Augmented(copy.deepcopy(layer)), batch_size=2, num_workers=2)
        return [torch.cat(list(loader)) for _ in range(2)]

    first, second = epochs()
    seen = {tuple(one.flatten().tolist()) for one in (*first, *second)}
    assert len(seen) == 8
    again = epochs()
    assert torch.equal(first, again[0]) and torch.equal(second, again[1])


# ── Symbols and models ──────────────────────────────────────────────────────────────────────────────────────────────


def test_symbols() -> None:
    inputs = Input((None, None, 3), dtype="uint8")
    resized = Resizing(8, 9)(inputs)
    assert resized.shape == (None, 8, 9, 3) and resized.dtype == torch.uint8
    flipped = RandomFlip()(resized)
    assert flipped.shape == (None, 8, 9, 3) and flipped.dtype == torch.float32
    assert RandomRotation(0.1)(inputs).shape == (None, None, None, 3)
    first = Input((3, None, None))
    assert RandomCrop(4, 5, data_format="channels_first")(first).shape == (None, 3, 4, 5)
    data = {"images": inputs, "labels": Input((2,)), "segmentation_masks": Input((None, None, 1), dtype="uint8")}
    got = Resizing(8, 9)(data)
    assert got["images"].shape == (None, 8, 9, 3) and got["labels"].shape == (None, 2)
    assert got["segmentation_masks"].shape == (None, 8, 9, 1) and got["segmentation_masks"].dtype == torch.uint8
    assert RandomFlip()(data)["segmentation_masks"].dtype == torch.float32


def test_a_model_of_unknown_sizes_runs_on_bytes() -> None:
    inputs = Input((None, None, 3), dtype="uint8")
    outputs = dg.layers.Rescaling(1 / 255)(RandomFlip("horizontal", seed=1)(Resizing(4, 4)(inputs)))
    model = dg.Model(inputs, outputs)
    for shape in ((2, 9, 7, 3), (1, 20, 30, 3)):
        whole = (pictures(*shape) * 255).to(torch.uint8)
        found = model(whole, training=False)
        assert found.shape == (shape[0], 4, 4, 3) and found.dtype == torch.float32 and found.max() <= 1
        assert model.predict(whole.numpy(), verbose=0).shape == found.shape


def test_whole_numbers_stay_whole_where_the_dtype_says_so() -> None:
    whole = (IMAGES * 255).to(torch.uint8)
    layer, reference = RandomFlip(dtype="uint8", seed=0), keras.layers.RandomFlip(dtype="uint8", seed=0)
    assert layer(whole).dtype == reference(whole.numpy(), training=True).dtype == torch.uint8
