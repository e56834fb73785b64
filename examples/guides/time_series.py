"""Forecasting a time series: windows, three kinds of networks, and the naive answers they have to beat.

The series is the monthly number of airline passengers, in thousands, 1949 to 1960 (Box & Jenkins 1976, series G).  From
twelve months' changes a network says the next; trained to the end of 1957, it is asked about 1958 to 1960.
"""

import keras
import numpy as np
from keras import layers

PASSENGERS = np.array(
    """112 118 132 129 121 135 148 148 136 119 104 118 115 126 141 135 125 149 170 170 158 133 114 140
    145 150 178 163 172 178 199 199 184 162 146 166 171 180 193 181 183 218 230 242 209 191 172 194
    196 196 236 235 229 243 264 272 237 211 180 201 204 188 235 227 234 264 302 293 259 229 203 229
    242 233 267 269 270 315 364 347 312 274 237 278 284 277 317 313 318 374 413 405 355 306 271 306
    315 301 356 348 355 422 465 467 404 347 305 336 340 318 362 348 363 435 491 505 404 359 310 337
    360 342 406 396 420 472 548 559 463 407 362 405 417 391 419 461 472 535 622 606 508 461 390 432""".split(),
    dtype="float32",
)
WINDOW, TEST = 12, 36


def windows(changes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Twelve changes in a row, and the one that follows."""
    starts = np.arange(len(changes) - WINDOW)
    return changes[starts[:, None] + np.arange(WINDOW)][..., None], changes[starts + WINDOW][:, None]


def networks() -> dict[str, keras.Model]:
    inputs = keras.Input((WINDOW, 1))
    flat = layers.Dense(1)(layers.Flatten()(inputs))
    x = layers.Conv1D(6, 3, padding="causal", activation="tanh")(inputs)
    x = layers.Conv1D(8, 3, padding="causal", dilation_rate=3, activation="tanh")(x)
    convolved = layers.Dense(1)(layers.Flatten()(x))
    x = layers.GRU(8, return_sequences=True)(inputs)
    recurrent = layers.Dense(1)(layers.Flatten()(x))
    return {
        "linear": keras.Model(inputs, flat),
        "convolution": keras.Model(inputs, convolved),
        "recurrent": keras.Model(inputs, recurrent),
    }


def main() -> dict[str, float]:
    keras.utils.set_random_seed(14)
    changes = np.diff(np.log(PASSENGERS))  # the log makes growth and season additive, the difference takes growth away
    scale = changes[:-TEST].std()
    x, y = windows((changes / scale).astype("float32"))
    known = PASSENGERS[-TEST - 1 : -1]
    truth = PASSENGERS[-TEST:]

    def error(forecast: np.ndarray) -> float:
        return float(np.abs(forecast - truth).mean())

    results = {
        "naive: as last month": error(known),
        "naive: as last year": error(PASSENGERS[-TEST - 12 : -12]),
        "naive: last year's change": error(known * np.exp(changes[-TEST - 12 : -12])),
    }
    for name, model in networks().items():
        model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.3), loss="mse")
        history = model.fit(x[:-TEST], y[:-TEST], batch_size=32, epochs=50, shuffle=False, verbose=0)
        forecast = known * np.exp(model.predict(x[-TEST:], verbose=0)[:, 0] * scale)
        results[f"{name}: last loss"] = history.history["loss"][-1]
        results[f"{name}: mean error"] = error(forecast)
    return results


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:28} {value:10.4f}")
