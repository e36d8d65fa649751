"""remove_channel: an address is taken from a contact, and who writes from there next is somebody new."""

from typing import Any

import pytest
from asyncpg import Pool

from tests.workers.asking import ask, by_phone, give, results, rows
from tests.workers.ingesting import ingest, values
from tests.workers.records import at, message
from tests.workers.runs import apply as workflow
from tests.workers.runs import start
from workers.records import Record

ANA = "+4915112345678"
BEN = "+4915187654321"
WHO: dict[str, Any] = {"identity": by_phone(ANA)}
SHOWN = """
    SELECT string_agg(content ->> 'text', ' ' ORDER BY event_time) FROM sluice.conversation_messages
    GROUP BY contact_id ORDER BY min(event_time)
"""
CHANNELS = "SELECT channel, address, state FROM sluice.contact_channels WHERE contact_id = $1 ORDER BY channel, state"


def remove(minutes: float = 0, /, **fields: Any) -> Record[Any]:
    return ask("remove_channel", minutes=minutes, **{**WHO, **fields})


def block(minutes: float = 0, /) -> Record[Any]:
    return ask("block_contact", minutes=minutes, **WHO)


def unblock(minutes: float = 0, /) -> Record[Any]:
    return ask("unblock_contact", minutes=minutes, **WHO)


async def conversations(pool: Pool) -> list[str]:
    """The texts of each conversation, in the order of their beginnings."""
    return [texts for (texts,) in await rows(pool, SHOWN)]


async def contact(pool: Pool) -> Any:
    [(contact_id,)] = await rows(pool, "SELECT contact_id FROM sluice.contact_overview")
    return contact_id


async def dropped(pool: Pool) -> list[tuple[Any, ...]]:
    return await rows(pool, "SELECT event_time FROM sluice.drop_ledger ORDER BY event_time")


async def test_a_removed_address_leaves_the_list_and_its_history_stays(pool: Pool) -> None:
    await ingest(pool, message(text="one"))
    id_ = await contact(pool)
    assert await results(pool, remove(1)) == [{"contact_id": str(id_)}]

    assert await rows(pool, CHANNELS, id_) == [("whatsapp", ANA, "inactive")]
    assert await conversations(pool) == ["one"]
    assert await results(pool, remove(2)) == [{}]


async def test_who_writes_from_a_removed_address_is_somebody_new(pool: Pool) -> None:
    await ingest(pool, message(text="one", name="Ana"))
    await give(pool, ask("add_tag", **WHO, tag="vip"), remove(1))
    await ingest(pool, message(minutes=2, text="two", name="Eve"))

    assert await conversations(pool) == ["one", "two"]
    shown = "SELECT first_name, tags, conversation_status FROM sluice.contact_overview ORDER BY first_name"
    assert await rows(pool, shown) == [("Ana", ["vip"], "open"), ("Eve", [], "open")]
    assert await rows(pool, "SELECT active_contacts FROM sluice.mac_counts") == [(2,)]


async def test_a_message_belongs_to_whoever_had_the_address_at_its_time(pool: Pool) -> None:
    await ingest(pool, message(text="one"))
    await give(pool, remove(10))
    await ingest(pool, message(minutes=20, text="three"), message(minutes=10, text="at"))
    await ingest(pool, message(minutes=9, text="two"), message(minutes=30, text="four"))

    assert await conversations(pool) == ["one two", "at three four"]


async def test_an_address_changes_owners_again_and_again(pool: Pool) -> None:
    for turn in range(3):
        await ingest(pool, message(minutes=20 * turn, text=str(turn)))
        await give(pool, remove(20 * turn + 10))
    await ingest(pool, *(message(minutes=20 * turn + 5, text="late") for turn in range(4)))

    assert await conversations(pool) == ["0 late", "1 late", "2 late", "late"]


