"""Blocks as commands: the history, its consequences, and releases."""

from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Pool

from schemas.ids import message_id
from tests.workers.asking import ask, by_phone, contact_of, give, results, rows
from tests.workers.records import WORKSPACE, at, batch, message, record, uuid_of
from workers.app import commands_worker
from workers.messages import worker as inbound
from workers.records import Record
from workers.workflows import worker as workflows

ANA, BOB = "+4915112345678", "+4915187654321"
NOTHING_ELSE = {"runs_halted": 0, "holds_cancelled": 0, "messages_revised": 0}
BLOCKED = "SELECT blocked_at, blocked_by FROM sluice.blocked_contacts"


async def ingest(pool: Pool, *records: Record[Any]) -> None:
    async with pool.acquire() as tx, tx.transaction():
        await inbound.apply(tx, batch(*records))


def span(start: float, end: float) -> dict[str, Any]:
    return {"from": at(start), "to": at(end)}


async def start_run(pool: Pool, run_id: str, contact_id: UUID, minutes: float) -> None:
    fields = {
        "workspace_id": WORKSPACE,
        "at": at(minutes),
        "event": "run_started",
        "run_id": run_id,
        "workflow_id": "welcome",
        "contact_id": contact_id,
        "trigger": "automatic",
    }
    async with pool.acquire() as tx, tx.transaction():
        await workflows.apply(tx, batch(record("workflows.events", fields, timestamp=at(minutes))))


async def test_an_unknown_address_is_created_blocked(pool: Pool) -> None:
    assert await results(pool, ask("block_contact", minutes=3, identity=by_phone(ANA), note="rude")) == [NOTHING_ELSE]

    assert await rows(pool, BLOCKED) == [(at(3), "olga")]
    overview = "SELECT phone, country, conversation_status, blocked FROM sluice.contact_overview"
    assert await rows(pool, overview) == [(ANA, "DE", "blocked", True)]


async def test_blocking_twice_changes_nothing_the_second_time(pool: Pool) -> None:
    answers = await results(pool, *(ask("block_contact", minutes=n, identity=by_phone(ANA)) for n in (1, 2)))
    assert answers == [NOTHING_ELSE, {}]
    assert await rows(pool, BLOCKED) == [(at(1), "olga")]


async def test_an_address_and_the_contact_id_mean_one_contact(pool: Pool) -> None:
    await ingest(pool, message(ANA))
    ana = await contact_of(pool, ANA)

    answers = await results(
        pool,
        ask("block_contact", minutes=1, contact_id=ana),
        ask("unblock_contact", minutes=2, identity=by_phone("0049 151 12345678"), partition=1),
        ask("unblock_contact", minutes=3, contact_id=ana),
    )

    assert answers == [NOTHING_ELSE, NOTHING_ELSE, {}]
    assert await rows(pool, BLOCKED) == []


async def test_local_numbers_are_read_with_the_region_of_the_workspace(pool: Pool) -> None:
    configured = ask("configure_workspace", set={"default_region": "DE"})
    await give(pool, configured, ask("block_contact", identity=by_phone("0151 12345678", "sms")))
    assert await rows(pool, "SELECT phone FROM sluice.contact_overview") == [(ANA,)]


async def test_who_is_not_there_is_not_found(pool: Pool) -> None:
    answers = await results(
        pool,
        ask("unblock_contact", identity=by_phone(ANA)),
        ask("release_dropped", identity=by_phone(ANA), message_ids=[uuid_of("m")]),
        ask("block_contact", contact_id=uuid_of("nobody")),
    )
    assert answers == ["not_found"] * 3
    assert await rows(pool, "SELECT 1 FROM sluice.contact_overview") == []


async def test_a_command_before_the_block_that_makes_its_contact_finds_nobody(pool: Pool) -> None:
    asked = [
        ask("unblock_contact", identity=by_phone(ANA)),
        ask("block_contact", minutes=1, identity=by_phone(ANA)),
        ask("unblock_contact", minutes=2, identity=by_phone(ANA)),
    ]
    assert await results(pool, *asked) == ["not_found", NOTHING_ELSE, NOTHING_ELSE]


async def test_each_command_of_a_batch_reports_what_it_did_itself(pool: Pool) -> None:
    await ingest(pool, *(message(a, minutes=m) for a in (ANA, BOB) for m in (5, 15, 25)))
    ana = await contact_of(pool, ANA)
    await start_run(pool, "run-1", ana, minutes=1)
    await start_run(pool, "run-2", ana, minutes=12)

    answers = await results(
        pool,
        ask("block_contact", minutes=10, contact_id=ana),
        ask("block_contact", minutes=20, identity=by_phone(BOB)),
        ask("unblock_contact", minutes=20, contact_id=ana),
        ask("block_contact", minutes=30, contact_id=ana),
    )

    assert answers == [
        {"runs_halted": 1, "holds_cancelled": 0, "messages_revised": 2},
        {"runs_halted": 0, "holds_cancelled": 0, "messages_revised": 1},
        {"runs_halted": 0, "holds_cancelled": 0, "messages_revised": 1},
        NOTHING_ELSE,
    ]
    runs = "SELECT run_id, state, reason FROM sluice.workflow_runs ORDER BY run_id"
    assert await rows(pool, runs) == [("run-1", "halted", "contact_blocked"), ("run-2", "refused", "contact_blocked")]


