"""Input is lost after seven days: a late worker warns long before."""

import pytest
from structlog.testing import capture_logs

from tests.runtime.test_decoding import Raw
from workers.kafka.lateness import Lateness
from workers.records import Partition, Slice

HERE, THERE = Partition("messages.inbound", 3), Partition("messages.inbound", 4)
DAY_S = 24 * 3_600
NOW_S = 30.0 * DAY_S


def raw(days_ago: float) -> Raw:
    return Raw(0, timestamp=int((NOW_S - days_ago * DAY_S) * 1_000))


def warned(lateness: Lateness, *polls: tuple[Partition, float], now_s: float = NOW_S) -> list[tuple[int, float]]:
    with capture_logs() as logs:
        lateness.look({source: Slice([raw(days_ago), raw(0)], 1) for source, days_ago in polls}, now_s)
    return [(log["partition"], log["waited_days"]) for log in logs if log["action"] == "input_ageing"]


def test_half_of_the_time_is_a_warning() -> None:
    assert warned(Lateness(), (HERE, 3.4)) == []
    assert warned(Lateness(), (HERE, 3.6), (THERE, 3.4)) == [(3, 3.6)]


def test_each_partition_is_warned_of_once_an_hour() -> None:
    lateness = Lateness()
    assert warned(lateness, (HERE, 5)) == [(3, 5)]
    assert warned(lateness, (HERE, 5), (THERE, 5)) == [(4, 5)]
    assert warned(lateness, (HERE, 5), now_s=NOW_S + 3_500) == []
    assert warned(lateness, (HERE, 5), now_s=NOW_S + 3_700) == [(3, 5.0)]


def test_a_topic_without_an_end_is_none_to_lose() -> None:
    assert warned(Lateness(), (Partition("contacts.changes", 0), 300), (Partition("elsewhere", 0), 300)) == []


@pytest.mark.parametrize("timestamp", [-1, 1_795_951_200_000_000, 2**63 - 1, -(2**63)])
def test_what_is_dated_out_of_range_has_no_age(timestamp: int) -> None:
    with capture_logs() as logs:
        Lateness().look({HERE: Slice([Raw(0, timestamp=timestamp)], 1)}, NOW_S)
    assert logs == []
