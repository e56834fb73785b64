"""The order of samples is a pure function of (seed, epoch), and every epoch has every sample once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dougong.core.errors import ConfigError
from dougong.data import as_source, permutation

seeds = st.integers(0, 2**31 - 1)
sizes = st.integers(1, 40)
shuffles = st.sampled_from([True, False, "batch"])


def rows(source, epoch):
    return [row for x, _, _ in source.epoch(epoch) for row in x[:, 0].tolist()]


@given(sizes, seeds, st.integers(0, 1000))
def test_permutation_is_pure_and_complete(size, seed, epoch):
    state = torch.random.get_rng_state()
    order = permutation(size, seed, epoch)
    assert sorted(order.tolist()) == list(range(size))
    assert torch.equal(order, permutation(size, seed, epoch))
    assert torch.equal(state, torch.random.get_rng_state()), "the global generator must not be touched"


def test_seeds_and_epochs_give_different_orders():
    orders = {tuple(permutation(50, seed, epoch).tolist()) for seed in range(20) for epoch in range(20)}
    assert len(orders) == 400


def test_every_place_is_equally_likely():
    counts = np.zeros((4, 4))
    for epoch in range(4000):
        counts[np.arange(4), permutation(4, 3, epoch).numpy()] += 1
    # Each cell is binomial(4000, 1/4): standard deviation 27; five of them.
    assert np.abs(counts - 1000).max() < 137


@given(sizes, st.integers(1, 45), shuffles, seeds, st.integers(0, 5))
def test_an_epoch_has_every_sample_once(size, batch_size, shuffle, seed, epoch):
    x = np.arange(size, dtype=np.float32)[:, None]
    source = as_source(x, x[:, 0], batch_size=batch_size, shuffle=shuffle, seed=seed)
    found = [(x[:, 0].tolist(), y.tolist()) for x, y, _ in source.epoch(epoch)]
    assert len(found) == source.num_batches == -(-size // batch_size)
    assert all(x == y for x, y in found), "inputs and targets must move together"
    assert sorted(row for x, _ in found for row in x) == list(range(size))
    assert all(len(x) == batch_size for x, _ in found[:-1])


@given(sizes, st.integers(1, 20), st.integers(1, 50), shuffles, seeds)
def test_epochs_of_given_steps_follow_the_passes_without_gap(size, batch_size, steps, shuffle, seed):
    x = np.arange(size, dtype=np.float32)[:, None]
    source = as_source(x, batch_size=batch_size, shuffle=shuffle, seed=seed, steps_per_epoch=steps)
    whole = as_source(x, batch_size=batch_size, shuffle=shuffle, seed=seed)
    endless = [x[:, 0].tolist() for number in range(3 * steps) for x, _, _ in whole.epoch(number)]
    for epoch in (2, 0, 1):  # in any order: no epoch depends on those before
        got = [x[:, 0].tolist() for x, _, _ in source.epoch(epoch)]
        assert got == endless[epoch * steps : (epoch + 1) * steps]


def test_epoch_order_is_the_permutation():
    x = np.arange(10.0)[:, None]
    source = as_source(x, batch_size=4, shuffle=True, seed=5)
    assert rows(source, 3) == permutation(10, 5, 3).tolist()
    assert rows(source, 0) != rows(source, 1)


def test_batch_shuffle_stays_inside_batches():
    x = np.arange(100.0)[:, None]
    batches = [x[:, 0].tolist() for x, _, _ in as_source(x, batch_size=30, shuffle="batch").epoch(0)]
    assert [sorted(batch) for batch in batches] == [list(range(a, min(a + 30, 100))) for a in (0, 30, 60, 90)]
    assert batches[0] != sorted(batches[0])


def test_one_full_batch_is_the_array_itself():
    x = np.random.default_rng(0).random((8, 2), dtype=np.float32)
    source = as_source(x, batch_size=8, shuffle=True)
    (first,), (second,) = list(source.epoch(0)), list(source.epoch(1))
    assert first[0] is second[0]
    assert first[0].data_ptr() == x.ctypes.data


def test_shuffled_batches_use_one_buffer_and_ordered_ones_share_the_array():
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    shuffled = {batch[0].data_ptr() for batch in as_source(x, batch_size=2, shuffle=True).epoch(0)}
    assert len(shuffled) == 1
    ordered = [batch[0].data_ptr() - x.ctypes.data for batch in as_source(x, batch_size=2).epoch(0)]
    assert ordered == [0, 16, 32]


def test_buffers_made_in_inference_mode_can_be_trained_on():
    weight = torch.ones(2, requires_grad=True)
    with torch.inference_mode():
        source = as_source(np.ones((5, 2)), batch_size=2, shuffle=True)
        list(source.epoch(0))
    for x, _, _ in source.epoch(1):
        (x @ weight).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [5.0, 5.0]


def test_more_batches_than_are_kept_as_views():
    x = np.arange(5000, dtype=np.float32)[:, None]
    assert rows(as_source(x, batch_size=1), 0) == list(range(5000))
    assert rows(as_source(x, batch_size=1, shuffle=True, seed=2), 1) == permutation(5000, 2, 1).tolist()


@pytest.mark.parametrize("shuffle", [True, False])
def test_arrays_too_large_for_the_device_move_batch_by_batch(monkeypatch, shuffle):
    monkeypatch.setattr("dougong.data.array_source._fits", lambda tensors, device: False)
    x = np.arange(10.0)[:, None]
    source = as_source(x, x, batch_size=4, shuffle=shuffle, seed=5, device="cpu")
    assert rows(source, 2) == (permutation(10, 5, 2).tolist() if shuffle else list(range(10)))
    assert source.peek()[1][:, 0].tolist() == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("shuffle", [1, "epoch", None])
def test_shuffle_must_be_known(shuffle):
    with pytest.raises(ConfigError, match="True, False or 'batch'"):
        as_source(np.zeros((2, 1)), shuffle=shuffle)
