"""`RemoteMonitor`: sends the logs of every epoch to a server."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import numpy as np
from torch import Tensor

from dougong.core.errors import ConfigError
from dougong.training.callbacks.callback import Callback

__all__ = ["RemoteMonitor"]

_PATIENCE = 10.0  # seconds to wait for the server


class RemoteMonitor(Callback):
    """POST ``{"epoch": …, "loss": …}`` to ``root + path`` after every epoch.

    The JSON is the form field ``field``, or, with ``send_as_json``, the body.  A server that does not answer within
    ten seconds, or refuses, is a warning: training goes on.   Raises: ConfigError unless ``root`` is an HTTP address.
    Keras: equals it; there a refusal is passed over in silence.
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
    ) -> None:
        super().__init__()
        if not root.startswith(("http://", "https://")):
            raise ConfigError(f"root must begin with http:// or https://, got {root!r}")
        self.root, self.path, self.field = root, path, field
        self.headers, self.send_as_json = headers, send_as_json

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        text = json.dumps({"epoch": epoch} | {name: _plain(value) for name, value in (logs or {}).items()})
        if self.send_as_json:
            body, kind = text, "application/json"
        else:
            body, kind = urlencode({self.field: text}), "application/x-www-form-urlencoded"
        request = Request(self.root + self.path, body.encode(), {"Content-Type": kind, **(self.headers or {})})
        try:
            with urlopen(request, timeout=_PATIENCE):
                pass
        except (URLError, OSError) as error:
            warnings.warn(f"RemoteMonitor could not reach {self.root}{self.path}: {error}", stacklevel=2)


def _plain(value: Any) -> Any:
    """A number or nested list for JSON."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
