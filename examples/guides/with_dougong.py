"""Run Keras programs with Dougong, unchanged:

    python examples/guides/with_dougong.py examples/guides/vae.py [further programs]

Only the name of the package changes: ``import keras`` is read as ``import dougong.keras as keras``, and
``from keras import layers`` as ``from dougong.keras import layers``.  That is all one has to edit to keep it that way.
"""

import re
import sys
from pathlib import Path
from typing import Any

CHANGES = {r"(?m)^import keras$": "import dougong.keras as keras", r"(?m)^from keras\b": "from dougong.keras"}


def translated(source: str) -> str:
    """The program with Dougong's facade in Keras's place; line numbers stay."""
    for old, new in CHANGES.items():
        source = re.sub(old, new, source)
    return source


def run(path: str | Path, name: str = "__main__") -> dict[str, Any]:
    """Run a program as module ``name``, and return what it defines."""
    path = Path(path)
    code = compile(translated(path.read_text(encoding="utf-8")), str(path), "exec")
    module = {"__name__": name, "__file__": str(path)}
    exec(code, module)
    return module


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python examples/guides/with_dougong.py program.py …")
    for program in sys.argv[1:]:
        run(program)