async def test_the_facts_of_a_block_come_before_its_result_and_carry_its_trace(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=5))
    command = ask("block_contact", minutes=1, identity=by_phone(ANA))

    outputs = await give(pool, command)

    assert [o.event.topic for o in outputs] == ["messages.revised", "commands.results"]
    assert {o.source for o in outputs} == {command.source}


async def test_dropped_messages_are_released_after_a_mistaken_block(pool: Pool) -> None:
    await give(pool, ask("block_contact", minutes=1, identity=by_phone(ANA)))
    await ingest(pool, *(message(ANA, minutes=m) for m in (2, 3, 4)))
    ana = await contact_of(pool, ANA)
    picked = message_id(WORKSPACE, "whatsapp-main", "in", f"{ANA}-2-message")

    answers = await results(
        pool,
        ask("release_dropped", minutes=5, contact_id=ana, message_ids=[picked]),
        ask("unblock_contact", minutes=6, contact_id=ana),
        ask("release_dropped", minutes=7, contact_id=ana, message_ids=[picked]),
        ask("release_dropped", minutes=8, contact_id=ana, **span(3, 4)),
        ask("release_dropped", minutes=9, contact_id=ana, message_ids=[picked]),
    )

    assert answers == ["contact_blocked", NOTHING_ELSE, {"messages_revised": 1}, {"messages_revised": 1}, {}]
    assert await rows(pool, "SELECT event_time FROM sluice.drop_ledger") == [(at(4),)]
    assert await rows(pool, "SELECT conversation_status FROM sluice.contact_overview") == [("open",)]


async def test_a_release_before_a_block_in_one_batch_is_not_refused_for_it(pool: Pool) -> None:
    await give(pool, ask("block_contact", minutes=1, identity=by_phone(ANA)))
    await ingest(pool, message(ANA, minutes=2))
    answers = await results(
        pool,
        ask("unblock_contact", minutes=3, identity=by_phone(ANA)),
        ask("release_dropped", minutes=4, identity=by_phone(ANA), **span(0, 9)),
        ask("block_contact", minutes=5, identity=by_phone(ANA)),
    )
    assert answers == [NOTHING_ELSE, {"messages_revised": 1}, NOTHING_ELSE]


async def test_one_command_id_in_two_workspaces_releases_in_both(pool: Pool) -> None:
    for workspace_id in ("one", "two"):
        block = ask("block_contact", minutes=1, identity=by_phone(ANA), workspace_id=workspace_id)
        unblock = ask("unblock_contact", minutes=3, identity=by_phone(ANA), workspace_id=workspace_id)
        await give(pool, block)
        await ingest(pool, message(ANA, minutes=2, workspace_id=workspace_id))
        await give(pool, unblock)
    same: dict[str, Any] = {"command_id": uuid_of("same"), "identity": by_phone(ANA)} | span(0, 9)
    answers = await results(pool, *(ask("release_dropped", minutes=5, workspace_id=w, **same) for w in ("one", "two")))
    assert answers == [{"messages_revised": 1}, {"messages_revised": 1}]


async def test_a_changed_history_makes_the_contact_due_once_more(pool: Pool) -> None:
    await give(pool, ask("block_contact", minutes=1, identity=by_phone(ANA)))
    dirty = (
        "SELECT d.revision = c.revision FROM unpublished_contacts d JOIN contacts c USING (workspace_id, contact_id)"
    )
    assert await rows(pool, dirty) == [(True,)]
    await rows(pool, "DELETE FROM unpublished_contacts RETURNING 1")

    await give(pool, ask("block_contact", minutes=2, identity=by_phone(ANA)))
    assert await rows(pool, dirty) == []


async def test_a_flood_of_commands_for_one_contact_ends_as_its_history_says(pool: Pool) -> None:
    await ingest(pool, *(message(ANA, minutes=m) for m in range(0, 100, 10)))
    names = ("block_contact", "unblock_contact")
    flood = [ask(names[n % 2], minutes=5 + n, identity=by_phone(ANA)) for n in range(61)]
    again = ask("block_contact", minutes=66, identity=by_phone(ANA))
    release = ask("release_dropped", minutes=67, identity=by_phone(ANA), **span(0, 9))

    answers = await results(pool, *flood, again, release)

    # Blocked in every other minute up to the last block at minute 65: of the messages only those after it are covered.
    assert await rows(pool, "SELECT event_time FROM sluice.drop_ledger ORDER BY 1") == [(at(70),), (at(80),), (at(90),)]
    assert all(NOTHING_ELSE.keys() == answer.keys() for answer in answers[:61])
    assert sum(a["messages_revised"] for a in answers[:61]) >= 3
    assert answers[61:] == [{}, "contact_blocked"]


async def test_a_block_halts_runs_cancels_holds_and_revises_in_one_transaction(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=5))
    ana = await contact_of(pool, ANA)
    await start_run(pool, "run-1", ana, minutes=1)
    async with pool.acquire() as tx:
        transaction = tx.transaction()
        await transaction.start()
        outputs = await commands_worker.apply(tx, batch(ask("block_contact", minutes=2, contact_id=ana)))
        await transaction.rollback()

    assert {o.event.topic for o in outputs} == {"workflows.control", "messages.revised", "commands.results"}
    assert await rows(pool, BLOCKED) == []
    assert await rows(pool, "SELECT state FROM sluice.workflow_runs") == [("running",)]
    assert await rows(pool, "SELECT 1 FROM sluice.drop_ledger") == []
    assert msgspec.json.decode(outputs[-1].event.value or b"")["changed"]["messages_revised"] == 1
