"""Contract 3.5: when a conversation is open, closed, snoozed or blocked."""

from collections.abc import Sequence
from datetime import datetime
from itertools import permutations
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.records import at, uuid_of
from workers.rules.blocks import Interval
from workers.rules.contact import Contact
from workers.rules.conversations import Conversation, last_closing, move, opened_last, opens, snooze, status
from workers.rules.last_write_wins import WriteStamp
from workers.rules.results import Done, Refused, Result

NOW = at(60)


class Given(NamedTuple):
    """A command of a story."""

    name: str
    minute: int
    id_: str = "a"

    @property
    def stamp(self) -> WriteStamp:
        return WriteStamp(at(self.minute), uuid_of(self.id_))


def apply(
    conversation: Conversation, command: Given, intervals: Sequence[Interval] = (), now: datetime = NOW
) -> tuple[Result, Conversation]:
    if command.name == "snooze":
        return snooze(conversation, command.stamp, at(100), intervals, now)
    return move(conversation, command.stamp, intervals, now, opens=command.name == "open")


def play(*commands: Given, opened: int | None = 0) -> Conversation:
    conversation = Conversation(opened_at=None if opened is None else at(opened))
    for command in commands:
        _, conversation = apply(conversation, command)
    return conversation


@pytest.mark.parametrize(("minute", "closed"), [(1, None), (11, 10)])
def test_a_message_later_than_the_closing_opens(minute: int, closed: int | None) -> None:
    assert opens("message", at(minute), None if closed is None else at(closed))


@pytest.mark.parametrize(
    ("kind", "minute", "closed"), [("message", 10, 10), ("message", 9, 10), ("reaction", 11, 10), ("echo", 11, None)]
)
def test_nothing_else_opens(kind: str, minute: int, closed: int | None) -> None:
    assert not opens(kind, at(minute), None if closed is None else at(closed))


def test_a_block_closes_at_its_begin_and_a_later_closing_by_hand_counts() -> None:
    spell = Interval(at(10), at(20))
    assert last_closing(None, [spell]) == at(10)
    assert last_closing(at(30), [spell]) == at(30)
    assert last_closing(None, []) is None


def test_what_a_late_block_covers_opened_nothing() -> None:
    assert opened_last(at(12), [Interval(at(10), at(20))], None) is None
    assert opened_last(at(20), [Interval(at(10), at(20))], None) == at(20)
    assert opened_last(at(12), [Interval(at(10), at(20))], at(25)) == at(25)


def test_of_two_openings_the_later_holds() -> None:
    assert opened_last(at(30), [], at(25)) == at(30)
    assert opened_last(None, [], at(25)) == at(25)
    assert opened_last(None, [], None) is None


def test_blocked_wins_over_open_and_an_opening_over_an_older_closing() -> None:
    opened = Conversation(opened_at=at(2), closed_at=at(1))
    assert status(opened, [Interval(at(1), None)], NOW) == "blocked"
    assert status(opened, [], NOW) == "open"
    assert status(Conversation(opened_at=at(2), closed_at=at(2)), [], NOW) == "closed"
    assert status(Conversation(), [], NOW) == "closed"


# --- open and close


def test_a_user_closes_and_opens() -> None:
    closed, conversation = apply(Conversation(opened_at=at(0)), Given("close", 1))
    again, conversation = apply(conversation, Given("close", 2))
    opened, conversation = apply(conversation, Given("open", 3))

    assert closed == Done({"conversation_status": "closed"})
    assert again == Done()
    assert opened == Done({"conversation_status": "open"})
    assert status(conversation, [], NOW) == "open"


def test_an_older_command_changes_nothing() -> None:
    for first, older in (("open", "close"), ("close", "open")):
        conversation = play(Given(first, 5))
        assert apply(conversation, Given(older, 4)) == (Done(), conversation)


def test_a_message_after_the_closing_keeps_it_open_and_one_at_it_does_not() -> None:
    assert status(play(Given("close", 5), opened=6), [], NOW) == "open"
    assert status(play(Given("close", 5), opened=5), [], NOW) == "closed"


def test_users_open_nothing_inside_a_block() -> None:
    opened = play(Given("open", 12), opened=None)

    assert status(opened, [], NOW) == "open"
    assert status(opened, [Interval(at(10), at(20))], NOW) == "closed"
    assert status(opened, [Interval(at(10), at(12))], NOW) == "open"


@pytest.mark.parametrize("name", ["open", "close", "snooze"])
@pytest.mark.parametrize("interval", [Interval(at(4), None), Interval(at(6), None), Interval(at(4), at(6))])
def test_a_blocked_contact_has_no_conversation_to_change(name: str, interval: Interval) -> None:
    conversation = Conversation(opened_at=at(0))
    refused, after = apply(conversation, Given(name, 5), [interval])

    assert isinstance(refused, Refused)
    assert refused.reason == "contact_blocked"
    assert after == conversation


