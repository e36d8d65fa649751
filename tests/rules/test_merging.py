"""The values of a contact after a merge and after it is undone: contract 2, merge_contacts, undo_merge."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from schemas import limits
from tests.workers.records import DAY, at, uuid_of
from workers.rules.blocks import Interval
from workers.rules.conversations import Conversation, status
from workers.rules.details import Details, write
from workers.rules.last_write_wins import LastWrite, WriteStamp
from workers.rules.merging import OWN, SAID, Choice, Side, merged, talk, too_late, undone, united
from workers.rules.results import Refused

NOW = at(1_000)
KEYS = (*SAID, "assignee", "custom.size", "custom.shoe")
STAMPS = st.builds(WriteStamp, st.integers(0, 40).map(at), st.integers(0, 9).map(lambda n: uuid_of(str(n))))
MERGE = WriteStamp(at(20), uuid_of("merge"))
VALUES = st.sampled_from(["a", "b", "c", None])


@st.composite
def details(draw: st.DrawFn) -> Details:
    known = Details({}, {}, None, {})
    for key in draw(st.lists(st.sampled_from([k for k in KEYS if k not in SAID or k in OWN]), max_size=6)):
        _, known = write(known, {key: draw(VALUES)}, draw(STAMPS))
    return known


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    moved = draw(st.none() | STAMPS)
    opened = draw(st.booleans())
    snoozed = draw(st.none() | STAMPS)
    return Conversation(
        opened_at=draw(st.none() | st.integers(0, 40).map(at)),
        closed_at=moved.at if moved and not opened else None,
        user_opened_at=moved.at if moved and opened else None,
        moved=moved,
        snoozed=snoozed,
        snoozed_until=draw(st.sampled_from([None, at(9_000)])) if snoozed else None,
    )


SIDES = st.builds(
    Side,
    st.fixed_dictionaries(dict.fromkeys(SAID, VALUES)),
    details(),
    st.builds(LastWrite, st.sampled_from(["p1", "p2", None]), st.none() | STAMPS),
    conversations(),
)
CHOICES = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["survivor", "loser"]), max_size=4)


def together(survivor: Side, loser: Side, choices: Mapping[str, Choice] = {}) -> Side:
    after = merged(survivor, loser, choices, MERGE)
    assert not isinstance(after, Refused)
    return after


@given(SIDES, SIDES, CHOICES)
def test_a_field_is_as_chosen_else_the_survivors_else_the_losers(
    survivor: Side, loser: Side, choices: dict[str, Any]
) -> None:
    after = together(survivor, loser, choices)
    for key in KEYS:
        mine, theirs = survivor.shown(key), loser.shown(key)
        expected = {"survivor": mine, "loser": theirs}.get(choices.get(key, ""), theirs if mine is None else mine)
        assert after.shown(key) == expected
    assert after.profile.value == (survivor.profile.value or loser.profile.value)


@given(SIDES, SIDES, CHOICES)
def test_no_write_is_forgotten(survivor: Side, loser: Side, choices: dict[str, Any]) -> None:
    after = together(survivor, loser, choices)
    for key, stamp in survivor.details.written.items():
        assert after.details.written[key] >= stamp


@given(SIDES, SIDES, CHOICES)
def test_an_undo_at_once_gives_everything_back(survivor: Side, loser: Side, choices: dict[str, Any]) -> None:
    after = together(survivor, loser, choices)
    assert undone(after, survivor, after) == survivor


@given(SIDES, SIDES, CHOICES, st.sampled_from([k for k in KEYS if k not in SAID or k in OWN]), VALUES)
def test_what_was_written_since_stays(
    survivor: Side, loser: Side, choices: dict[str, Any], key: str, value: str | None
) -> None:
    after = together(survivor, loser, choices)
    later = WriteStamp(at(50), uuid_of("later"))
    _, since = write(after.details, {key: value}, later)
    back = undone(structs.replace(after, details=since), survivor, after)

    assert back.details.written[key] == later
    if value is not None:
        assert back.shown(key) == value
    assert all(back.shown(k) == survivor.shown(k) for k in KEYS if k != key)


@given(conversations(), conversations(), st.sampled_from([(), (Interval(at(5), at(30)),)]))
def test_a_conversation_is_open_if_either_was(
    mine: Conversation, theirs: Conversation, blocks: tuple[Interval, ...]
) -> None:
    after = talk((mine, blocks), (theirs, ()), MERGE, NOW)
    were = {status(mine, blocks, NOW), status(theirs, (), NOW)}
    expected = "open" if "open" in were else "snoozed" if "snoozed" in were else "closed"
    assert status(after, blocks, NOW) == expected


TAGS = st.dictionaries(st.sampled_from("abcd"), st.builds(LastWrite, st.booleans(), STAMPS))


@given(TAGS, TAGS)
def test_tags_are_united(mine: dict[str, LastWrite[bool]], theirs: dict[str, LastWrite[bool]]) -> None:
    gets = united(mine, theirs)
    assert not isinstance(gets, Refused)
    after = {**mine, **gets}
    assert {t for t, state in after.items() if state.value} == {
        t for t, state in (*mine.items(), *theirs.items()) if state.value
    }


def test_together_they_have_no_more_tags_than_one() -> None:
    tag = LastWrite(value=True, written=MERGE)
    mine = {f"t{n}": tag for n in range(limits.TAGS_PER_CONTACT)}
    assert united(mine, {"t1": tag}) == {}
    assert isinstance(united(mine, {"more": tag}), Refused)


def test_together_they_have_no_more_custom_fields_than_one() -> None:
    def having(name: str) -> Side:
        custom = {name: "x" * (limits.CUSTOM_BYTES // 2)}
        return Side(dict.fromkeys(SAID), Details({}, custom, None, {}), LastWrite(None), Conversation())

    assert isinstance(merged(having("a"), having("b"), {}, MERGE), Refused)


def test_an_undo_is_in_time_up_to_the_last_moment() -> None:
    hour = timedelta(hours=1)
    assert too_late(DAY, DAY + hour, 1) is None
    assert isinstance(too_late(DAY, DAY + hour + timedelta(microseconds=1), 1), Refused)
