"""When something happened, as far as it can be trusted (contract 1, "event time")."""

from datetime import datetime, timedelta
from typing import Final

MAX_AHEAD: Final = timedelta(minutes=5)  # an adapter's clock may run this far ahead of Kafka's
MAX_AGE: Final = timedelta(days=7)  # a provider's clock older than this is broken, not late


def trusted(claimed: datetime, kafka_time: datetime) -> datetime:
    """A producer's clock reading, or Kafka's where it runs more than five minutes ahead."""
    return kafka_time if claimed > kafka_time + MAX_AHEAD else claimed


def event_time(sent_at: datetime | None, received_at: datetime, kafka_time: datetime) -> datetime:
    """`sent_at`, unless it is missing, in the future of `received_at`, or more than seven days older than it."""
    received = trusted(received_at, kafka_time)
    if sent_at is None or sent_at > received or received - sent_at > MAX_AGE:
        return received
    return sent_at
