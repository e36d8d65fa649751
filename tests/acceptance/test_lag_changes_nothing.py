"""Records in any order, at any time and any number of times lead to the same views.

Only some histories: `tests/faults/test_lag_of_many.py` has more.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from tests.acceptance.histories import Delivery, History, cases
from tests.acceptance.lagging import Shop, assert_ends_the_same, opened
from tests.support.databases import Databases


@pytest.fixture(scope="module")
def shop(databases: Databases) -> Iterator[Shop]:
    with opened(databases) as shop:
        yield shop


@pytest.mark.timeout(600)  # to shrink what fails takes longer than to pass
@settings(
    max_examples=25,
    deadline=None,
    derandomize="CI" in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(case=cases())
def test_every_order_of_arrival_ends_in_the_same_world(shop: Shop, case: tuple[History, list[Delivery]]) -> None:
    assert_ends_the_same(shop, case)
