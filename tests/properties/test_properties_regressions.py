"""What random search once found stays found."""

from __future__ import annotations

import pytest

from properties.case import Case
from properties.comparison import check
from properties.regressions import REGRESSIONS


@pytest.mark.parametrize("case", [pytest.param(case, id=wrong) for wrong, case in REGRESSIONS.items()])
def test_what_was_wrong_is_right(case: Case) -> None:
    check(case)
