"""The inflated size of a batch is bounded, whatever it declares; a large batch is handed over in parts."""

import hashlib
import resource
import struct
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec
import pytest
from aiokafka import codec as codecs

from tests.support.batches import batch, plain, record, taken
from tests.support.bombs import CODECS, MIB, bomb, flood, squeezed
from workers.kafka.inflating import INFLATED_AT_MOST, INFLATED_AT_ONCE
from workers.kafka.unpacking import Suspicion, Unpacked
from workers.records import DeadLetter, Partition, RawRecord, Unreadable
from workers.runtime.decoding import fingerprint
from workers.runtime.outbox_rows import dead_letter

HERE: Final = Partition("messages.inbound", 3)
NOW: Final = datetime(2026, 3, 10, tzinfo=UTC)
EVERY: Final = pytest.mark.parametrize("codec", sorted(CODECS))


def unpacked(*batches: bytes, offset: int = 0) -> Unpacked:
    return Unpacked(b"".join(batches), offset, (), Suspicion())


def one(found: list[RawRecord]) -> Unreadable:
    [record_] = found
    assert isinstance(record_, Unreadable)
    return record_


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@EVERY
def test_what_inflates_to_more_than_the_bound_is_one_dead_letter_and_the_rest_goes_on(codec: str) -> None:
    bad = bomb(codec, INFLATED_AT_MOST + 1, base=1, count=3)
    found = taken(unpacked(plain(0, b"before"), bad, plain(4, b"behind")))
    assert [(r.offset, r.value) for r in found] == [(0, b"before"), (1, bad), (4, b"behind")]
    letter = one(found[1:2])
    assert (letter.last_offset, letter.key, letter.digest) == (3, None, None)
    assert letter.error == f"too_large: the batch inflates to more than {INFLATED_AT_MOST} bytes (offsets 1 to 3)"


@EVERY
def test_what_inflates_to_the_bound_is_read(codec: str) -> None:
    letter = one(taken(unpacked(bomb(codec, INFLATED_AT_MOST))))
    assert letter.last_offset is None
    assert letter.error.startswith("value: ")


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd"])
def test_a_thousand_times_the_bound_takes_no_more_memory_than_the_bound(codec: str) -> None:
    bad = bomb(codec, 900 * MIB)
    before, begun = peak_mib(), time.thread_time()
    assert one(taken(unpacked(bad))).error.startswith("too_large: ")
    # Nor is it worked on beyond: nine tenths are never inflated.
    assert peak_mib() - before < 2.5 * INFLATED_AT_MOST / MIB
    assert time.thread_time() - begun < 5