async def test_an_address_removed_from_a_blocked_contact_stays_blocked_until_the_block_ends(pool: Pool) -> None:
    await ingest(pool, message(text="one"))
    await give(pool, block(1), remove(2))
    await ingest(pool, message(minutes=3, text="x"))
    assert (await conversations(pool), await dropped(pool)) == (["one"], [(at(3),)])

    await give(pool, unblock(4))
    await ingest(pool, message(minutes=5, text="two"), message(minutes=3.5, text="x"))
    assert (await conversations(pool), await dropped(pool)) == (["one", "two"], [(at(3),), (at(3.5),)])


async def test_who_was_blocked_and_is_not_leaves_no_block_behind(pool: Pool) -> None:
    await ingest(pool, message(text="one"))
    await give(pool, block(1), unblock(2), remove(3))
    await ingest(pool, message(minutes=4, text="two"))
    assert await conversations(pool) == ["one", "two"]


async def test_a_block_after_the_removal_is_of_one_contact_alone(pool: Pool) -> None:
    await ingest(pool, message(text="one"))
    id_ = await contact(pool)
    await give(pool, remove(1), ask("block_contact", minutes=2, contact_id=str(id_)))
    await ingest(pool, message(minutes=3, text="two"))
    assert await conversations(pool) == ["one", "two"]

    await give(pool, block(4))
    blocked = "SELECT contact_id = $1 FROM sluice.blocked_contacts ORDER BY blocked_at"
    assert await rows(pool, blocked, id_) == [(True,), (False,)]


async def test_a_command_in_the_same_poll_finds_no_removed_address(pool: Pool) -> None:
    await ingest(pool, message(text="one"))
    id_ = await contact(pool)
    await give(pool, remove(1), block(2))

    assert await rows(pool, "SELECT contact_id = $1 FROM sluice.blocked_contacts", id_) == [(False,)]
    await ingest(pool, message(minutes=3, text="two"))
    assert (await conversations(pool), await dropped(pool)) == (["one"], [(at(3),)])


async def test_an_older_command_means_who_had_the_address_then(pool: Pool) -> None:
    await ingest(pool, message(text="one"))
    await give(pool, remove(10))
    await ingest(pool, message(minutes=20, text="two"))
    await give(pool, ask("add_tag", minutes=5, **WHO, tag="then"), ask("add_tag", minutes=25, **WHO, tag="now"))

    tags = "SELECT tags FROM sluice.contact_overview ORDER BY tags"
    assert await rows(pool, tags) == [(["now"],), (["then"],)]


async def test_a_run_is_of_who_had_the_address_when_it_started(pool: Pool) -> None:
    await ingest(pool, message(text="one"))
    id_ = await contact(pool)
    await give(pool, remove(10))
    await ingest(pool, message(minutes=20, text="two"))
    await workflow(pool, start("r1", minutes=5, **WHO), start("r2", minutes=25, **WHO))

    runs = "SELECT run_id FROM sluice.workflow_runs WHERE contact_id = $1"
    assert await rows(pool, runs, id_) == [("r1",)]


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (remove(1, identity=by_phone(BEN)), "not_found"),
        (remove(1, contact_id="00000000-0000-0000-0000-000000000001"), "not_found"),
        (remove(1, identity=by_phone("0151 12345678", "sms")), "invalid"),
        (ask("remove_channel", **WHO, role="agent"), "not_permitted"),
        (ask("remove_channel", **WHO, role="manager", module="inbox"), "not_permitted"),
    ],
)
async def test_a_removal_that_fits_nobody_is_refused(pool: Pool, refused: Record[Any], why: str) -> None:
    await ingest(pool, message(text="one"))
    assert await results(pool, refused) == [why]
    assert await rows(pool, "SELECT state FROM sluice.contact_channels") == [("active",)]


# --- what arrives in another order


async def test_a_removal_that_arrives_late_gives_later_messages_to_somebody_new(pool: Pool) -> None:
    await ingest(pool, message(text="one", name="Ana"), message(minutes=20, text="two", name="Eve"))
    id_ = await contact(pool)
    await give(pool, remove(10))

    assert await conversations(pool) == ["one", "two"]
    shown = "SELECT first_name, conversation_status, contact_id = $1 FROM sluice.contact_overview ORDER BY first_name"
    assert await rows(pool, shown, id_) == [("Ana", "open", True), ("Eve", "open", False)]
    assert await rows(pool, "SELECT active_contacts FROM sluice.mac_counts") == [(2,)]
    connected = "SELECT connected_at FROM sluice.contact_channels WHERE connected_at IS NOT NULL"
    assert await rows(pool, connected) == [(at(20),)]
    await ingest(pool, message(minutes=15, text="between"), message(minutes=5, text="before"))
    assert await conversations(pool) == ["one before", "between two"]


