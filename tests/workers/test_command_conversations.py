"""Conversations by command: open, close, assign, snooze, comment."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import msgspec
import pytest
from asyncpg import Pool

from tests.workers.asking import ask, by_phone, contact_of, give, results, rows
from tests.workers.ingesting import STATUS, ingest
from tests.workers.records import WORKSPACE, at, message, uuid_of
from tests.workers.refreshing import refresh
from tests.workers.stepping import at_most, steps
from workers.contacts.changes_topic import CONTACTS
from workers.contacts.conversations import end_snoozes
from workers.records import Record
from workers.store import messages

ANA = "+4915112345678"
WHO: dict[str, Any] = {"identity": by_phone(ANA)}
LATER = datetime(2100, 1, 1, tzinfo=UTC)
TIMELINE = """
    SELECT kind, direction, event_time, content ->> 'text', channel, channel_id, status, source, counted
    FROM sluice.conversation_messages ORDER BY event_time
"""


def opening(minutes: float, **fields: Any) -> Record[Any]:
    return ask("open_conversation", minutes=minutes, **WHO, **fields)


def closing(minutes: float, **fields: Any) -> Record[Any]:
    return ask("close_conversation", minutes=minutes, **WHO, **fields)


def snoozing(minutes: float, until: datetime = LATER, **fields: Any) -> Record[Any]:
    return ask("snooze_conversation", minutes=minutes, **WHO, until=until, **fields)


def comment(minutes: float, text: str, **fields: Any) -> Record[Any]:
    return ask("comment", minutes=minutes, **WHO, text=text, **fields)


async def status(pool: Pool) -> str:
    [(found,)] = await rows(pool, STATUS)
    return str(found)


async def published(pool: Pool) -> list[str]:
    async with pool.acquire() as tx, tx.transaction():
        current = await CONTACTS.load(tx, 100)
        await CONTACTS.clear(tx, current)
    return [msgspec.json.decode(c.event.value or b"null")["conversation_status"] for c in current]


# --- open and close


async def test_a_conversation_is_closed_and_opened(pool: Pool) -> None:
    await ingest(pool, message())
    await published(pool)

    assert await results(pool, closing(1), closing(2)) == [{"conversation_status": "closed"}, {}]
    assert (await status(pool), await published(pool)) == ("closed", ["closed"])
    assert await results(pool, opening(3), opening(4)) == [{"conversation_status": "open"}, {}]
    assert (await status(pool), await published(pool)) == ("open", ["open"])
    assert await results(pool, opening(5)) == [{}]
    assert await published(pool) == []


async def test_a_message_after_the_closing_opens_again(pool: Pool) -> None:
    await ingest(pool, message(minutes=0))
    await give(pool, closing(5))
    await ingest(pool, message(minutes=4), message(minutes=5), message(minutes=6, kind="reaction"))
    assert await status(pool) == "closed"
    await ingest(pool, message(minutes=6))
    assert await status(pool) == "open"


async def test_a_late_closing_finds_a_message_that_came_after_it(pool: Pool) -> None:
    await ingest(pool, message(minutes=0))
    await ingest(pool, message(minutes=6))

    assert await results(pool, closing(5)) == [{}]
    assert await status(pool) == "open"
    assert await results(pool, closing(7)) == [{"conversation_status": "closed"}]


async def test_nobody_has_no_conversation(pool: Pool) -> None:
    asked = [opening(0), closing(0), snoozing(0), comment(0, "hm"), ask("comment", contact_id=uuid_of("x"), text="hm")]
    assert await results(pool, *asked) == ["not_found"] * 5


async def test_a_blocked_contact_allows_to_assign_and_to_comment_only(pool: Pool) -> None:
    await ingest(pool, message())
    await give(pool, ask("block_contact", minutes=1, **WHO))
    assign = ask("assign_conversation", minutes=2, **WHO, assignee="u-7")

    assert await results(pool, opening(2), closing(2), snoozing(2), assign, comment(2, "spam")) == [
        *["contact_blocked"] * 3,
        {"fields": ["assignee"]},
        {"message_id": str((await rows(pool, "SELECT comment_id FROM sluice_core.comments"))[0][0])},
    ]
    await give(pool, ask("unblock_contact", minutes=5, **WHO))
    assert await results(pool, opening(3)) == ["contact_blocked"]
    assert await status(pool) == "closed"
    assert await results(pool, opening(5)) == [{"conversation_status": "open"}]


async def test_a_block_and_a_command_of_one_batch_go_by_their_times(pool: Pool) -> None:
    await ingest(pool, message())
    block = ask("block_contact", minutes=3, **WHO)

    assert (await results(pool, block, opening(4), closing(2)))[1:] == ["contact_blocked"] * 2
    assert await status(pool) == "blocked"


async def test_an_old_block_that_the_row_does_not_have_refuses_too(pool: Pool) -> None:
    for n in range(18):
        await give(pool, ask("block_contact", minutes=10 * n, **WHO), ask("unblock_contact", minutes=10 * n + 5, **WHO))

    assert await results(pool, opening(2), closing(7)) == ["contact_blocked", {}]


async def test_the_status_does_not_depend_on_the_order_of_arrival(pool: Pool) -> None:
    for number, order in enumerate(permutations(range(4))):
        address = f"+49151123{number:05}"
        who: dict[str, Any] = {"identity": by_phone(address)}
        await ingest(pool, message(address, minutes=0))
        facts = (
            message(address, minutes=4),
            ask("close_conversation", minutes=3, **who),
            ask("snooze_conversation", minutes=6, **who, until=LATER),
            ask("open_conversation", minutes=5, **who),
        )
        answers = [await (results if n else ingest)(pool, facts[n]) for n in order]

        query = "SELECT conversation_status FROM sluice.contact_overview WHERE phone = $1"
        # A snooze of what is closed as far as anybody knows is refused for good.
        expected = "open" if ["invalid"] in answers else "snoozed"
        assert await rows(pool, query, address) == [(expected,)]


async def test_what_no_block_covers_any_more_opens_again(pool: Pool) -> None:
    await ingest(pool, message(minutes=0))
    await give(pool, opening(20))
    await give(pool, ask("block_contact", minutes=10, **WHO))
    assert await status(pool) == "blocked"
    await give(pool, ask("unblock_contact", minutes=15, **WHO))
    assert await status(pool) == "open"


# --- snooze


async def test_a_snooze_shows_until_when_and_a_later_message_ends_it(pool: Pool) -> None:
    await ingest(pool, message(minutes=0))
    await published(pool)
    changed = await results(pool, snoozing(5), snoozing(6), snoozing(7, at(99)))

    assert changed[0] == {"conversation_status": "snoozed", "snoozed_until": "2100-01-01T00:00:00Z"}
    assert changed[1] == {}
    inbox = "SELECT status, snoozed_until, last_message_at, last_direction FROM sluice.inbox"
    await give(pool, snoozing(8))
    assert await published(pool) == ["snoozed"]
    assert await rows(pool, inbox) == [("snoozed", LATER, at(0), "in")]
    await ingest(pool, message(minutes=8), message(minutes=9, kind="reaction"), message(minutes=9, kind="echo"))
    assert await status(pool) == "snoozed"
    await ingest(pool, message(minutes=9))
    assert await published(pool) == ["open"]
    assert await rows(pool, inbox) == [("open", None, at(9), "in")]


async def test_a_late_snooze_is_ended_by_a_message_that_was_there_before(pool: Pool) -> None:
    await ingest(pool, message(minutes=0))
    await ingest(pool, message(minutes=6))

    assert await results(pool, snoozing(5)) == [{}]
    assert await status(pool) == "open"


async def test_only_what_is_open_can_be_snoozed_and_only_until_the_future(pool: Pool) -> None:
    await ingest(pool, message(minutes=0))
    assert await results(pool, snoozing(5, at(5)), snoozing(5, at(1))) == ["invalid"] * 2
    await give(pool, closing(1))
    assert await results(pool, snoozing(5)) == ["invalid"]


async def test_time_ends_a_snooze_and_contacts_changes_learns_it(pool: Pool) -> None:
    async def run(now: datetime) -> None:
        async with pool.acquire() as tx, tx.transaction():
            await end_snoozes(tx, now)

    await ingest(pool, message(minutes=0))
    await give(pool, snoozing(5))
    await published(pool)

    await run(LATER - timedelta(seconds=1))
    assert await published(pool) == []
    query = "SELECT revision FROM sluice_core.contacts"
    before = await rows(pool, query)
    await run(LATER)
    assert await published(pool) == ["open"]
    assert await rows(pool, query) > before
    await run(LATER)
    assert await published(pool) == []
    assert await results(pool, snoozing(4)) == [{}]
    assert await status(pool) == "open"


@pytest.mark.parametrize("ends", [closing, opening, lambda minutes: ask("block_contact", minutes=minutes, **WHO)])
async def test_open_close_and_block_drop_a_snooze(pool: Pool, ends: Any) -> None:
    await ingest(pool, message(minutes=0))
    await give(pool, snoozing(5), ends(6), ask("unblock_contact", minutes=7, **WHO))
    await ingest(pool, message(minutes=8))

    assert await status(pool) == "open"


async def test_who_wrote_only_reactions_after_a_closing_is_looked_at_in_steps(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "OPENING", 2)
    await ingest(pool, message(minutes=0))
    await ingest(pool, message(minutes=6))
    await ingest(pool, *(message(minutes=7 + n, kind="reaction") for n in range(3)))
    at_most(monkeypatch, 1)
    await give(pool, closing(5))
    await steps(pool, 100)

    assert await status(pool) == "open"


# --- comments


async def test_a_comment_is_part_of_the_conversation_and_counts_for_nothing(pool: Pool) -> None:
    await ingest(pool, message(minutes=0))
    asked = comment(5, "called back", role="agent", actor="u-7", module="inbox")
    [told] = await results(pool, asked)

    assert told == {"message_id": str(asked.value.command_id)}
    assert (await rows(pool, TIMELINE))[1] == ("comment", "out", at(5), "called back", None, None, None, None, False)
    contact_id = await contact_of(pool, ANA)
    assert await rows(
        pool, "SELECT contact_id, content::text FROM sluice.conversation_messages WHERE kind = 'comment'"
    ) == [(contact_id, '{"type" : "text", "text" : "called back"}')]
    await refresh(pool)
    assert await rows(pool, "SELECT last_message_at, last_direction FROM sluice.inbox") == [(at(0), "in")]
    assert await rows(pool, "SELECT sum(active_contacts) FROM sluice.mac_counts") == [(1,)]
    assert await results(pool, comment(6, " \n")) == ["invalid"]


async def test_a_comment_is_on_the_profiles_timeline_and_given_twice_stands_once(pool: Pool) -> None:
    await ingest(pool, message(minutes=0))
    asked = comment(5, "called back")
    await give(pool, ask("attach_contact", **WHO, profile_name="Ana"), asked, asked)
    await give(pool, asked)

    moments = "SELECT content ->> 'text' FROM sluice.profile_moments WHERE workspace_id = $1 ORDER BY event_time"
    assert await rows(pool, moments, WORKSPACE) == [("hello",), ("called back",)]


async def test_every_message_tells_its_kind(pool: Pool) -> None:
    await ingest(pool, message(minutes=0), message(minutes=1, kind="reaction"), message(minutes=2, kind="echo"))

    assert [(row[0], row[1], row[8]) for row in await rows(pool, TIMELINE)] == [
        ("message", "in", True),
        ("reaction", "in", True),
        ("echo", "out", True),
    ]