def test_several_streams_in_one_batch_count_together() -> None:
    half = squeezed("zstd", [bytes(INFLATED_AT_MOST // 2 + 1)])
    assert one(taken(unpacked(batch(0, half * 2, 1, attributes=4)))).error.startswith("too_large: ")
    member = squeezed("gzip", [bytes(INFLATED_AT_MOST // 2 + 1)])
    assert one(taken(unpacked(batch(0, member * 2, 1, attributes=1)))).error.startswith("too_large: ")


def test_what_a_frame_says_of_its_size_counts_for_nothing() -> None:
    # A zstd frame of one segment: eight bytes say how large its content is, and that is a lie.
    whole = bytes(codecs.zstd_encode(record(0, b"a")))
    lying = b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 1 << 40) + whole[6:]
    assert one(taken(unpacked(batch(0, lying, 1, attributes=4)))).error.startswith("batch: it cannot be inflated")
    # A block of snappy begins with the size that it inflates to.
    claim = b"\xff\xff\xff\xff\x0f" + squeezed("snappy", [record(0, b"a")])[1:]
    assert one(taken(unpacked(batch(0, claim, 1, attributes=2)))).error.startswith("too_large: ")


def _many(codec: str, count: int, size: int) -> bytes:
    pieces: Iterator[bytes] = (record(n, b"%d " % n + bytes(size)) for n in range(count))
    return batch(10, squeezed(codec, pieces), count, attributes=CODECS[codec])


@EVERY
def test_a_large_batch_is_handed_over_piece_by_piece_and_each_record_once(codec: str) -> None:
    whole = _many(codec, 1_000, 20_000)
    assert len(whole) < INFLATED_AT_ONCE < 1_000 * 20_000 < INFLATED_AT_MOST
    found, offsets, sizes = unpacked(whole, plain(1_010, b"behind"), offset=12), list[int](), list[int]()
    while found.more:
        some = taken(found, records=300, bytes_=2 * MIB)
        offsets += [r.offset for r in some]
        sizes.append(sum(len(r.value or b"") for r in some))
        assert all((r.value or b"").startswith(b"%d " % (r.offset - 10)) for r in some if r.offset < 1_010)
        assert found.next_fetch_offset == (offsets[-1] + 1 if some else 1_011)
    assert offsets == list(range(12, 1_011))
    assert max(sizes) < 2 * MIB + 21_000


def test_the_records_of_a_piece_are_within_both_bounds() -> None:
    found = unpacked(plain(0, *[b"v" * 99] * 100))
    assert len(taken(found, records=30)) == 30
    assert len(taken(found, bytes_=1_000)) == 10
    headers = unpacked(batch(0, b"".join(record(n, b"", headers=[(b"h", b"")] * 50) for n in range(10)), 10))
    assert len(taken(headers, bytes_=10_000)) == 2


def test_a_value_that_is_too_large_to_keep_is_known_again_and_told_by_reference() -> None:
    value = b"v" * (20 * MIB)
    payload = squeezed("zstd", [record(0, value, headers=[(b"h", b"1")]), record(1, b"next")])
    found = taken(unpacked(batch(0, payload, 2, attributes=4)))
    assert [(r.offset, r.value) for r in found] == [(0, None), (1, b"next")]
    letter = one(found[:1])
    assert letter.error == f"value: {len(value)} bytes, at most 262144"
    assert fingerprint(letter).crc == zlib.crc32(value, zlib.crc32(b"k"))
    fact = dead_letter(DeadLetter(HERE, letter, letter.error), NOW)
    assert msgspec.json.decode(fact.value or b"") == {"size": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    assert ("h", b"1") in fact.headers


@pytest.mark.parametrize("count", [10_001, 1_000_000])
def test_a_flood_of_headers_in_a_long_record_is_not_taken(count: int) -> None:
    flooded = flood(count, b"\0\1" if count > 10_001 else b"\x78" + b"h" * 60 + b"\1")
    before = peak_mib()
    found = taken(unpacked(plain(0, b"a"), batch(1, flooded + record(1, b"b"), 2)))
    assert [(r.offset, r.value, len(r.headers)) for r in found] == [(0, b"a", 0), (1, b"{}", 0), (2, b"b", 0)]
    assert one(found[1:2]).error == f"headers: {count}, at most 10000"
    assert peak_mib() - before < 30


@pytest.mark.parametrize("junk", [b"\xff", b"\2", b"\0", b"\1", b"\x80"])
def test_eight_megabytes_of_junk_take_no_time(junk: bytes) -> None:
    begun = time.thread_time()
    letter = one(taken(unpacked(batch(0, squeezed("zstd", [junk * INFLATED_AT_ONCE]), 2**31 - 1, attributes=4))))
    assert letter.last_offset == 2**31 - 2
    assert time.thread_time() - begun < 1


def test_more_records_than_aiokafka_should_make_at_once_come_in_pieces() -> None:
    count = 100_000
    found = unpacked(batch(0, b"".join(record(n, b"") for n in range(count)), count))
    offsets = list[int]()
    while found.more:
        offsets += [r.offset for r in taken(found, records=30_000)]
    assert offsets == list(range(count))
