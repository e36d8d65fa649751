"""The outbox rows of a transaction: their order, by input partition."""

from datetime import UTC, datetime

from schemas.ids import fact_id
from schemas.limits import MAX_DEAD_LETTER_BYTES, MAX_HEADERS_BYTES, MAX_KEY_BYTES
from tests.runtime.test_decoding import Raw
from workers.records import DeadLetter, Event, Output, Partition, UnpublishedEvent
from workers.runtime.outbox_rows import dead_letter, effects, events_in_order, shared_keys

ONE, TWO = Partition("messages.outbound", 3), Partition("contacts.commands", 1)
ENDS = {ONE: 10, TWO: 20}
NOW = datetime(2026, 3, 10, tzinfo=UTC)


def status(source: Partition, revision: int, key: bytes = b"w:send", topic: str = "sends.status") -> Output:
    return Output(source, Event(topic, key, b"%d" % revision, fact_id(topic, key.decode(), str(revision)), "w", NOW))


def outbox(
    outputs: list[Output], *earlier: UnpublishedEvent
) -> dict[Partition, list[tuple[bytes | None, bytes | None]]]:
    found = effects(outputs, [], ENDS, NOW, earlier)
    return {row.key.source: [(m.key, m.value) for m in row.events] for row in found.outbox}


def told(source: Partition | None, revision: int, key: bytes = b"w:send") -> UnpublishedEvent:
    return UnpublishedEvent(source, status(ONE, revision, key).event)


def test_each_partition_owes_its_own_outputs_in_order() -> None:
    outputs = [status(ONE, 1, b"a"), status(TWO, 1, b"b"), status(ONE, 2, b"a")]
    assert outbox(outputs) == {ONE: [(b"a", b"1"), (b"a", b"2")], TWO: [(b"b", b"1")]}


def test_a_fact_takes_along_what_another_partition_owes_about_its_key() -> None:
    assert outbox([status(TWO, 3)], told(ONE, 1), told(None, 2)) == {
        TWO: [(b"w:send", b"1"), (b"w:send", b"2"), (b"w:send", b"3")]
    }


def test_it_takes_along_nothing_that_its_own_rows_hold() -> None:
    assert outbox([status(ONE, 2)], told(ONE, 1)) == {ONE: [(b"w:send", b"2")]}
    # told by the other one first, and taken along since
    assert outbox([status(ONE, 3)], told(TWO, 1), told(ONE, 1), told(ONE, 2)) == {ONE: [(b"w:send", b"3")]}


def test_it_takes_everything_along_once() -> None:
    outputs = [status(TWO, 2), status(TWO, 3)]
    assert outbox(outputs, told(ONE, 1)) == {TWO: [(b"w:send", b"1"), (b"w:send", b"2"), (b"w:send", b"3")]}


def test_two_partitions_of_one_transaction_keep_the_order_of_their_facts() -> None:
    outputs = [status(TWO, 1), status(ONE, 2), status(TWO, 3)]
    assert outbox(outputs) == {
        TWO: [(b"w:send", b"1"), (b"w:send", b"2"), (b"w:send", b"3")],
        ONE: [(b"w:send", b"1"), (b"w:send", b"2")],
    }


def test_a_fact_told_again_is_not_taken_along_before_itself() -> None:
    assert outbox([status(TWO, 1)], told(ONE, 1)) == {TWO: [(b"w:send", b"1")]}


def test_keys_of_one_partition_alone_are_left_as_they_are() -> None:
    topic = "messages.accepted"
    outputs = [status(ONE, 1, topic=topic), status(TWO, 2, topic=topic)]
    assert shared_keys(output.event for output in outputs) == set()
    assert outbox(outputs) == {ONE: [(b"w:send", b"1")], TWO: [(b"w:send", b"2")]}


def test_a_job_takes_along_what_a_batch_owes() -> None:
    expired = Event("sends.status", b"w:send", b"2", fact_id("sends.status", "2"), "w", NOW)
    plain = Event("dead.letters", None, b"x", fact_id("dead.letters", "x"), "", NOW)
    facts = events_in_order([plain, expired], [told(ONE, 1)])
    assert [(fact.topic, fact.value) for fact in facts] == [
        ("dead.letters", b"x"),
        ("sends.status", b"1"),
        ("sends.status", b"2"),
    ]
    assert facts[1] == told(ONE, 1).event


def letter(key: bytes | None = b"k", value: bytes | None = b"v", header: bytes = b"h") -> Event:
    raw = Raw(7, value, key, headers=(("own", header), ("none", None)))
    return dead_letter(DeadLetter(ONE, raw, "why"), NOW)


def test_a_dead_letter_carries_the_record_byte_for_byte() -> None:
    fact = letter()
    assert (fact.key, fact.value) == (b"k", b"v")
    assert fact.headers[0] == ("error", b"why")
    assert fact.headers[4:] == (("own", b"h"), ("none", None))


def test_what_no_topic_takes_is_left_out_of_a_dead_letter() -> None:
    fact = letter(b"k" * (MAX_KEY_BYTES + 1), b"v" * (MAX_DEAD_LETTER_BYTES + 1), b"h" * MAX_HEADERS_BYTES)
    assert (fact.key, len(fact.headers)) == (None, 4)
    assert b'"size":524289' in (fact.value or b"")
    assert letter(b"k" * MAX_KEY_BYTES).key == b"k" * MAX_KEY_BYTES
