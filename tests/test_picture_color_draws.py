"""What the picture layers draw has the distribution of Keras's draws, and policies do what Keras's do with them."""

from __future__ import annotations

import json
import random
from copy import deepcopy
from typing import Any

import keras
import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from closeness import close
from dougong.core.errors import ConfigError
from dougong.layers.pictures import AugMix, RandAugment
from dougong.layers.pictures.draws import random_shares
from dougong.training.capture import CaptureError, capture
from picture_color_cases import RANDOM, PictureCase, kind, pictures

MANY = 4000


def numbers(draws: Any) -> dict[str, np.ndarray]:
    """The draws by name, one number a picture or a few."""
    found = draws if isinstance(draws, dict) else {"draws": draws}
    return {key: np.asarray(value.double().reshape(len(value), -1)[:, :4]).ravel() for key, value in found.items()}


def same_distribution(got: np.ndarray, want: Any) -> bool:
    """Whether draws may be from the distribution of others, or from one given by its function."""
    test: Any = stats.kstest(got, want)
    return bool(test.pvalue > 1e-4)


@pytest.mark.parametrize("case", RANDOM, ids=lambda case: case.id)
def test_draws_have_keras_s_distribution(case: PictureCase) -> None:
    images = torch.zeros(MANY, 4, 4, 3)
    ours = numbers(case.ours(seed=11).get_random_transformation(images))
    theirs = numbers(case.theirs(seed=12).get_random_transformation(images, training=True))
    assert ours.keys() == theirs.keys()
    for key, got in ours.items():
        want = theirs[key]
        if key == "blur_factor":  # one pair for the batch
            low, high = case.config.get("sigma", (0, 1))
            assert ((got >= low) & (got <= high + 1e-5)).all()
        elif key in ("fill_value", "batch_masks", "permutation_order") or case.name == "CutMix":
            assert abs(got.mean() - want.mean()) < 0.1 * (1 + abs(want.mean())), key
        elif np.unique(want).size < 10:
            assert abs(got.mean() - want.mean()) < 5 * (want.std() + 1e-9) / MANY**0.5 * 2**0.5, key
            assert set(np.unique(got)) == set(np.unique(want)), key
        else:
            assert same_distribution(got, want), key


def test_rectangles_have_the_sizes_and_places_that_are_promised() -> None:
    layer = kind("RandomErasing")((1, 1), scale=(0.25, 0.49), fill_value=1.0, seed=3)
    erased = layer(torch.zeros(MANY, 40, 40, 1), training=True)[..., 0]
    heights, widths = (erased.amax(axis).sum(1) for axis in (2, 1))
    for sizes in (heights, widths):
        assert sizes.min() >= 20 and sizes.max() <= 28
    close(erased.sum((1, 2)), heights * widths, because="rectangles", tolerance=0)
    assert abs(float(torch.corrcoef(torch.stack((heights, widths)))[0, 1])) < 0.1, "drawn apart"
    where = erased.mean(0)[1:, 1:]  # a pixel stands for the corner of its square, and the first is in no rectangle
    close(where, where.flip(0, 1), because="no side is preferred", tolerance=0.05)


@pytest.mark.parametrize("alpha", [1e-6, 0.01, 0.2, 1.0, 5.0])
def test_shares_are_beta_and_dirichlet(alpha: float) -> None:
    stream = torch.Generator().manual_seed(5)
    pairs = random_shares(torch.full((MANY, 2), alpha), stream)
    close(pairs.sum(-1), torch.ones(MANY), because="sum")
    own = pairs[:, 0].double().numpy()
    if alpha < 0.1:  # almost all is 0 or 1, which a float32 cannot tell from them
        expected = stats.beta(alpha, alpha).cdf(0.1) - stats.beta(alpha, alpha).cdf(0.9) + 1
        assert abs(((own < 0.1) | (own > 0.9)).mean() - expected) < 0.01
        assert abs(own.mean() - 0.5) < 0.04
    else:
        assert same_distribution(own, stats.beta(alpha, alpha).cdf)
    triples = random_shares(torch.full((MANY, 3), alpha), stream).double().numpy()
    if alpha > 0.1:
        assert same_distribution(triples[:, 1], stats.beta(alpha, 2 * alpha).cdf)


def test_one_generator_serves_all_draws_of_a_call() -> None:
    draws = kind("RandomGaussianBlur")((0.5, 0.5)).get_random_transformation(torch.zeros(MANY, 1, 1, 3), seed=1)
    assert abs(draws["should_apply_blur"].double().mean() - 0.5) < 0.05
    turns = kind("RandomHue")((0.4, 0.6)).get_random_transformation(torch.zeros(MANY, 1, 1, 3), seed=1)["factor"]
    assert 0.45 < (turns > 0).double().mean() < 0.55


# ── Policies ────────────────────────────────────────────────────────────────────────────────────────────────────────

POLICIES = pytest.mark.parametrize("policy", [RandAugment, AugMix])


def keras_s(layer: Any, value_range: tuple[float, float], **config: Any) -> Any:
    return getattr(keras.layers, type(layer).__name__)(value_range=value_range, **config)


def one_picture(**how: Any) -> Tensor:
    """One, since Keras equalizes all of a batch together; no plain channel, in which rounding would be stretched."""
    return pictures(2, **how)[1:]


