"""The README's tour runs, and prints what the README says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_tour_prints_what_the_readme_shows(tmp_path: Path) -> None:
    text = README.read_text()
    program = re.search(r"```python\n(.*?)```", text, re.S)
    shown = re.search(r"prints\n\n```\n(.*?)```", text, re.S)
    assert program
    assert shown
    done = subprocess.run([sys.executable, "-c", program[1]], cwd=tmp_path, capture_output=True, text=True, check=True)

    def stable(output: str) -> list[str]:
        """Without the figures that depend on the machine."""
        return [re.sub(r"\d+(\.\d+)?( lines|%| MB)", "#", line).rstrip() for line in output.splitlines()]

    assert stable(done.stdout) == stable(shown[1])
    accuracy = re.search(r"test accuracy (\d+\.\d)%", done.stdout)
    assert accuracy
    assert float(accuracy[1]) > 95
    assert len(program[1].splitlines()) <= 60
