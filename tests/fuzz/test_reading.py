"""A hundred thousand fuzzed records, some in damaged batches, from the bytes of a fetch to decoded ones."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from schemas.inbound import InboundMessage
from tests.fuzz.records import Fuzzed, fuzzed, wire_record
from tests.schemas.test_properties import DECODERS
from tests.support.batches import batch, damaged, taken
from workers.kafka.unpacking import Suspicion, Unpacked
from workers.records import EnvelopeFault, Partition, RawRecord, Slice, Unreadable
from workers.rules.identities import identify
from workers.rules.opt_out import opted_out_by
from workers.runtime.decoding import Part, decode

COUNT: Final = 100_000
SEED: Final = 15
_IN_A_BATCH: Final = 20
_YEARS: Final = range(1970, 9999)  # of Kafka, not of what records say


async def test_every_record_is_understood_or_set_aside_and_nothing_raises() -> None:
    dice = random.Random(SEED)  # noqa: S311 - repeatable, and no secret
    came: Counter[str] = Counter()
    for topic, records in _batches():
        raws, whole = _read(records, dice)
        came["unreadable batches"] += not whole
        source = Partition(topic, 0)
        faults = {raw.offset: EnvelopeFault(raw.error, raw.last_offset) for raw in raws if isinstance(raw, Unreadable)}
        [part] = await decode(DECODERS, {source: Slice(raws, len(records), faults)})
        _check(part, raws)
        came["records"] += len(records)
        came["understood"] += len(part.records)
        came["dead"] += len(part.dead)

    assert came["records"] == COUNT
    # Neither all is good, nor is all bad before it comes to what is to be tried.
    assert min(came["understood"], came["dead"]) > COUNT / 5
    assert came["unreadable batches"] > COUNT / _IN_A_BATCH / 50


def _batches() -> Iterator[tuple[str, list[Fuzzed]]]:
    waiting: dict[str, list[Fuzzed]] = {}
    for each in fuzzed(COUNT, SEED):
        waiting.setdefault(each.topic, []).append(each)
        if len(waiting[each.topic]) == _IN_A_BATCH:
            yield each.topic, waiting.pop(each.topic)
    yield from waiting.items()


def _read(records: Sequence[Fuzzed], dice: random.Random) -> tuple[list[RawRecord], bool]:
    """Every offset once, whatever became of the bytes; and whether nothing became of them."""
    payload = b"".join(wire_record(number, each) for number, each in enumerate(records))
    attributes, whole = 0, True
    match dice.randrange(20):
        case 0:
            payload, whole = dice.randbytes(len(payload)), False
        case 1:
            payload, whole = payload[: dice.randrange(len(payload))], False
        case 2:
            attributes, whole = dice.randrange(1, 8), False
    fetched = batch(0, payload, len(records), attributes=attributes)
    if dice.randrange(20) == 0:
        fetched, whole = damaged(fetched, dice.randrange(21, len(fetched))), False
    return _fetched(fetched, len(records)), whole


def _fetched(answer: bytes, end: int) -> list[RawRecord]:
    suspicion, place, raws = Suspicion(), 0, list[RawRecord]()
    for _ in range(3 * end):
        if place >= end:
            break
        found = Unpacked(answer, place, (), suspicion)
        raws += taken(found)
        place = found.next_fetch_offset
    assert place == end
    return raws


def _check(part: Part, raws: Sequence[RawRecord]) -> None:
    told = sorted([r.offset for r in part.records] + [letter.raw.offset for letter in part.dead])
    assert told == [raw.offset for raw in raws]
    for record in part.records:
        assert record.timestamp.year in _YEARS
        if isinstance(record.value, InboundMessage):
            _understand(record.value)
    assert all(letter.error for letter in part.dead)


def _understand(message: InboundMessage) -> None:
    """The rules that read what people wrote, with what decoding lets through."""
    identity = identify(message.channel, message.channel_id, message.sender.address, "DE")
    assert identity.lookup
    opted_out_by(message.channel, message.kind, message.content.text)
