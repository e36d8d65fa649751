"""What is kept of events for streams that go on, and what a record tells. Without servers."""

from uuid import uuid4

import msgspec
import pytest

from console.events import recent
from console.events.happenings import TOPICS, happenings
from console.events.recent import Kept, Recent, id_of, positions_of
from schemas.topics import TOPICS as SPECS
from workers.process.tailing import Place

A, B = Place("sends.status", 0), Place("commands.results", 1)


def kept(place: Place, offset: int, workspace_id: str = "w", at_ms: int = 0) -> Kept:
    return Kept(workspace_id, place, offset, at_ms, f"{place.topic} {offset}".encode())


def test_an_id_says_where_it_stands() -> None:
    positions = {A: 7, Place("commands.results", 0): 0, B: 2**40}
    assert positions_of(id_of(positions)) == positions
    assert positions_of(id_of({})) == {}


@pytest.mark.parametrize("id_", ["", "x", "é", "A" * 100_000, id_of({A: 1})[:-2]])
def test_what_is_no_id_says_nothing(id_: str) -> None:
    assert positions_of(id_) is None


def test_only_the_events_of_a_workspace_behind_the_id_are_told() -> None:
    events = Recent()
    events.begin({A: 5, B: 5})
    events.add([kept(A, 5), kept(B, 5, "other"), kept(B, 6), kept(A, 6)], {A: 7, B: 7})

    assert events.after({A: 6, B: 5}, ["w"]) == [b"commands.results 6", b"sends.status 6"]
    assert events.after({A: 7, B: 7}, ["w"]) == []
    assert events.after({A: 7, B: 5}, ["w", "other"]) == [b"commands.results 6", b"commands.results 5"]


def test_an_id_before_the_beginning_is_not_known() -> None:
    events = Recent()
    events.begin({A: 5, B: 5})

    assert events.after({A: 5, B: 4}, ["w"]) is None
    assert events.after({A: 5}, ["w"]) is None
    assert events.after({A: 5, B: 5}, ["w"]) == []


def test_what_was_forgotten_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MOST", 2)
    events = Recent()
    events.begin({A: 0})
    events.add([kept(A, offset) for offset in range(3)], {A: 3})

    assert events.after({A: 0}, ["w"]) is None
    assert events.after({A: 1}, ["w"]) == [b"sends.status 1", b"sends.status 2"]


def test_what_is_too_old_is_forgotten() -> None:
    events = Recent()
    events.begin({A: 0})
    events.add([kept(A, 0), kept(A, 1, at_ms=recent.LONGEST_MS + 1)], {A: 2})

    assert events.after({A: 0}, ["w"]) is None
    assert events.after({A: 1}, ["w"]) == [b"sends.status 1"]


def test_an_id_may_be_ahead_of_what_was_read() -> None:
    events = Recent()
    events.begin({A: 5})
    assert events.is_behind({A: 6})
    assert events.is_behind({A: 5, B: 1})
    assert not events.is_behind({A: 5, B: 0})


@pytest.mark.parametrize("topic", TOPICS[:-1])
@pytest.mark.parametrize("value", [None, b"", b"no record", b"[]", b'{"workspace_id": 1}', b"\xff"])
def test_a_record_that_nobody_understands_tells_nothing(topic: str, value: bytes | None) -> None:
    assert list(happenings(topic, value, {})) == []


def test_a_message_is_told_without_what_it_says() -> None:
    ids = {"message_id": str(uuid4()), "contact_id": str(uuid4())}
    body = {"workspace_id": "w", "direction": "in", "address": "+491701234567", "content": {"text": "a secret"}}
    [told] = happenings("messages.accepted", msgspec.json.encode(body | ids), {})

    assert told.workspace_id == "w"
    assert b"event: messages\n" in told.text
    assert all(value.encode() in told.text for value in ids.values())
    assert b"secret" not in told.text
    assert b"+49" not in told.text


def test_the_topics_exist() -> None:
    assert set(TOPICS) <= set(SPECS)
