"""From raw records to decoded ones: no record is lost, and a topic that was created again is detected."""

import asyncio
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.decoding import BadRecord
from schemas.limits import MAX_VALUE_BYTES
from tests.runtime.ledgerbook import TOPIC, decode
from workers.errors import PositionLost
from workers.process.tasks import SLICE
from workers.records import Partition, Record, Slice
from workers.runtime import decoding
from workers.runtime.decoding import Part, Position, continued, fingerprint

HERE = Partition(TOPIC, 0)


class Raw(NamedTuple):
    offset: int
    value: bytes | None = b"1"
    key: bytes | None = b"k"
    timestamp: int = 1_700_000_000_123
    headers: tuple[tuple[str, bytes | None], ...] = ()


VALUES = st.sampled_from([b"1", b"2", b"bad", b"", None])
RAWS = st.lists(st.tuples(st.integers(1, 3), VALUES), min_size=1, max_size=30).map(
    lambda gaps: [Raw(sum(g for g, _ in gaps[: i + 1]), value) for i, (_, value) in enumerate(gaps)]
)


def whole(raws: list[Raw]) -> Slice:
    return Slice(raws, raws[-1].offset + 1)


def decoded(raws: list[Raw]) -> Part:
    [part] = asyncio.run(decoding.decode({TOPIC: decode}, {HERE: whole(raws)}))
    return part


def offsets(part: Part | None) -> list[int]:
    """Of records and dead letters; together they are the raw ones."""
    if part is None:
        return []
    both = sorted([r.offset for r in part.records] + [d.raw.offset for d in part.dead])
    assert both == [r.offset for r in part.raw]
    return both


@given(RAWS)
def test_every_record_is_decoded_or_dead_and_keeps_its_order(raws: list[Raw]) -> None:
    part = decoded(raws)
    assert offsets(part) == [raw.offset for raw in raws]
    assert part.end == raws[-1].offset + 1
    assert [r.offset for r in part.records] == [raw.offset for raw in raws if raw.value in (b"1", b"2")]


@given(RAWS, st.integers(0, 100))
def test_a_part_is_cut_without_losing_a_record(raws: list[Raw], at: int) -> None:
    part = decoded(raws)
    assert offsets(part.before(at)) + offsets(part.since(at)) == offsets(part)
    assert all(offset < at for offset in offsets(part.before(at)))


@given(RAWS, st.integers(0, 100))
def test_what_was_applied_is_passed_over(raws: list[Raw], next_offset: int) -> None:
    part = decoded(raws)
    kept = continued([part], {HERE: Position(next_offset)})
    assert offsets(kept[0] if kept else None) == [o for o in offsets(part) if o >= next_offset]
    assert continued([part], {}) == []  # not ours any more
    assert continued([part], {HERE: Position(None)}) == [part]  # nothing was ever applied


@given(RAWS)
def test_the_record_before_the_next_one_proves_the_topic(raws: list[Raw]) -> None:
    part, next_offset = decoded(raws), raws[0].offset + 1
    position = Position(next_offset, fingerprint(raws[0]))
    kept = continued([part], {HERE: position})
    assert offsets(kept[0] if kept else None) == offsets(part)[1:]
    assert position.unverified is None


@pytest.mark.parametrize("other", [Raw(7, b"2"), Raw(7, b"1", b"x"), Raw(7, timestamp=5), Raw(7, None)])
def test_another_record_in_its_place_is_a_lost_position(other: Raw) -> None:
    position = Position(8, fingerprint(Raw(7)))
    with pytest.raises(PositionLost, match=rf"{TOPIC}\[0\] holds another record at offset 7"):
        continued([decoded([other, Raw(8)])], {HERE: position})


def test_a_record_that_compaction_or_retention_took_proves_nothing() -> None:
    position = Position(8, fingerprint(Raw(7)))
    part = decoded([Raw(9, b"2")])
    assert continued([part], {HERE: position}) == [part]


def test_a_record_keeps_time_key_trace_and_what_it_was() -> None:
    raw = Raw(3, headers=(("theirs", b"x"), ("traceparent", b"t1"), ("traceparent", b"t2")))
    [record] = decoded([raw]).records
    moment = datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=UTC)
    assert record == Record(HERE, 3, moment, b"k", 1, b"t1", raw)


def test_a_value_above_the_limit_is_not_even_decoded() -> None:
    def never(_raw: bytes | None) -> BadRecord:
        raise AssertionError

    [part] = asyncio.run(decoding.decode({TOPIC: never}, {HERE: whole([Raw(0, b"x" * (MAX_VALUE_BYTES + 1))])}))
    assert [letter.error for letter in part.dead] == [f"value: 262145 bytes, at most {MAX_VALUE_BYTES}"]


async def test_others_get_their_turn_between_slices() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    running = asyncio.create_task(other())
    await decoding.decode({TOPIC: decode}, {HERE: whole([Raw(n) for n in range(10 * SLICE)])})
    running.cancel()
    assert turns >= 9


@pytest.mark.parametrize(
    ("value", "carried"), [(b"00-4bf92f-00f067aa-01", b"00-4bf92f-00f067aa-01"), (b"x" * 257, None), (None, None)]
)
def test_a_trace_is_carried_unless_it_is_none(value: bytes | None, carried: bytes | None) -> None:
    [record] = decoded([Raw(0, headers=(("other", b"1"), ("traceparent", value)))]).records
    assert record.traceparent == carried
