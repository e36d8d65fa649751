"""Sets the counters of receivers to 0 at the start: an alert on an absent counter does not fire the first time."""

from collections.abc import Collection

from schemas.building import INBOUND, RECEIPTS
from workers.process.metrics import of_receivers as metrics


def from_zero(providers: Collection[str]) -> None:
    """Sets every counter to 0 for these providers."""
    for provider in providers:
        for answer in metrics.ANSWERS:
            metrics.WEBHOOKS.labels(provider, answer)
        for topic in (INBOUND, RECEIPTS):
            metrics.WEBHOOK_RECORDS.labels(provider, topic)
        metrics.IGNORED.labels(provider, metrics.ANOTHER_ACCOUNT)
        metrics.NOT_UNDERSTOOD.labels(provider)
        metrics.WEBHOOK_SECONDS.labels(provider)
