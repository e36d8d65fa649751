"""A closed cycle as usage events of a billing service: one for its figure, one for each batch of adjustments.

An event's id is a UUIDv5 of what it is about: an event that is sent again has the same id. All services add the values
up. So an adjustment is an event of its own, dated when it became known, and lowers the usage if it is negative.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from schemas.fields import utc_text
from schemas.ids import fact_id

Service = Literal["stripe", "lago", "openmeter"]
Dated = Literal["cycle", "closing"]

VALUE: Final = "active_contacts"
"""The property that Lago and OpenMeter are told to sum."""
_STRIPE_NAME: Final = 100  # characters of event_name
_STRIPE_PAST: Final = timedelta(days=35)
_STRIPE_FUTURE: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ClosedCycle:
    """A cycle whose figure never changes any more."""

    workspace_id: str
    cycle_start: datetime
    cycle_end: datetime
    closed_at: datetime
    active_contacts: int


@dataclass(frozen=True, slots=True)
class AdjustmentBatch:
    """Adjustments of a cycle that became known at once. `first_id`: the smallest of their adjustment_ids."""

    first_id: int
    at: datetime
    amount: int


@dataclass(frozen=True, slots=True)
class Meter:
    """Where the usage goes: the service, the name of its meter, and whom it knows the workspace by."""

    service: Service
    name: str
    customer: str


@dataclass(frozen=True, slots=True)
class Usage:
    """An event before it has a service's shape. `what` names it to people."""

    what: str
    event_id: str
    at: datetime
    value: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event that the service would not take, and why."""

    what: str
    reason: str


def usage(
    cycle: ClosedCycle, batches: Iterable[AdjustmentBatch], dated: Dated, since: datetime | None
) -> Iterator[Usage]:
    """The events of what became known from `since` on.

    `dated`: the figure's event lies in the last second of the cycle, or at the time of closing, for a service whose
    invoice of the cycle is out by then.
    """
    name = (cycle.workspace_id, cycle.cycle_start.isoformat())
    if since is None or cycle.closed_at >= since:
        at = cycle.closed_at if dated == "closing" else cycle.cycle_end - timedelta(seconds=1)
        yield Usage("the closed figure", str(fact_id("usage", *name, "closed")), at, cycle.active_contacts)
    for batch in batches:
        if since is None or batch.at >= since:
            event_id = str(fact_id("usage", *name, "adjustments", str(batch.first_id)))
            yield Usage(f"the adjustments of {batch.at:%Y-%m-%dT%H:%M:%S.%fZ}", event_id, batch.at, batch.amount)


def shaped(cycle: ClosedCycle, one: Usage, meter: Meter, now: datetime) -> Mapping[str, Any] | Refusal:
    """The event as the service takes it at this time."""
    if meter.service == "stripe" and (reason := _not_for_stripe(one, meter, now)) is not None:
        return Refusal(one.what, reason)
    return _SHAPES[meter.service](cycle, one, meter)


def _not_for_stripe(one: Usage, meter: Meter, now: datetime) -> str | None:
    if len(meter.name) > _STRIPE_NAME:
        return f"Stripe takes names of meters of at most {_STRIPE_NAME} characters, and this one has {len(meter.name)}"
    if one.at < now - _STRIPE_PAST:
        return f"Stripe takes events of the past 35 days, and this one is dated {utc_text(one.at)}"
    if one.at > now + _STRIPE_FUTURE:
        return f"Stripe takes no event of more than 5 minutes ahead, and this one is dated {utc_text(one.at)}"
    return None


def _stripe(_cycle: ClosedCycle, one: Usage, meter: Meter) -> Mapping[str, Any]:
    """The parameters of POST /v1/billing/meter_events."""
    return {
        "event_name": meter.name,
        "identifier": one.event_id,
        "timestamp": int(one.at.timestamp()),
        "payload": {"stripe_customer_id": meter.customer, "value": str(one.value)},
    }


def _lago(cycle: ClosedCycle, one: Usage, meter: Meter) -> Mapping[str, Any]:
    """The body of POST /api/v1/events."""
    return {
        "event": {
            "transaction_id": one.event_id,
            "external_subscription_id": meter.customer,
            "code": meter.name,
            "timestamp": int(one.at.timestamp()),
            "properties": {VALUE: one.value, "cycle_start": utc_text(cycle.cycle_start)},
        }
    }


def _openmeter(cycle: ClosedCycle, one: Usage, meter: Meter) -> Mapping[str, Any]:
    """The body of POST /api/v1/events: a CloudEvent."""
    return {
        "specversion": "1.0",
        "type": meter.name,
        "id": one.event_id,
        "source": f"/sluice/{cycle.workspace_id}",
        "subject": meter.customer,
        "time": utc_text(one.at),
        "datacontenttype": "application/json",
        "data": {VALUE: one.value, "cycle_start": utc_text(cycle.cycle_start)},
    }


_SHAPES: Final[Mapping[Service, Callable[[ClosedCycle, Usage, Meter], Mapping[str, Any]]]] = {
    "stripe": _stripe,
    "lago": _lago,
    "openmeter": _openmeter,
}
