"""What is erased after `message_retention_days` changes no count and no verdict, by the reference model."""

import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings

from tests.acceptance.histories import NOW, Delivery, History, cases
from tests.acceptance.lagging import Shop, deliver, opened
from tests.acceptance.views import counted_again, seen
from tests.reference import world
from tests.support.databases import Databases
from tests.workers.forgetting import forget, keep
from tests.workers.verified import verified

LATER = NOW + timedelta(days=50)


@pytest.fixture(scope="module")
def shop(databases: Databases) -> Iterator[Shop]:
    with opened(databases) as shop:
        yield shop


@pytest.mark.timeout(600)  # to shrink what fails takes longer than to pass
@settings(
    max_examples=5,
    deadline=None,
    derandomize="CI" in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(case=cases())
def test_counts_and_verdicts_are_those_of_messages_with_content(
    shop: Shop, case: tuple[History, list[Delivery]]
) -> None:
    history, (punctual, shuffled, _) = case
    active = {start: count for start, (_, count) in world("any", history.facts, NOW).counts.items()}

    # All at the end: nothing differs but that texts are gone.
    name = f"w{next(shop.numbers)}"
    expected = world(name, history.facts, NOW)
    shop.run(deliver(shop.pool, name, history.facts, punctual))
    shop.run(keep(shop.pool, 1, name))
    shop.run(forget(shop.pool, LATER))
    shown = asdict(shop.run(seen(shop.pool, name)))
    for text in (*(m.text for m in shown["shown"].values()), *(text for *_, text in shown["comments"].values())):
        assert text is None
    assert shown["shown"].keys() == expected.shown.keys()
    without = ("shown", "comments")
    assert {k: v for k, v in shown.items() if k not in without} == {
        k: v for k, v in asdict(expected).items() if k not in without
    }
    assert shop.run(counted_again(shop.pool, name)) == active
    assert shop.run(verified(shop.pool, NOW, workspace=name)) == []

    # In between: what comes late finds messages without content.
    name = f"w{next(shop.numbers)}"
    expected = world(name, history.facts, NOW)
    half = len(shuffled.polls) // 2
    shop.run(keep(shop.pool, 1, name))
    shop.run(deliver(shop.pool, name, history.facts, replace(shuffled, polls=shuffled.polls[:half])))
    shop.run(forget(shop.pool, LATER))
    shop.run(deliver(shop.pool, name, history.facts, replace(shuffled, polls=shuffled.polls[half:])))
    shown = asdict(shop.run(seen(shop.pool, name)))
    assert {k: shown[k] for k in ("counts", "proofs", "blocked", "runs")} == {
        k: asdict(expected)[k] for k in ("counts", "proofs", "blocked", "runs")
    }
    assert shop.run(counted_again(shop.pool, name)) == active
    assert shop.run(verified(shop.pool, NOW, workspace=name)) == []
