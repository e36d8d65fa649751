"""Holds answered by command, and holds that a block ends: commands, sends and workflows on one database."""

from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from asyncpg import Pool

from tests.workers.asking import ask, by_phone, contact_of, give, results, rows
from tests.workers.records import WORKSPACE, at, batch, message, record, uuid_of
from tests.workers.stepping import at_most, steps
from workers.messages import worker as inbound
from workers.sends import worker as outbound

ANA, BOB = "+4915112345678", "+4915187654321"
STATUSES = "SELECT status, reason FROM sluice.sends ORDER BY send_id"


async def protect(pool: Pool, *addresses: str) -> list[UUID]:
    """Contacts of a protected profile, each with an open conversation."""
    async with pool.acquire() as tx, tx.transaction():
        await inbound.apply(tx, batch(*(message(address) for address in addresses)))
    await give(
        pool,
        ask("define_status", name="vip", protected=True),
        ask("create_profile", profile_id="p-1", name="Ada"),
        ask("set_profile_status", profile_id="p-1", status="vip"),
        *(ask("attach_contact", profile_id="p-1", identity=by_phone(address)) for address in addresses),
    )
    return [await contact_of(pool, address) for address in addresses]


async def send(pool: Pool, contact_id: UUID, name: str, minutes: float = 1, group_id: str | None = None) -> UUID:
    fields: dict[str, Any] = {
        "send_id": uuid_of(name),
        "workspace_id": WORKSPACE,
        "channel_id": "whatsapp-main",
        "channel": "whatsapp",
        "to": {"contact_id": contact_id},
        "content": {"type": "text", "text": "hello"},
        "requested_at": at(minutes),
        "requested_by": {"id": "ann", "role": "agent"},
        "source": "inbox",
        "group_id": group_id,
    }
    async with pool.acquire() as tx, tx.transaction():
        await outbound.apply(tx, batch(record("messages.outbound", fields, timestamp=at(minutes))))
    return uuid_of(name)


async def test_a_hold_is_confirmed_once_and_not_rejected_afterwards(pool: Pool) -> None:
    [ana] = await protect(pool, ANA)
    held = await send(pool, ana, "one")
    assert await rows(pool, STATUSES) == [("held", None)]

    answers = await results(
        pool,
        ask("confirm_send", minutes=2, send_id=held),
        ask("confirm_send", minutes=3, send_id=held),
        ask("reject_send", minutes=4, send_id=held),
        ask("reject_send", minutes=4, send_id=uuid_of("unknown")),
    )

    assert answers == [{"released": 1}, {}, "already_final", "not_found"]
    assert await rows(pool, STATUSES) == [("dispatched", None)]


async def test_a_group_is_rejected_as_a_whole(pool: Pool) -> None:
    for contact_id in await protect(pool, ANA, BOB):
        await send(pool, contact_id, str(contact_id), group_id="mailing")
    assert await results(pool, ask("reject_send", minutes=2, group_id="mailing")) == [{"rejected": 2}]


async def test_a_requester_does_not_confirm_alone_where_two_are_asked_for(pool: Pool) -> None:
    [ana] = await protect(pool, ANA)
    held = await send(pool, ana, "one")
    answers = await results(
        pool,
        ask("configure_workspace", set={"two_person_confirm": True}),
        ask("confirm_send", minutes=2, send_id=held, actor="ann", role="agent", module="inbox"),
        ask("confirm_send", minutes=3, send_id=held, actor="bea", role="agent", module="inbox"),
    )
    assert answers[1:] == ["needs_second_person", {"released": 1}]


async def test_a_block_cancels_holds_for_good(pool: Pool) -> None:
    ana, bob = await protect(pool, ANA, BOB)
    held = [await send(pool, ana, "one"), await send(pool, ana, "two"), await send(pool, bob, "three")]

    [counts] = await results(pool, ask("block_contact", minutes=2, contact_id=ana))
    answers = await results(
        pool,
        ask("unblock_contact", minutes=3, contact_id=ana),
        *(ask("confirm_send", minutes=4, send_id=send_id) for send_id in held),
    )

    assert counts == {"runs_halted": 0, "holds_cancelled": 2, "messages_revised": 0}
    assert answers[1:] == ["already_final", "already_final", {"released": 1}]


async def test_a_block_and_an_answer_of_one_batch_meet_in_that_order(pool: Pool) -> None:
    [ana] = await protect(pool, ANA)
    held = await send(pool, ana, "one")
    answers = await results(
        pool,
        ask("confirm_send", minutes=3, send_id=held),
        ask("block_contact", minutes=2, contact_id=ana, partition=1),
    )
    assert answers == ["already_final", {"runs_halted": 0, "holds_cancelled": 1, "messages_revised": 0}]


async def test_a_protection_of_the_same_batch_is_known_to_the_answer(pool: Pool) -> None:
    [ana] = await protect(pool, ANA)
    held = await send(pool, ana, "one")
    answers = await results(
        pool,
        ask("confirm_send", minutes=3, send_id=held),
        ask("define_company", minutes=2, company_id="c-1", name="Lovelace", partition=1),
        ask("protect_company", minutes=2, company_id="c-1", partition=1),
        ask("set_profile_companies", minutes=2, profile_id="p-1", company_ids=["c-1"], partition=1),
    )
    assert answers[0] == {"held": 1}
    assert await rows(pool, STATUSES) == [("held", None)]


async def test_a_group_too_large_for_one_transaction_is_answered_by_one_command_all_the_same(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_most(monkeypatch, 1)
    ana, bob = await protect(pool, ANA, BOB)
    held = [await send(pool, contact_id, str(contact_id), group_id="mailing") for contact_id in (ana, bob)]
    answers = await results(
        pool,
        ask("confirm_send", minutes=2, group_id="mailing"),
        ask("block_contact", minutes=3, contact_id=ana, partition=1),
        ask("reject_send", minutes=4, send_id=held[0]),
    )
    # Blocks come before answers: what the block cancelled is no hold any more.
    assert answers == [
        {"released": 1},
        {"runs_halted": 0, "holds_cancelled": 1, "messages_revised": 0},
        "already_final",
    ]
    await steps(pool, 10)
    assert Counter(await rows(pool, STATUSES)) == {("cancelled", "contact_blocked"): 1, ("dispatched", None): 1}
