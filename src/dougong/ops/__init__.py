"""Keras's operations, one family a file: functions of tensors, arrays, numbers or symbols.

They are the functions of `keras.ops`.  Activations, initializers, regularizers and constraints stand beside them, in
modules of their own.
"""

# isort: off
# fmt: off
from dougong.ops.arithmetic import (
    add, divide, divide_no_nan, floor_divide, fmax, fmin, fmod, gcd, lcm, maximum, minimum, mod, multiply, power,
    subtract, true_divide,
)
from dougong.ops.bits import (
    bitwise_and, bitwise_invert, bitwise_left_shift, bitwise_not, bitwise_or, bitwise_right_shift, bitwise_xor,
    left_shift, right_shift, view,
)
from dougong.ops.colors import hsv_to_rgb, rgb_to_grayscale, rgb_to_hsv
from dougong.ops.comparison import (
    allclose, equal, greater, greater_equal, isclose, isfinite, isin, isinf, isnan, isneginf, isposinf, isreal,
    less, less_equal, logical_and, logical_not, logical_or, logical_xor, not_equal,
)
from dougong.ops.connectionist import ctc_decode, ctc_loss
from dougong.ops.control_flow import cond, fori_loop, switch, while_loop
from dougong.ops.conversion import (
    cast, convert_to_numpy, convert_to_tensor, dtype, is_tensor, polar, saturate_cast, shape, view_as_complex,
    view_as_real,
)
from dougong.ops.counting import bincount, histogram, unique
from dougong.ops.creation import (
    arange, array, copy, empty, empty_like, eye, full, full_like, identity, ones, ones_like, tri, zeros, zeros_like,
)
from dougong.ops.cumulative import cumprod, cumsum, diff, trapezoid
from dougong.ops.diagonals import diag, diagflat, diagonal, trace, tril, triu
from dougong.ops.elementwise import (
    abs, absolute, angle, ceil, clip, conj, conjugate, fabs, floor, heaviside, imag, nan_to_num, negative,
    nextafter, real, reciprocal, round, sign, signbit, square, trunc,
)
from dougong.ops.exponentials import (
    cbrt, exp, exp2, expm1, i0, ldexp, log, log10, log1p, log2, logaddexp, logaddexp2, sqrt,
)
from dougong.ops.framing import crop_images, pad_images
from dougong.ops.frequency import extract_sequences, fft, fft2, ifft2, irfft, istft, rfft, stft
from dougong.ops.gradients import custom_gradient, jvp, stop_gradient
from dougong.ops.image_blocks import depth_to_space, fold, space_to_depth, unfold
from dougong.ops.indexed import (
    scatter, scatter_update, segment_max, segment_min, segment_prod, segment_sum, slice, slice_update, unstack,
)
from dougong.ops.indexing import get_item, nonzero, select, take, take_along_axis, unravel_index, where
from dougong.ops.interpolation import map_coordinates
from dougong.ops.joining import (
    append, array_split, concatenate, dsplit, dstack, hsplit, hstack, split, stack, vsplit, vstack,
)
from dougong.ops.linear_algebra import (
    cholesky, cholesky_inverse, det, eig, eigh, inv, logdet, lstsq, lu_factor, matrix_rank, norm, pinv, qr, solve,
    solve_triangular, svd,
)
from dougong.ops.nan_reductions import (
    nanargmax, nanargmin, nancumprod, nancumsum, nanmax, nanmean, nanmedian, nanmin, nanpercentile, nanprod,
    nanquantile, nanstd, nansum, nanvar,
)
from dougong.ops.nn_activations import (
    celu, elu, gelu, glu, hard_shrink, hard_sigmoid, hard_silu, hard_swish, hard_tanh, leaky_relu, log_sigmoid,
    log_softmax, relu, relu6, selu, sigmoid, silu, soft_shrink, softmax, softplus, softsign, sparse_plus,
    sparse_sigmoid, sparsemax, squareplus, swish, tanh_shrink, threshold,
)
from dougong.ops.nn_attention import dot_product_attention
from dougong.ops.nn_convolution import conv, conv_transpose, depthwise_conv, separable_conv
from dougong.ops.nn_normalization import batch_normalization, layer_normalization, moments, normalize, rms_normalization
from dougong.ops.nn_pooling import adaptive_average_pool, adaptive_max_pool, average_pool, max_pool
from dougong.ops.nn_targets import (
    binary_crossentropy, categorical_crossentropy, multi_hot, one_hot, sparse_categorical_crossentropy,
)
from dougong.ops.padding import pad
from dougong.ops.patches import extract_patches, extract_patches_3d
from dougong.ops.picture_filters import gaussian_blur, psnr, sobel_edges, ssim
from dougong.ops.products import cross, dot, einsum, inner, kron, matmul, outer, slogdet, tensordot, vander, vdot
from dougong.ops.rearranging import rearrange
from dougong.ops.reductions import (
    all, amax, amin, any, argmax, argmin, count_nonzero, max, mean, min, prod, ptp, std, sum, var,
)
from dougong.ops.resizing import resize, scale_and_translate
from dougong.ops.scans import associative_scan, map, scan, vectorized_map
from dougong.ops.shaping import (
    broadcast_to, expand_dims, flip, fliplr, flipud, moveaxis, ndim, ravel, repeat, reshape, roll, rot90, size,
    squeeze, swapaxes, tile, transpose,
)
from dougong.ops.sorting import argpartition, argsort, digitize, searchsorted, sort
from dougong.ops.spacing import geomspace, linspace, logspace, meshgrid
from dougong.ops.special_functions import cdist, erf, erfc, erfinv, in_top_k, logsumexp, rsqrt, top_k
from dougong.ops.statistics import average, corrcoef, correlate, median, percentile, quantile
from dougong.ops.trigonometry import (
    arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh, cos, cosh, deg2rad, hypot, rad2deg, sin, sinc, sinh,
    tan, tanh,
)
from dougong.ops.vectorizing import vectorize
from dougong.ops.warping import affine_transform, elastic_transform, perspective_transform
from dougong.ops.windows import bartlett, blackman, hamming, hanning, kaiser

