"""The simulation finds planted bugs and names the broken law; without the bug the same schedule breaks none."""

from typing import Final

import pytest

from tests.simulation.planted import BUGS, Planted
from tests.simulation.schedule import run

WITHIN: Final = 1000


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS.keys())
def test_a_planted_bug_is_found(bug: Planted) -> None:
    with bug.planted():
        found = next(o for o in (run(seed, bug.parts, bug.climate) for seed in range(1, WITHIN + 1)) if o.broken)

    assert found.broken is not None
    assert found.broken.law in bug.laws
    assert found.broken.law in found.trace
    assert run(found.seed, climate=bug.climate).broken is None
