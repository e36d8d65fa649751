"""Metrics of senders: this file has the names of all. None shows the address of a person."""

from collections.abc import Collection
from typing import Final, Literal, get_args

from prometheus_client import Counter, Gauge, Histogram

CALLS: Final = Counter("sluice_provider_calls_total", "Calls of providers by outcome.", ["provider", "outcome"])
DENIED: Final = Counter("sluice_claims_denied_total", "Attempts that may not be made.", ["reason"])
CALL_SECONDS: Final = Histogram(
    "sluice_provider_call_seconds",
    "Duration of a call of a provider.",
    ["provider"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30),
)
DISPATCHES: Final = Counter(
    "sluice_dispatches_total", "Records of sends.dispatch by what was done with them.", ["outcome"]
)
OPEN: Final = Gauge("sluice_dispatches_open", "Records of sends.dispatch that are polled and not done.")

OUTCOMES: Final = ("sent", "failed", "throttled", "ambiguous")
"""Of calls."""
Done = Literal["reported", "denied", "claimed_before", "other_channel", "unreadable"]
"""What was done with a record."""
REASONS: Final = ("already_claimed", "superseded", "not_dispatched", "unknown_send")
"""Why a claim is denied that is about no rule. Reasons of rules are counted from the first one on."""


def from_zero(providers: Collection[str]) -> None:
    """Sets every counter to 0 for these providers: an alert on an absent counter does not fire the first time."""
    for provider in providers:
        for outcome in OUTCOMES:
            CALLS.labels(provider, outcome)
        CALL_SECONDS.labels(provider)
    for done in get_args(Done):
        DISPATCHES.labels(done)
    for reason in REASONS:
        DENIED.labels(reason)