__all__ = [  # noqa: RUF022
    "abs", "absolute", "adaptive_average_pool", "adaptive_max_pool", "add", "affine_transform", "all", "allclose",
    "amax", "amin", "angle", "any", "append", "arange", "arccos", "arccosh", "arcsin", "arcsinh", "arctan",
    "arctan2", "arctanh", "argmax", "argmin", "argpartition", "argsort", "array", "array_split", "associative_scan",
    "average", "average_pool", "bartlett", "batch_normalization", "binary_crossentropy", "bincount", "bitwise_and",
    "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
    "blackman", "broadcast_to", "cast", "categorical_crossentropy", "cbrt", "cdist", "ceil", "celu", "cholesky",
    "cholesky_inverse", "clip", "concatenate", "cond", "conj", "conjugate", "conv", "conv_transpose",
    "convert_to_numpy", "convert_to_tensor", "copy", "corrcoef", "correlate", "cos", "cosh", "count_nonzero",
    "crop_images", "cross", "ctc_decode", "ctc_loss", "cumprod", "cumsum", "custom_gradient", "deg2rad",
    "depth_to_space", "depthwise_conv", "det", "diag", "diagflat", "diagonal", "diff", "digitize", "divide",
    "divide_no_nan", "dot", "dot_product_attention", "dsplit", "dstack", "dtype", "eig", "eigh", "einsum",
    "elastic_transform", "elu", "empty", "empty_like", "equal", "erf", "erfc", "erfinv", "exp", "exp2",
    "expand_dims", "expm1", "extract_patches", "extract_patches_3d", "extract_sequences", "eye", "fabs", "fft",
    "fft2", "flip", "fliplr", "flipud", "floor", "floor_divide", "fmax", "fmin", "fmod", "fold", "fori_loop",
    "full", "full_like", "gaussian_blur", "gcd", "gelu", "geomspace", "get_item", "glu", "greater", "greater_equal",
    "hamming", "hanning", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "heaviside",
    "histogram", "hsplit", "hstack", "hsv_to_rgb", "hypot", "i0", "identity", "ifft2", "imag", "in_top_k", "inner",
    "inv", "irfft", "is_tensor", "isclose", "isfinite", "isin", "isinf", "isnan", "isneginf", "isposinf", "isreal",
    "istft", "jvp", "kaiser", "kron", "layer_normalization", "lcm", "ldexp", "leaky_relu", "left_shift", "less",
    "less_equal", "linspace", "log", "log10", "log1p", "log2", "log_sigmoid", "log_softmax", "logaddexp",
    "logaddexp2", "logdet", "logical_and", "logical_not", "logical_or", "logical_xor", "logspace", "logsumexp",
    "lstsq", "lu_factor", "map", "map_coordinates", "matmul", "matrix_rank", "max", "max_pool", "maximum", "mean",
    "median", "meshgrid", "min", "minimum", "mod", "moments", "moveaxis", "multi_hot", "multiply", "nan_to_num",
    "nanargmax", "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin",
    "nanpercentile", "nanprod", "nanquantile", "nanstd", "nansum", "nanvar", "ndim", "negative", "nextafter",
    "nonzero", "norm", "normalize", "not_equal", "one_hot", "ones", "ones_like", "outer", "pad", "pad_images",
    "percentile", "perspective_transform", "pinv", "polar", "power", "prod", "psnr", "ptp", "qr", "quantile",
    "rad2deg", "ravel", "real", "rearrange", "reciprocal", "relu", "relu6", "repeat", "reshape", "resize", "rfft",
    "rgb_to_grayscale", "rgb_to_hsv", "right_shift", "rms_normalization", "roll", "rot90", "round", "rsqrt",
    "saturate_cast", "scale_and_translate", "scan", "scatter", "scatter_update", "searchsorted", "segment_max",
    "segment_min", "segment_prod", "segment_sum", "select", "selu", "separable_conv", "shape", "sigmoid", "sign",
    "signbit", "silu", "sin", "sinc", "sinh", "size", "slice", "slice_update", "slogdet", "sobel_edges",
    "soft_shrink", "softmax", "softplus", "softsign", "solve", "solve_triangular", "sort", "space_to_depth",
    "sparse_categorical_crossentropy", "sparse_plus", "sparse_sigmoid", "sparsemax", "split", "sqrt", "square",
    "squareplus", "squeeze", "ssim", "stack", "std", "stft", "stop_gradient", "subtract", "sum", "svd", "swapaxes",
    "swish", "switch", "take", "take_along_axis", "tan", "tanh", "tanh_shrink", "tensordot", "threshold", "tile",
    "top_k", "trace", "transpose", "trapezoid", "tri", "tril", "triu", "true_divide", "trunc", "unfold", "unique",
    "unravel_index", "unstack", "vander", "var", "vdot", "vectorize", "vectorized_map", "view", "view_as_complex",
    "view_as_real", "vsplit", "vstack", "where", "while_loop", "zeros", "zeros_like",
]
# fmt: on
