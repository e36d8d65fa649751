"""Event time: when something happened, as far as Sluice trusts the clocks (contract 1, "event time")."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from schemas.limits import MAX_YEAR

MAX_AHEAD: Final = timedelta(minutes=5)  # an adapter's clock may be this far ahead of Kafka's
MAX_AGE: Final = timedelta(days=7)  # an older provider's time is taken for an error, and not used

_END_MS: Final = int(datetime(MAX_YEAR + 1, 1, 1, tzinfo=UTC).timestamp()) * 1_000


@lru_cache(maxsize=4096)
def kafka_time(timestamp_ms: int) -> datetime:
    """A Kafka timestamp, in milliseconds since 1970, as a time in UTC.

    Raises:
        ValueError: there is no timestamp (-1), or it is out of range, for example because it is in microseconds.
    """
    if not 0 <= timestamp_ms < _END_MS:
        raise ValueError("the Kafka timestamp is out of range")
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC)


def kafka_time_or(timestamp_ms: int, now: datetime) -> datetime:
    """Returns `kafka_time(timestamp_ms)`, or `now` if the timestamp is missing or out of range."""
    try:
        return kafka_time(timestamp_ms)
    except ValueError:
        return now


def trusted(claimed: datetime, kafka_time: datetime) -> datetime:
    """Returns the producer's time, or Kafka's if the producer's is more than `MAX_AHEAD` later."""
    return kafka_time if claimed > kafka_time + MAX_AHEAD else claimed


def event_time(sent_at: datetime | None, received_at: datetime, kafka_time: datetime) -> datetime:
    """Returns `sent_at` if it is not after the time of receipt and at most seven days before it. Otherwise returns the
    time of receipt, which is `received_at` as corrected by `trusted`.
    """
    received = trusted(received_at, kafka_time)
    if sent_at is None or sent_at > received or received - sent_at > MAX_AGE:
        return received
    return sent_at
