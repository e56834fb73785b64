"""Cases that random search found and that were wrong once, each with a line on what was wrong."""

from __future__ import annotations

from properties.case import Block, Case, Draw

__all__ = ["REGRESSIONS"]

REGRESSIONS: dict[str, Case] = {
    "a symbol of whole numbers made a Dense whose output was said to be whole": Case(
        "Dense", {"units": 3, "use_bias": False}, (Draw((2, 1), "whole"),)
    ),
    "EinsumDense whose outputs have no axis of the kernel failed in torch": Case(
        "EinsumDense", {"equation": "ab,b->a", "output_shape": []}, (Draw((2, 1)),)
    ),
    "a trial run on symbols left its penalty, a tensor without a value, among the losses": Case(
        "Embedding", {"input_dim": 1, "output_dim": 1, "activity_regularizer": "l2"}, (Draw((2,), "whole", below=1),)
    ),
    "the mean of whole numbers failed in torch": Case("GlobalAveragePooling2D", {}, (Draw((2, 1, 1, 1), "whole"),)),
    "whole numbers could not be enlarged": Case("UpSampling1D", {"size": 1}, (Draw((2, 1, 1), "whole"),)),
    "whole numbers enlarged smoothly were not rounded": Case(
        "UpSampling2D", {"size": 2, "interpolation": "bilinear"}, (Draw((2, 1, 2, 1), "whole"),)
    ),
    "Reshape of whole numbers with an unknown axis was refused": Case(
        "Reshape", {"target_shape": (1,)}, (Draw((2, 1, 1), "whole"),), free=(1,)
    ),
    "batch renormalization was left out where there was a mask": Case(
        "BatchNormalization", {"renorm": True, "renorm_momentum": 0.9}, (Draw((2, 2), masked=1),), training=True
    ),
    "a mask that does not fit was noticed only in training": Case(
        "BatchNormalization", {"axis": -2}, (Draw((2, 1, 1), masked=1),), training=False
    ),
    "a group of one value was refused": Case("GroupNormalization", {"groups": 1, "axis": 1}, (Draw((1, 1)),)),
    "the config of rms_scaling said scale=True": Case(
        "LayerNormalization", {"axis": [1], "scale": False, "rms_scaling": True}, (Draw((2, 1)),)
    ),
    "a mask of fewer axes made the output of Softmax larger": Case("Softmax", {"axis": 1}, (Draw((2, 1), masked=1),)),
    "a mask of an input that gets more axes failed in torch": Case(
        "Multiply", {}, ([Draw((2, 1, 1), masked=2), Draw((2, 1), masked=1)],)
    ),
    "masks that do not fit each other were refused in torch's words": Case(
        "Add", {}, ([Draw((2, 1), masked=1), Draw((2, 3, 1), masked=2)],)
    ),
    "ReLU with a slope had the gradient 0 at 0": Case("ReLU", {"negative_slope": 0.3}, (Draw((2, 2), "ties"),)),
    "Activation did not know that glu halves an axis": Case("Activation", {"activation": "glu"}, (Draw((2, 2)),)),
    "Bidirectional of a layer that goes backwards was accepted": Case(
        "Bidirectional", {"layer": Block("SimpleRNN", {"units": 1, "go_backwards": True})}, (Draw((2, 1, 1)),)
    ),
    "a stateful ConvLSTM on too small an input failed in torch": Case(
        "ConvLSTM1D",
        {"filters": 1, "kernel_size": 3, "dilation_rate": 2, "stateful": True},
        (Draw((2, 1, 2, 1)),),
    ),
    "float64 was refused by torch where the weights are a cell's": Case(
        "LSTM", {"units": 2}, (Draw((2, 3, 4), dtype="float64"),)
    ),
    "float64 was refused by torch where all weights are statistics": Case(
        "BatchNormalization", {"center": False, "scale": False}, (Draw((2, 3), dtype="float64"),), twice=True
    ),
    "the penalty on an empty batch was NaN": Case("Dense", {"units": 2, "activity_regularizer": "l2"}, (Draw((0, 3)),)),
}
