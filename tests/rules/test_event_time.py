"""Contract 1: event time is the provider's clock, within limits."""

from datetime import UTC, datetime, timedelta

import pytest

from workers.rules.event_time import event_time, kafka_time, trusted

KAFKA = datetime(2026, 3, 10, 12, tzinfo=UTC)
RECEIVED = KAFKA - timedelta(seconds=2)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("sent_at", "expected"),
    [
        (RECEIVED - timedelta(hours=3), RECEIVED - timedelta(hours=3)),
        (None, RECEIVED),
        (RECEIVED, RECEIVED),
        (RECEIVED + SECOND, RECEIVED),
        (RECEIVED - timedelta(days=7), RECEIVED - timedelta(days=7)),
        (RECEIVED - timedelta(days=7) - SECOND, RECEIVED),
    ],
)
def test_sent_at_counts_unless_it_is_missing_ahead_or_older_than_seven_days(
    sent_at: datetime | None, expected: datetime
) -> None:
    assert event_time(sent_at, RECEIVED, KAFKA) == expected


def test_an_adapter_more_than_five_minutes_ahead_is_held_to_kafkas_time() -> None:
    ahead = KAFKA + timedelta(minutes=5)

    assert trusted(ahead, KAFKA) == ahead
    assert trusted(ahead + SECOND, KAFKA) == KAFKA
    assert event_time(ahead + SECOND, ahead + SECOND, KAFKA) == KAFKA


def test_kafkas_own_time_may_be_as_old_as_1970() -> None:
    assert kafka_time(0) == datetime(1970, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="out of range"):
        kafka_time(-1)
