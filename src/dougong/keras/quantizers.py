"""``keras.quantizers``: refused by name."""

from dougong.keras.facade import Facade

_WHY = "Dougong does not quantize in training; quantize the trained model when it is exported"
_NAMES = """
AWQConfig AbsMaxQuantizer Float8QuantizationConfig GPTQConfig Int4QuantizationConfig Int8QuantizationConfig
QuantizationConfig Quantizer abs_max_quantize abs_max_quantize_grouped_with_zero_point compute_float8_amax_history
compute_float8_scale deserialize fake_quant_with_min_max_vars get pack_int4 quantize_and_dequantize serialize
unpack_int4
""".split()

__all__, __getattr__, __dir__ = Facade("keras.quantizers", refused=dict.fromkeys(_NAMES, _WHY)).of()