@pytest.mark.parametrize("value_range", [(0, 255), (0.0, 1.0)])
@pytest.mark.filterwarnings("ignore:Tensor.T is deprecated")
def test_rand_augment_equals_keras_change_by_change(value_range: tuple[float, float]) -> None:
    images = one_picture(scale=value_range, seed=2)
    layer = RandAugment(value_range=value_range, num_ops=1)
    theirs = keras_s(layer, value_range, num_ops=1, seed=3)
    transformation = theirs.get_random_transformation(images, training=True)
    names = list(transformation["transforms"])
    assert sorted(layer._changes) == sorted(names)
    for name in names:
        want = getattr(theirs, name).transform_images(images.clone(), deepcopy(transformation["transforms"][name]))
        index = torch.tensor([list(layer._changes).index(name)])
        got = layer.transform_images(images, {**transformation, "layer_idxes": index})
        close(got / value_range[1], want / value_range[1], because=name, tolerance=2e-5)


def test_changes_stand_in_keras_s_order() -> None:
    theirs: Any = keras.layers.RandAugment()
    assert list(RandAugment()._changes) == list(
        theirs.get_random_transformation(pictures(1), training=True)["transforms"]
    )


@pytest.mark.filterwarnings("ignore:Tensor.T is deprecated")
@pytest.mark.parametrize("seed", range(6))
def test_policies_equal_keras_given_its_draws(seed: int) -> None:
    images = one_picture(seed=seed)
    random.seed(seed)  # Keras's AugMix picks with Python's generator
    theirs: Any = keras.layers.RandAugment(num_ops=3, factor=0.3, seed=seed)
    transformation = theirs.get_random_transformation(images, training=True)
    # Keras's brightness adds in place, and so to every picture, whether picked or not.
    transformation["transforms"]["random_brightness"]["rgb_delta"].zero_()
    want = theirs.transform_images(images.clone(), deepcopy(transformation))  # Keras turns matrices round in place
    got = RandAugment(num_ops=3, factor=0.3).transform_images(images, transformation)
    close(got / 255, want / 255, because="RandAugment", tolerance=1e-4)
    mixing: Any = keras.layers.AugMix(seed=seed)
    transformation = mixing.get_random_transformation(images, training=True)
    want = mixing.transform_images(images.clone(), deepcopy(transformation))
    close(AugMix().transform_images(images, transformation) / 255, want / 255, because="AugMix", tolerance=1e-4)


@POLICIES
def test_policies_keep_their_promises(policy: Any) -> None:
    images = pictures(3)
    first, second = policy(seed=4), policy(seed=4)
    runs = [[layer(images, training=True) for _ in range(5)] for layer in (first, second)]
    for a, b in zip(*runs):
        close(a, b, because="one seed, one result", tolerance=0)
    assert any((runs[0][0] != other).any() for other in runs[0][1:])
    close(first(images, training=False), images, because="inference", tolerance=0)
    assert first(pictures(2, "uint8"), training=True).dtype is torch.float32
    assert first(images[0], training=True).shape == images.shape[1:]
    config = json.loads(json.dumps(first.get_config()))
    want = json.loads(json.dumps(keras_s(first, (0, 255), seed=4, name=first.name).get_config()))
    assert config == want | {"dtype": config["dtype"]}
    assert policy.from_config(want).get_config() == first.get_config()
    turned = policy(seed=9, data_format="channels_first")(images.movedim(-1, 1), training=True)
    close(turned.movedim(1, -1), policy(seed=9)(images, training=True), because="channels first", tolerance=1e-4)


@POLICIES
def test_masks_move_with_their_pictures(policy: Any) -> None:
    masks = torch.zeros(2, 12, 12, 1)
    masks[:, 3:9, 4:8] = 1.0
    layer = policy(factor=0.4, seed=1)
    layer._changes = {name: layer._changes[name] for name in ("random_translation",)}
    found = layer({"images": masks.expand(-1, -1, -1, 3) * 255, "segmentation_masks": masks}, training=True)
    assert (found["segmentation_masks"] != masks).any()
    apart = (found["images"][..., :1] / 255 - found["segmentation_masks"]).abs()
    assert apart.mean() < 0.2, "all but the nearest pixel is the same"


def test_what_a_policy_picks_follows_the_seed_and_is_even() -> None:
    layer, picture = RandAugment(num_ops=2000, seed=2), torch.zeros(1, 2, 2, 3)
    picked = layer.get_random_transformation(picture)["layer_idxes"]
    counts = torch.bincount(picked, minlength=11)
    assert len(counts) == 11 and stats.chisquare(counts.numpy()).pvalue > 1e-4
    chains = AugMix(num_chains=3, chain_depth=400, seed=2).get_random_transformation(picture)["chain_transforms"]
    assert len({step["layer_name"] for chain in chains for step in chain}) == 11
    assert all(330 < len(chain) < 390 for chain in chains), "one in twelve is left out"
    few = AugMix(chain_depth=200, all_ops=False, seed=2).get_random_transformation(picture)["chain_transforms"]
    assert len({step["layer_name"] for chain in few for step in chain}) == 7
    with pytest.raises(ConfigError, match="alpha"):
        AugMix(alpha=0)


@POLICIES
def test_a_choice_is_not_captured(policy: Any) -> None:
    layer = policy(seed=1).train()
    with pytest.raises(CaptureError):
        capture(lambda x: layer(x).sum(), [pictures(2)])


@pytest.mark.parametrize("name", ["RandomHue", "RandomGaussianBlur", "Solarization", "MixUp", "CutMix"])
def test_a_captured_layer_draws_anew(name: str) -> None:
    layer, images = kind(name)(**({"factor": 1.0} if name == "RandomHue" else {}), seed=1).train(), pictures(4)
    captured = capture(lambda x: layer(x).sum((1, 2, 3)), [images])
    runs = [captured(images).clone() for _ in range(5)]
    if name != "Solarization":
        assert any((runs[0] != other).any() for other in runs[1:])
