"""A closed cycle as usage events: the services' own schemas take them, and their values add up to what is billed."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from tests.rules.usage_schemas import LAGO, OPENMETER, STRIPE
from workers.rules.usage_events import AdjustmentBatch, ClosedCycle, Meter, Refusal, Service, shaped, usage

TAKES: Final = {
    "stripe": Draft202012Validator(STRIPE),
    "lago": Draft202012Validator(LAGO),
    "openmeter": Draft202012Validator(OPENMETER, validate_formats=True),
}
START: Final = datetime(2026, 2, 28, 23, tzinfo=UTC)
END: Final = datetime(2026, 3, 31, 22, tzinfo=UTC)
CLOSED: Final = END + timedelta(hours=72)
MARCH: Final = ClosedCycle("acme", START, END, CLOSED, 17)
LATER: Final = AdjustmentBatch(4, CLOSED + timedelta(days=1, microseconds=5), -2)
SERVICES: Final[tuple[Service, ...]] = get_args(Service)


def value_of(service: Service, event: Mapping[str, Any]) -> int:
    """The value, as the service reads it."""
    match service:
        case "stripe":
            return int(event["payload"]["value"])
        case "lago":
            return int(event["event"]["properties"]["active_contacts"])
        case "openmeter":
            return int(event["data"]["active_contacts"])


def id_of(service: Service, event: Mapping[str, Any]) -> str:
    """What the service knows a repeated event by."""
    return str(
        {"stripe": event.get("identifier"), "openmeter": event.get("id")}.get(service)
        or event["event"]["transaction_id"]
    )


batches = st.lists(
    st.builds(
        AdjustmentBatch,
        first_id=st.integers(1, 2**62),
        at=st.datetimes(datetime(2026, 4, 4), datetime(2026, 5, 1), timezones=st.just(UTC)),  # noqa: DTZ001
        amount=st.integers(-(10**7), 10**7).filter(bool),
    ),
    unique_by=(lambda one: one.first_id, lambda one: one.at),
)


@given(
    st.sampled_from(SERVICES),
    st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True),
    st.integers(0, 10**9),
    batches,
    st.text(min_size=1, max_size=100),
)
def test_a_service_takes_every_event_and_they_add_up(
    service: Service, workspace: str, figure: int, adjusted: list[AdjustmentBatch], name: str
) -> None:
    cycle = ClosedCycle(workspace, START, END, CLOSED, figure)
    now = datetime(2026, 5, 2, tzinfo=UTC)
    made = [shaped(cycle, one, Meter(service, name, "cus_1"), now) for one in usage(cycle, adjusted, "cycle", None)]
    events = [one for one in made if not isinstance(one, Refusal)]

    assert len(events) == 1 + len(adjusted)
    for event in events:
        TAKES[service].validate(event)
    assert sum(value_of(service, event) for event in events) == figure + sum(batch.amount for batch in adjusted)
    assert len({id_of(service, event) for event in events}) == len(events)


@pytest.mark.parametrize("service", SERVICES)
def test_an_event_has_the_same_id_whatever_came_later(service: Service) -> None:
    meter = Meter(service, "m", "acme")

    def ids(cycle: ClosedCycle, *adjusted: AdjustmentBatch) -> list[str]:
        events = [
            shaped(cycle, one, meter, LATER.at + timedelta(days=2)) for one in usage(cycle, adjusted, "cycle", None)
        ]
        return [id_of(service, event) for event in events if not isinstance(event, Refusal)]

    [first, second] = ids(MARCH, LATER)
    assert ids(MARCH) == [first]
    [*others, third] = ids(MARCH, LATER, AdjustmentBatch(9, LATER.at + timedelta(days=1), LATER.amount))
    assert others == [first, second]
    assert third not in others
    cycles = (
        ClosedCycle("acme2", START, END, CLOSED, 17),
        ClosedCycle("acme", END, END + timedelta(days=30), CLOSED, 17),
    )
    assert not {first, second} & {name for cycle in cycles for name in ids(cycle, LATER)}


def test_events_are_dated_in_the_cycle_or_when_they_became_known() -> None:
    assert [one.at for one in usage(MARCH, [LATER], "cycle", None)] == [END - timedelta(seconds=1), LATER.at]
    assert [one.at for one in usage(MARCH, [LATER], "closing", None)] == [CLOSED, LATER.at]


def test_since_leaves_out_what_was_known_before() -> None:
    assert len(list(usage(MARCH, [LATER], "cycle", CLOSED))) == 2
    assert [one.value for one in usage(MARCH, [LATER], "cycle", CLOSED + timedelta(seconds=1))] == [-2]
    assert list(usage(MARCH, [LATER], "cycle", LATER.at + timedelta(seconds=1))) == []


def test_stripe_takes_no_event_outside_of_its_window() -> None:
    [figure] = usage(MARCH, (), "cycle", None)
    meter, window = Meter("stripe", "m", "c"), timedelta(days=35)

    assert not isinstance(shaped(MARCH, figure, meter, figure.at + window), Refusal)
    late = shaped(MARCH, figure, meter, figure.at + window + timedelta(seconds=1))
    assert late == Refusal(
        "the closed figure", "Stripe takes events of the past 35 days, and this one is dated 2026-03-31T21:59:59Z"
    )
    assert not isinstance(shaped(MARCH, figure, meter, figure.at - timedelta(minutes=5)), Refusal)
    assert isinstance(shaped(MARCH, figure, meter, figure.at - timedelta(minutes=5, seconds=1)), Refusal)
    assert isinstance(shaped(MARCH, figure, Meter("stripe", "m" * 101, "c"), figure.at), Refusal)
    for service in SERVICES[1:]:
        assert not isinstance(shaped(MARCH, figure, Meter(service, "m", "c"), figure.at + 10 * window), Refusal)
