"""As `tests/acceptance/test_lag_changes_nothing.py`, with more histories."""

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


@pytest.mark.timeout(1_200)
@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(case=cases())
def test_every_order_of_arrival_ends_in_the_same_world(shop: Shop, case: tuple[History, list[Delivery]]) -> None:
    assert_ends_the_same(shop, case)
