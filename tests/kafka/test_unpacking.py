"""From the bytes of a fetch to records: every offset is handed over, a dead letter, or skipped."""

import gzip
import struct
from collections.abc import Sequence
from typing import Any, Final

import pytest
from aiokafka import codec
from aiokafka.record.util import calc_crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.batches import TRANSACTIONAL, batch, damaged, marker, plain, record, taken
from workers.kafka.unpacking import Suspicion, Unpacked
from workers.records import Unreadable

BAD: Final = b"x-\xff\xfe"
Read = list[tuple[int, bytes | None, str | None]]


def unpacked(
    *batches: bytes,
    offset: int = 0,
    aborted: Sequence[tuple[int, int]] = (),
    suspicion: Suspicion | None = None,
) -> tuple[Read, int]:
    """Offset, value and what is wrong of each record; and where to read on."""
    found = Unpacked(b"".join(batches), offset, aborted, suspicion or Suspicion())
    return [(r.offset, r.value, getattr(r, "error", None)) for r in taken(found)], found.next_fetch_offset


def fetched_until(end: int, *batches: bytes, offset: int = 0) -> list[Unreadable]:
    """Fetched again and again, as a consumer does, until it is through: what could not be read."""
    suspicion = Suspicion()
    unreadable: list[Unreadable] = []
    for _ in range(3 * (end - offset) + 3):
        if offset >= end:
            return unreadable
        found = Unpacked(b"".join(_from(offset, batches)), offset, (), suspicion)
        unreadable += [each for each in taken(found) if isinstance(each, Unreadable)]
        offset = found.next_fetch_offset
    raise AssertionError(f"it stands still at {offset}")


def _from(offset: int, batches: Sequence[bytes]) -> list[bytes]:
    """As a broker: from the batch on that holds the offset."""
    ends = [struct.unpack(">q", b[:8])[0] for b in batches[1:]] + [1 << 62]
    return [b for b, end in zip(batches, ends, strict=True) if end > offset]


def test_good_batches_come_as_they_are() -> None:
    assert unpacked(plain(0, b"a", b"b"), plain(2, b"c")) == ([(0, b"a", None), (1, b"b", None), (2, b"c", None)], 3)


def test_a_fetch_begins_within_a_batch_and_ends_within_another() -> None:
    assert unpacked(plain(0, b"a", b"b"), plain(2, b"c")[:-1], offset=1) == ([(1, b"b", None)], 2)


def test_each_record_comes_once_however_often_it_is_asked() -> None:
    found = Unpacked(plain(0, b"a", b"b"), 0, (), Suspicion())
    assert [r.offset for r in taken(found, records=1)] == [0]
    assert (found.next_fetch_offset, found.more) == (1, True)
    assert [r.offset for r in taken(found)] == [1]
    assert (taken(found), found.next_fetch_offset, found.more) == ([], 2, False)


def test_a_gap_at_the_end_of_a_batch_is_passed_over() -> None:
    assert unpacked(plain(0, b"a", last=4)) == ([(0, b"a", None)], 5)
    assert unpacked(batch(0, b"", 0, last=9)) == ([], 10)


# --- transactions


def test_committed_and_aborted_transactions_of_several_producers_lie_between_each_other() -> None:
    log = [
        plain(0, b"a1", producer=1, attributes=TRANSACTIONAL),
        plain(1, b"b1", producer=2, attributes=TRANSACTIONAL),
        plain(2, b"plain", producer=3),
        plain(3, b"a2", producer=1, attributes=TRANSACTIONAL),
        marker(4, 1, commits=False),
        plain(5, b"a3", producer=1, attributes=TRANSACTIONAL),
        marker(6, 2, commits=True),
        marker(7, 1, commits=True),
    ]
    assert unpacked(*log, aborted=[(1, 0)]) == ([(1, b"b1", None), (2, b"plain", None), (5, b"a3", None)], 8)
    assert unpacked(*log[3:], offset=3, aborted=[(1, 0)]) == ([(5, b"a3", None)], 8)


def test_a_producer_aborts_one_transaction_after_the_other() -> None:
    log = [
        plain(0, b"x", producer=1, attributes=TRANSACTIONAL),
        marker(1, 1, commits=False),
        plain(2, b"kept", producer=1, attributes=TRANSACTIONAL),
        marker(3, 1, commits=True),
        plain(4, b"y", producer=1, attributes=TRANSACTIONAL),
        marker(5, 1, commits=False),
    ]
    assert unpacked(*log, aborted=[(1, 4), (1, 0)]) == ([(2, b"kept", None)], 6)