# --- snooze


def test_a_snooze_lasts_until_its_time() -> None:
    done, snoozed = apply(Conversation(opened_at=at(0)), Given("snooze", 5))

    assert done == Done({"conversation_status": "snoozed", "snoozed_until": at(100)})
    assert status(snoozed, [], at(99)) == "snoozed"
    assert status(snoozed, [], at(100)) == "open"
    assert apply(snoozed, Given("snooze", 6))[0] == Done()
    assert apply(snoozed, Given("snooze", 4))[0] == Done()


def test_of_a_closed_conversation_or_until_the_past_it_is_invalid() -> None:
    for conversation in (Conversation(), play(Given("close", 1))):
        refused, after = apply(conversation, Given("snooze", 5))
        assert isinstance(refused, Refused)
        assert (refused.reason, after) == ("invalid", conversation)
    stamp = Given("snooze", 100).stamp
    past, _ = snooze(Conversation(opened_at=at(0)), stamp, stamp.at, [], NOW)
    assert isinstance(past, Refused)
    assert "`until`" in past.detail


@pytest.mark.parametrize("name", ["open", "close"])
def test_a_later_command_ends_a_snooze_and_an_older_one_does_not(name: str) -> None:
    assert status(play(Given("snooze", 5), Given(name, 6)), [], NOW) == ("open" if name == "open" else "closed")
    assert status(play(Given("snooze", 5), Given("open", 4)), [], NOW) == "snoozed"
    assert status(play(Given("snooze", 5), Given("close", 4)), [], NOW) == "closed"


def test_a_message_after_the_snooze_ends_it_and_one_at_it_does_not() -> None:
    snoozed = play(Given("snooze", 5))
    assert status(Conversation(at(6), snoozed=snoozed.snoozed, snoozed_until=snoozed.snoozed_until), [], NOW) == "open"
    assert (
        status(Conversation(at(5), snoozed=snoozed.snoozed, snoozed_until=snoozed.snoozed_until), [], NOW) == "snoozed"
    )


@pytest.mark.parametrize("interval", [Interval(at(7), at(8)), Interval(at(4), at(8)), Interval(at(5), at(9))])
def test_a_block_drops_a_snooze_for_good(interval: Interval) -> None:
    again = Conversation(at(9), snoozed=Given("snooze", 5).stamp, snoozed_until=at(100))

    assert status(play(Given("snooze", 5)), [interval], NOW) == "closed"
    assert status(again, [interval], NOW) == "open"
    assert status(Conversation(at(3), snoozed=again.snoozed, snoozed_until=at(100)), [Interval(at(1), at(2))], NOW) == (
        "snoozed"
    )


# --- in any order

commands = st.lists(
    st.builds(Given, st.sampled_from(["open", "close", "snooze"]), st.integers(1, 4), st.sampled_from("ab")),
    max_size=4,
    unique_by=lambda c: c.stamp,
)


@given(commands, st.none() | st.integers(0, 5))
def test_commands_that_are_all_carried_out_end_in_one_status_in_any_order(
    given: list[Given], opened: int | None
) -> None:
    ends: set[str] = set()
    for order in permutations(given):
        conversation = Conversation(opened_at=None if opened is None else at(opened))
        results: list[Result] = []
        for command in order:
            result, conversation = apply(conversation, command)
            results.append(result)
        # A snooze of what is closed as far as anybody knows is refused for good.
        if not any(isinstance(result, Refused) for result in results):
            ends.add(status(conversation, [], NOW))
    assert len(ends) <= 1


@given(commands, st.none() | st.integers(0, 5), st.integers(0, 6))
def test_exactly_the_messages_that_change_the_status_are_awaited(
    given: list[Given], opened: int | None, minute: int
) -> None:
    c = play(*given, opened=opened)
    contact = Contact(
        *("acme", uuid_of("c"), uuid_of("c")),
        opened_at=c.opened_at,
        closed_at=c.closed_at,
        user_opened_at=c.user_opened_at,
        snoozed_at=c.snoozed.at if c.snoozed is not None and c.snoozed_until is not None else None,
    )
    after = contact.awaits_message_after
    told = max(t for t in (c.opened_at, at(minute)) if t is not None)
    then = Conversation(told, c.closed_at, c.user_opened_at, c.moved, c.snoozed, c.snoozed_until)

    changes = status(then, [], NOW) != status(c, [], NOW)
    assert changes == (after is not None and opens("message", at(minute), after))
