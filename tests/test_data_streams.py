"""Sources that make their own batches: PyDataset, torch Dataset and DataLoader, generators, iterables."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from dougong.core.errors import DataError
from dougong.data import PyDataset, as_source, permutation


class Numbers(PyDataset):
    def __init__(self, count=5, **options):
        super().__init__(**options)
        self.count = count
        self.calls = []

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return np.full((2, 1), float(index)), np.full(2, index)

    def on_epoch_begin(self):
        self.calls.append("begin")

    def on_epoch_end(self):
        self.calls.append("end")


class Endless(PyDataset):
    num_batches = None

    def __getitem__(self, index):
        return (np.full((1, 1), float(index)),)


class Samples(Dataset):
    def __len__(self):
        return 7

    def __getitem__(self, index):
        return np.array([index, index], dtype=np.float64), index % 3


class Stream(IterableDataset):
    def __iter__(self):
        return ((torch.tensor([float(i)]), i) for i in range(5))


def generator(count):
    for i in range(count):
        yield np.full((2, 1), i, dtype=np.float64), np.full(2, i)


def values(source, epoch=0):
    return [int(x[0, 0]) for x, _, _ in source.epoch(epoch)]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("shuffle", [True, False])
def test_py_dataset(workers, shuffle):
    data = Numbers(workers=workers, max_queue_size=2)
    source = as_source(data, shuffle=shuffle, seed=4)
    assert source.num_batches == 5
    assert values(source, 2) == (permutation(5, 4, 2).tolist() if shuffle else [0, 1, 2, 3, 4])
    assert data.calls == ["begin", "end"]
    x, y, w = source.peek()
    assert (x.dtype, y.dtype, w) == (torch.float32, torch.int64, None)


def test_py_dataset_left_half_way_stops_its_threads():
    source = as_source(Numbers(count=1000, workers=4))
    for x, _, _ in source.epoch(0):
        if x[0, 0] == 3:
            break
    assert values(source, 1)[:3] == [0, 1, 2]


def test_py_dataset_whose_constructor_was_not_called():
    class Plain(PyDataset):
        def __init__(self):
            pass

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return [np.zeros((1, 1))]

    assert values(as_source(Plain())) == [0]


def test_endless_py_dataset():
    source = as_source(Endless(), steps_per_epoch=3)
    assert (values(source, 0), values(source, 1)) == ([0, 1, 2], [3, 4, 5])
    with pytest.raises(DataError, match="give steps_per_epoch"):
        values(as_source(Endless()))


def test_empty_py_dataset():
    with pytest.raises(DataError, match="Numbers has no batches"):
        as_source(Numbers(count=0))


def test_steps_go_on_where_the_epoch_before_ended():
    source = as_source(Numbers(), steps_per_epoch=3)
    assert [values(source, epoch) for epoch in (0, 1, 2)] == [[0, 1, 2], [3, 4, 0], [1, 2, 3]]


def test_class_weights_reach_streams():
    _, _, weights = as_source(Numbers(), class_weight={0: 5.0}).peek()
    assert weights.tolist() == [5.0, 5.0]


def test_torch_dataset():
    source = as_source(Samples(), batch_size=3, shuffle=True, seed=1)
    assert (source.num_batches, source.num_samples, source.peek()[0].shape) == (3, 7, (3, 2))
    batches = list(source.epoch(0))
    order = permutation(7, 1, 0)
    assert torch.cat([x[:, 0] for x, _, _ in batches]).tolist() == order.tolist()
    assert torch.cat([y for _, y, _ in batches]).tolist() == (order % 3).tolist()
    assert batches[0][0].dtype == torch.float32


def test_tensor_dataset_is_read_as_arrays():
    source = as_source(TensorDataset(torch.arange(4.0)[:, None], torch.arange(4)), batch_size=4)
    assert source.peek()[1].tolist() == [0, 1, 2, 3]
    assert next(source.epoch(0))[0] is next(source.epoch(1))[0]


def test_data_loader():
    source = as_source(DataLoader(Samples(), batch_size=4))
    assert (source.num_batches, source.batch_size) == (2, 4)
    assert (values(source, 0), values(source, 1)) == ([0, 4], [0, 4])


def test_iterable_dataset():
    source = as_source(Stream(), batch_size=2)
    assert source.num_batches is None
    assert (values(source, 0), values(source, 1), source.num_batches) == ([0, 2, 4], [0, 2, 4], 3)


def test_peek_then_epoch_has_every_batch():
    for source in (as_source(generator(3)), as_source(DataLoader(Samples(), batch_size=4)), as_source(Numbers(3))):
        head = source.peek()
        again = source.peek()
        assert head[0].tolist() == again[0].tolist()
        assert len(values(source)) == (2 if source.batch_size == 4 else 3)


def test_an_iterable_left_half_way_begins_anew():
    source = as_source(DataLoader(Samples(), batch_size=2))
    next(source.epoch(0))
    assert values(source, 1) == [0, 2, 4, 6]


def test_endless_generator_goes_on_from_epoch_to_epoch():
    source = as_source(((np.full((1, 1), i),) for i in itertools.count()), steps_per_epoch=3)
    assert (values(source, 0), values(source, 1), source.num_batches) == ([0, 1, 2], [3, 4, 5], 3)


def test_iterables_with_steps_begin_anew_at_their_end():
    class Loop:
        def __iter__(self):
            return generator(3)

    source = as_source(Loop(), steps_per_epoch=2)
    assert [values(source, epoch) for epoch in range(3)] == [[0, 1], [2, 0], [1, 2]]


def test_a_generator_that_ends_warns_and_cannot_go_on():
    source = as_source(generator(5), steps_per_epoch=3)
    assert values(source, 0) == [0, 1, 2]
    with pytest.warns(UserWarning, match=r"ran out of data: 2 of 3 steps in epoch 2\. Let it yield at least"):
        assert values(source, 1) == [3, 4]
    assert source.exhausted
    with pytest.raises(DataError, match=r"ran out of data before epoch 3.*PyDataset"):
        values(source, 2)


def test_a_generator_without_steps_gives_one_epoch():
    source = as_source(generator(4))
    assert not source.exhausted
    assert (values(source), source.num_batches, source.exhausted) == ([0, 1, 2, 3], 4, True)


@pytest.mark.parametrize("read", [lambda source: source.peek(), lambda source: list(source.epoch(0))])
def test_an_empty_generator(read):
    with pytest.raises(DataError, match="generator"):
        read(as_source(generator(0)))


def test_wrong_batches_are_named():
    with pytest.raises(DataError, match="batch 1 of the generator: x has 2 rows, y has 3 rows"):
        list(as_source(pair for pair in [(np.zeros(2), np.zeros(2)), (np.zeros(2), np.zeros(3))]).epoch(0))
    with pytest.raises(DataError, match="batch 0 of the generator: a batch must be x"):
        list(as_source(four for four in [(1, 2, 3, 4)]).epoch(0))
    with pytest.raises(DataError, match="x holds text"):
        list(as_source(batch for batch in [(np.array(["a"]),)]).epoch(0))


def test_targets_belong_into_the_stream():
    with pytest.raises(DataError, match="y must not be given beside a generator"):
        as_source(generator(3), np.zeros(2))
    with pytest.raises(DataError, match="sample_weight must not be given beside a PyDataset"):
        as_source(Numbers(), sample_weight=np.zeros(2))


def test_structures_pass_through():
    batches = [({"a": np.zeros((2, 1)), "b": [1.0, 2.0]}, (np.zeros(2), None))]
    x, y, _ = as_source(batch for batch in batches).peek()
    assert (set(x), x["b"].tolist(), y[1]) == ({"a", "b"}, [1.0, 2.0], None)


def test_samples_that_cannot_be_stacked():
    class Ragged(Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return np.zeros(index + 1)

    with pytest.raises(DataError, match="samples of batch 0 cannot be stacked"):
        as_source(Ragged()).peek()
