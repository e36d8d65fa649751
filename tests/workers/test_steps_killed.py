"""Whoever works in steps is killed in every step, before and after its COMMIT: it ends as if nobody had been."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import pytest
from asyncpg import Pool
from asyncpg.exceptions import InterfaceError, PostgresError

from tests.store.histories import ANA, BOB, CYN, FIRST, PHONES, longer
from tests.support.databases import Databases
from tests.workers.asking import ask, by_phone, give
from tests.workers.records import at, uuid_of
from tests.workers.stepping import at_most
from workers.app.pending_work import FairTurns
from workers.errors import SluiceError
from workers.records import Record
from workers.services.job_runner import Unfinished
from workers.store import job_outbox, mac, messages, senders
from workers.store.connection import Connection
from workers.store.failures import StoreFailure
from workers.store.pool import pool_of

ALL: Final[dict[str, Any]] = {"from": at(-5_000), "to": at(5)}
LATE: Final[dict[str, Any]] = {"timestamp": at(5)}


def _asked(*commands: tuple[str, dict[str, Any]]) -> list[Record[Any]]:
    """With ids that are the same in every world."""
    return [ask(name, command_id=uuid_of(f"c{n}"), **fields) for n, (name, fields) in enumerate(commands)]


KINDS: Final[dict[str, Callable[[], Sequence[Record[Any]]]]] = {
    "revise messages": lambda: _asked(("block_contact", {"minutes": -0.45, "contact_id": ANA, **LATE})),
    "move messages": lambda: _asked(
        ("remove_channel", {"minutes": -0.6, "identity": by_phone(PHONES[ANA]), **LATE}),
    ),
    "release messages": lambda: _asked(
        ("unblock_contact", {"minutes": 5, "contact_id": CYN}),
        ("release_dropped", {"minutes": 6, "contact_id": CYN, **ALL}),
    ),
    "halt runs": lambda: _asked(("block_contact", {"minutes": 5, "contact_id": BOB})),
    "halt runs, unblocked": lambda: _asked(
        ("block_contact", {"minutes": 5, "contact_id": BOB}), ("unblock_contact", {"minutes": 6, "contact_id": BOB})
    ),
    "confirm holds": lambda: _asked(("confirm_send", {"minutes": 5, "group_id": "spring"})),
    "reject holds": lambda: _asked(("reject_send", {"minutes": 5, "group_id": "spring"})),
    "count again": lambda: _asked(("configure_workspace", {"minutes": 5, "set": {"count_broadcasts": False}})),
    "count a contact again": lambda: _asked(
        ("block_contact", {"minutes": FIRST - 1, "contact_id": BOB, **LATE}),
    ),
}

SHOWN: Final = {
    "messages": "SELECT message_id, contact_id, event_time, status FROM conversation_messages",
    "ledger": "SELECT message_id, contact_id, rule, counted FROM drop_ledger",
    "counts": "SELECT cycle_start, active_contacts FROM mac_counts",
    "proofs": "SELECT cycle_start, contact_id, first_message_id FROM mac_contacts",
    "runs": "SELECT run_id, trigger, state, reason FROM workflow_runs",
    "sends": "SELECT send_id, status, reason, attempt FROM sluice.sends",
    "contacts": "SELECT contact_id, display_name, conversation_status FROM contact_overview",
    "revisions": "SELECT message_id, revision FROM messages",
    "facts": "SELECT topic, key, ce_id, value FROM outbox",
    "left": "SELECT kind, subject FROM pending_work",
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_kill_in_every_step_changes_nothing(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    at_most(monkeypatch, 7)
    monkeypatch.setattr(mac, "LOOK", 5)
    monkeypatch.setattr(messages, "OPENING", 5)
    monkeypatch.setattr(senders, "random_ids", lambda some: [uuid_of(f"new {n}") for n in range(len(some) // 16)])
    undisturbed, steps = await end(databases, kind, disturbed=False)
    killed, _ = await end(databases, kind, disturbed=True)
    assert steps >= 4
    assert undisturbed["left"] == []
    assert killed == undisturbed


async def end(databases: Databases, kind: str, *, disturbed: bool) -> tuple[dict[str, list[Any]], int]:
    """What the world is like once all steps are done, and how many there were."""
    async with databases.migrated() as url, pool_of(url, name="test") as pool:
        async with pool.acquire() as tx:
            await longer(tx, 0, 30)
            await tx.execute("UPDATE contacts SET conversation_id = contact_id")
        for record in KINDS[kind]():
            await give(pool, record, now=at(10))
        number = 0
        while await once(pool, FairTurns(), disturbed=disturbed):
            number += 1
        async with pool.acquire() as tx:
            return {name: sorted(map(repr, await tx.fetch(query))) for name, query in SHOWN.items()}, number


async def once(pool: Pool, turns: FairTurns, *, disturbed: bool) -> bool:
    """A step by a process that knows nothing of the ones before it; is there more? Disturbed: after several lives."""
    if disturbed:
        for statements in (3, 6, None):
            async with pool.acquire() as tx:
                with suppress(PostgresError, InterfaceError, OSError, StoreFailure, SluiceError):
                    await die(tx, statements)
    async with pool.acquire() as tx:
        return await step(tx, turns)


async def die(tx: Connection, statements: int | None) -> None:
    """A life that ends after so many statements; None: right before COMMIT."""
    transaction = tx.transaction()
    await transaction.start()
    if statements is not None:
        heard = []

        def kill(query: object) -> None:
            heard.append(query)
            if len(heard) == statements:
                tx.terminate()

        with tx.query_logger(kill):
            await do(tx, FairTurns())
    else:
        await do(tx, FairTurns())
    tx.terminate()


async def step(tx: Connection, turns: FairTurns) -> bool:
    async with tx.transaction():
        return await do(tx, turns)


async def do(tx: Connection, turns: FairTurns) -> bool:
    """Choose whose turn it is, do their step, and store its facts."""
    if not isinstance(await turns.run(tx, at(10)), Unfinished):
        return False
    result = await turns.run(tx, at(10))
    assert isinstance(result, Unfinished)
    await job_outbox.put(tx, result.events)
    return True
