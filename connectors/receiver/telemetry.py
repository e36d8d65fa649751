"""Metrics of receivers: this file has the names of all. None shows the address of a person."""

from collections.abc import Collection
from typing import Final

from prometheus_client import Counter, Histogram

from schemas.building import INBOUND, RECEIPTS

WEBHOOKS: Final = Counter("sluice_webhooks_total", "Webhooks and mails by what became of them.", ["provider", "answer"])
RECORDS: Final = Counter("sluice_webhook_records_total", "Records made of webhooks.", ["provider", "topic"])
IGNORED: Final = Counter("sluice_webhook_events_ignored_total", "Events that mean nothing here.", ["provider", "type"])
NOT_UNDERSTOOD: Final = Counter(
    "sluice_webhooks_unmapped_total", "Webhooks with an event that was not understood.", ["provider"]
)
SECONDS: Final = Histogram(
    "sluice_webhook_seconds",
    "From a whole webhook to its answer.",
    ["provider"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

ANSWERS: Final = ("acknowledged", "forbidden", "unavailable", "busy", "too_large", "slow", "encoded")
"""What becomes of a webhook or mail. The last four are refused before anybody has judged their signature."""
ANOTHER_ACCOUNT: Final = "another account"
"""The type of events about an account that the channels file does not have."""


def from_zero(providers: Collection[str]) -> None:
    """Sets every counter to 0 for these providers: an alert on an absent counter does not fire the first time."""
    for provider in providers:
        for answer in ANSWERS:
            WEBHOOKS.labels(provider, answer)
        for topic in (INBOUND, RECEIPTS):
            RECORDS.labels(provider, topic)
        IGNORED.labels(provider, ANOTHER_ACCOUNT)
        NOT_UNDERSTOOD.labels(provider)
        SECONDS.labels(provider)
