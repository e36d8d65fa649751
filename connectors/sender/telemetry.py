"""Sets the counters of senders to 0 at the start: an alert on an absent counter does not fire the first time."""

from collections.abc import Collection
from typing import get_args

from workers.process.metrics import of_senders as metrics


def from_zero(providers: Collection[str]) -> None:
    """Sets every counter to 0 for these providers."""
    for provider in providers:
        for outcome in metrics.OUTCOMES:
            metrics.CALLS.labels(provider, outcome)
        metrics.PROVIDER_ANSWERS.labels(provider, metrics.NO_ANSWER)
        metrics.CALL_SECONDS.labels(provider)
    for done in get_args(metrics.Done):
        metrics.DISPATCHES.labels(done)
    for reason in metrics.REASONS:
        metrics.DENIED.labels(reason)