def test_control_records_alone_move_on() -> None:
    assert unpacked(marker(0, 1, commits=True), marker(1, 2, commits=False)) == ([], 2)


def test_an_aborted_batch_is_passed_over_whatever_is_in_it() -> None:
    broken = batch(0, b"\xff" * 9, 3, attributes=TRANSACTIONAL, producer=1)
    assert unpacked(broken, marker(3, 1, commits=False), aborted=[(1, 0)]) == ([], 4)


# --- headers


@pytest.mark.parametrize("compression", [0, 1, 2, 3, 4])
def test_a_header_without_a_readable_name_spoils_its_record_alone(compression: int) -> None:
    headers = [(b"fine", b"1"), (BAD, b"2"), (b"none", None)]
    payload = record(0, b"a") + record(1, b"b", headers=headers) + record(2, b"c", headers=[(b"n", b"v")])
    squeeze: Any = [bytes, codec.gzip_encode, codec.snappy_encode, codec.lz4_encode, codec.zstd_encode][compression]
    found = taken(Unpacked(batch(5, squeeze(payload), 3, attributes=compression), 5, (), Suspicion()))
    assert [r.offset for r in found] == [5, 6, 7]
    assert found[1] == Unreadable(
        6,
        1_700_000_000_000,
        b"k",
        b"b",
        [("fine", b"1"), ("x-\\xff\\xfe", b"2"), ("none", None)],
        "headers: the name of header 2 of 3 is not UTF-8",
    )
    assert (found[2].value, list(found[2].headers)) == (b"c", [("n", b"v")])


def test_a_flood_of_headers_is_a_record_like_any_other() -> None:
    flood = [(b"h%d" % n, b"") for n in range(50_000)]
    [found] = taken(Unpacked(batch(0, record(0, b"a", headers=flood), 1), 0, (), Suspicion()))
    assert (found.value, len(found.headers)) == (b"a", 50_000)


# --- batches that nobody can read


@pytest.mark.parametrize(
    ("payload", "attributes", "why"),
    [
        (b"\xff" * 20, 0, "batch: a number in it does not end"),
        (b"", 0, "batch: a record in it is cut off"),
        (record(0, b"a")[:-1], 0, "batch: a record in it is cut off"),
        (record(0, b"a", headers=[(b"h", b"v")], count=10**9), 0, "batch: a record in it is cut off"),
        (record(0, b"a", count=-1), 0, "batch: a record in it has less than no headers"),
        (b"no gzip", 1, "batch: it cannot be inflated (DecompressionError)"),
        (gzip.compress(record(0, b"a"), mtime=0)[:-9], 1, "batch: it cannot be inflated (DecompressionError)"),
        (b"no snappy", 2, "batch: it cannot be inflated (DecompressionError)"),
        (b"no lz4", 3, "batch: it cannot be inflated (DecompressionError)"),
        (b"no zstd", 4, "batch: it cannot be inflated (DecompressionError)"),
        (b"whatever", 5, "batch: compression 5 is not known"),
        (b"whatever", 7, "batch: compression 7 is not known"),
    ],
)
def test_a_batch_that_is_none_is_one_dead_letter_and_the_rest_goes_on(
    payload: bytes, attributes: int, why: str
) -> None:
    bad = batch(1, payload, 3, attributes=attributes)
    found = taken(Unpacked(plain(0, b"before") + bad + plain(4, b"behind"), 0, (), Suspicion()))
    assert [(r.offset, r.value) for r in found if not isinstance(r, Unreadable)] == [(0, b"before"), (4, b"behind")]
    [letter] = [r for r in found if isinstance(r, Unreadable)]
    assert (letter.offset, letter.last_offset, letter.value, letter.key) == (1, 3, bad, None)
    assert letter.error == f"{why} (offsets 1 to 3)"


def test_what_comes_before_the_fault_in_a_batch_is_read() -> None:
    bad = batch(0, record(0, b"a") + record(1, b"b") + b"\xff" * 9, 4)
    found = taken(Unpacked(bad, 1, (), Suspicion()))
    assert [r.offset for r in found] == [1, 2]
    assert (found[1].value, getattr(found[1], "last_offset", None)) == (bad, 3)