async def test_a_removal_from_before_the_only_message_leaves_an_empty_conversation(pool: Pool) -> None:
    await ingest(pool, message(minutes=20, text="one", name="Eve"))
    id_ = await contact(pool)
    await give(pool, remove(10))

    shown = "SELECT first_name, conversation_status, contact_id = $1 FROM sluice.contact_overview ORDER BY first_name"
    assert await rows(pool, shown, id_) == [("Eve", "open", False), (None, "closed", True)]
    assert await rows(pool, "SELECT active_contacts FROM sluice.mac_counts") == [(1,)]


async def test_of_two_removals_the_earlier_one_ended_it(pool: Pool) -> None:
    await ingest(pool, message(text="one"), message(minutes=15, text="two"))
    await give(pool, remove(20))
    await ingest(pool, message(minutes=30, text="three"))
    await give(pool, remove(10))

    assert await conversations(pool) == ["one", "two three"]


async def test_an_unblock_that_arrives_late_gives_dropped_messages_to_somebody_new(pool: Pool) -> None:
    await ingest(pool, message(text="one"))
    await give(pool, block(1), remove(2))
    await ingest(pool, message(minutes=3, text="x"), message(minutes=20, text="two"))
    outputs = await give(pool, unblock(10))

    assert (await conversations(pool), await dropped(pool)) == (["one", "two"], [(at(3),)])
    [revised] = values(outputs, "messages.revised")
    assert (revised["to"], revised["reason"]) == ("accepted", "late_unblock")
    ids = "SELECT contact_id::text FROM sluice.conversation_messages WHERE content ->> 'text' = 'two'"
    assert await rows(pool, ids) == [(revised["contact_id"],)]


async def test_a_block_that_arrives_late_keeps_an_address_that_was_removed_in_it(pool: Pool) -> None:
    await ingest(pool, message(text="one"))
    id_ = await contact(pool)
    await give(pool, remove(10))
    await ingest(pool, message(minutes=20, text="two"))
    await give(pool, ask("block_contact", minutes=5, contact_id=str(id_)))

    assert (await conversations(pool), await dropped(pool)) == (["one"], [(at(20),)])
    assert await rows(pool, "SELECT contact_id = $1 FROM sluice.drop_ledger", id_) == [(True,)]
    await give(pool, ask("unblock_contact", minutes=30, contact_id=str(id_)))
    await ingest(pool, message(minutes=40, text="three"), message(minutes=25, text="x"))
    assert (await conversations(pool), await dropped(pool)) == (["one", "three"], [(at(20),), (at(25),)])


async def test_a_block_of_before_that_ended_takes_only_its_messages(pool: Pool) -> None:
    await ingest(pool, message(text="one"))
    id_ = await contact(pool)
    await give(pool, remove(10))
    await ingest(pool, message(minutes=20, text="two"), message(minutes=40, text="three"))
    await give(pool, ask("block_contact", minutes=5, contact_id=str(id_)))
    await give(pool, ask("unblock_contact", minutes=30, contact_id=str(id_)))

    assert (await conversations(pool), await dropped(pool)) == (["one", "three"], [(at(20),)])


async def test_an_opt_out_is_of_the_address(pool: Pool) -> None:
    await ingest(pool, message(text="one"), message(minutes=1, text="STOP"))
    await give(pool, remove(10))
    await ingest(pool, message(minutes=20, text="two"))
    opted = "SELECT opted_out FROM sluice.contact_channels WHERE state = 'active'"
    assert await rows(pool, opted) == [(True,)]

    await ingest(pool, message(minutes=9, text="START"))
    assert await rows(pool, opted) == [(False,)]