def test_a_damaged_batch_is_fetched_again_and_dead_once_it_comes_the_same() -> None:
    suspicion = Suspicion()
    good, bad = plain(0, b"a"), damaged(plain(1, b"b", b"c"))
    assert unpacked(good, bad, plain(3, b"d"), suspicion=suspicion) == ([(0, b"a", None)], 1)
    assert suspicion.fresh
    other = damaged(plain(1, b"b", b"c"), at=-3)
    assert unpacked(other, plain(3, b"d"), offset=1, suspicion=suspicion) == ([], 1)
    read, on = unpacked(other, plain(3, b"d"), offset=1, suspicion=suspicion)
    assert read == [(1, other, "batch: its checksum is wrong (offsets 1 to 2)"), (3, b"d", None)]
    assert (on, suspicion.fresh) == (4, False)


def test_damage_on_the_way_costs_nothing() -> None:
    suspicion = Suspicion()
    assert unpacked(damaged(plain(0, b"a")), suspicion=suspicion) == ([], 0)
    assert unpacked(plain(0, b"a"), suspicion=suspicion) == ([(0, b"a", None)], 1)


@pytest.mark.parametrize("magic", [3, 7, 127])
def test_a_format_of_the_future_is_named(magic: int) -> None:
    [letter] = fetched_until(3, plain(0, b"a", b"b", magic=magic), plain(2, b"c"))
    assert letter.error == f"batch: format {magic} is not known (offsets 0 to 1)"


@pytest.mark.parametrize("length", [-1, 0, 5, 40, 10_000, 2**31 - 1])
def test_a_batch_with_a_wrong_length_does_not_hold_the_partition_up(length: int) -> None:
    whole = plain(0, b"a", b"b")
    wrong = whole[:8] + struct.pack(">i", length) + whole[12:]
    letters = fetched_until(2, wrong)
    assert letters
    assert sorted({n for each in letters for n in range(each.offset, (each.last_offset or 0) + 1)}) == [0, 1]


@pytest.mark.parametrize("delta", [-1, 5, 2**31 - 1])
def test_a_damaged_batch_is_not_believed_where_it_ends(delta: int) -> None:
    whole = plain(0, b"a", b"b")
    wrong = whole[:23] + struct.pack(">i", delta) + whole[27:]
    assert [(each.offset, each.last_offset) for each in fetched_until(1, wrong, plain(2, b"c"))][:1] == [(0, 0)]


# --- whatever comes

BATCHES = st.lists(
    st.sampled_from(
        [
            plain(0, b"a", b"b", b"c"),
            batch(0, record(0, b"a", headers=[(BAD, b"")]) + record(1, b"b"), 2),
            batch(0, gzip.compress(record(0, b"a") * 3, mtime=0), 3, attributes=1),
            batch(0, codec.snappy_encode(record(0, b"a") + record(1, b"b")), 2, attributes=2),
            batch(0, codec.lz4_encode(record(0, b"a") + record(1, b"b")), 2, attributes=3),
            batch(0, codec.zstd_encode(record(0, b"a") + record(1, b"b")), 2, attributes=4),
            marker(0, 1, commits=True),
        ]
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=300, deadline=None)
@given(
    BATCHES,
    st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 255)), max_size=4),
    st.sampled_from(["right", "wrong"]),
)
def test_whatever_bytes_come_reading_goes_on(
    batches: list[bytes], turns: list[tuple[int, int]], checksums: str
) -> None:
    log = []
    for number, whole in enumerate(batches):
        turned = bytearray(whole)
        for at, byte in turns:
            # From its attributes on: where a batch begins and how long it is, brokers know.
            turned[21 + at % (len(whole) - 21)] = byte
        if checksums == "right":
            turned[17:21] = struct.pack(">I", calc_crc32c(bytes(turned[21:])))
        log.append(struct.pack(">q", 3 * number) + bytes(turned[8:]))
    end = 3 * len(log)
    fetched_until(end + 1, *log, plain(end, b"last"))


def test_a_batch_that_denies_its_offsets_is_passed() -> None:
    [letter] = fetched_until(1, plain(0, last=-3))
    assert (letter.offset, letter.last_offset) == (0, 0)
