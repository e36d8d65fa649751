"""Messages in any order among removals, merges, undos, deletions and blocks lead to the same contacts and counts.

The commands are judged when they are applied and keep their order; the messages come whenever they like, before the
commands or after them.
"""

import random
from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Any, Final
from uuid import UUID

import pytest
from asyncpg import Pool

from schemas.ids import message_id
from tests.reference_families import Ended, Kind, Order, Said, Tenure, ended
from tests.workers.asking import ask, by_phone, give, rows
from tests.workers.erasing import erase
from tests.workers.ingesting import ingest
from tests.workers.records import DAY, at, message
from tests.workers.stepping import at_most, steps
from workers.contacts import deleting
from workers.records import Record

ADDRESSES: Final = ("+4915112345601", "+4915112345602", "+4915112345603")
HISTORIES: Final = 40
KINDS: Final[tuple[Kind, ...]] = ("block", "unblock", "remove", "merge", "merge", "undo", "delete")
WORDS: Final = ("hi", "hi", "STOP", "START")

_numbers = count()


def made(dice: random.Random) -> tuple[list[Order], list[Said]]:
    """A history: commands at different minutes, and messages at those and around them."""
    minutes = sorted(dice.sample(range(10, 900, 3), dice.randint(1, 7)))
    orders: list[Order] = []
    merges = 0
    for minute in minutes:
        kind, who = dice.choice(KINDS), dice.choice(ADDRESSES)
        if kind == "undo" and not merges:
            kind = "merge"
        other: Any = dice.choice(ADDRESSES) if kind == "merge" else dice.randrange(max(merges, 1))
        orders.append(Order(kind, minute, who, other))
        merges += kind == "merge"
    moments = [minute + around for minute in minutes for around in (-1, 0, 1)] + [5]
    # No two of one address at one minute: then their ids would decide.
    places = dice.sample([(who, moment) for who in ADDRESSES for moment in sorted(set(moments))], dice.randint(3, 12))
    said = [Said(f"m{n}", who, moment, dice.choice(WORDS)) for n, (who, moment) in enumerate(places)]
    return orders, [*(Said(f"first {who}", who, 0, "hi") for who in ADDRESSES), *said]


def sent(workspace_id: str, said: Said) -> Record[Any]:
    return message(said.who, minutes=said.at, text=said.text, provider_message_id=said.id, workspace_id=workspace_id)


def given(workspace_id: str, order: Order, ids: dict[str, UUID], merges: Sequence[UUID]) -> Record[Any]:
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        "block": ("block_contact", {"identity": by_phone(order.who)}),
        "unblock": ("unblock_contact", {"identity": by_phone(order.who)}),
        "remove": ("remove_channel", {"identity": by_phone(order.who), "contact_id": ids[order.who]}),
        "merge": ("merge_contacts", {"survivor_id": ids[order.who], "loser_id": ids.get(order.other)}),
        "undo": ("undo_merge", {"merge_id": merges[order.other] if order.kind == "undo" else None}),
        "delete": ("delete_contacts", {"contact_ids": [ids[order.who]], "expected_count": 1}),
    }
    name, fields = asked[order.kind]
    return ask(name, minutes=order.at, workspace_id=workspace_id, **fields)


async def deliver(pool: Pool, workspace_id: str, orders: Sequence[Order], said: Sequence[Said], dice: Any) -> None:
    known = len(ADDRESSES)
    await ingest(pool, *(sent(workspace_id, m) for m in said[:known]))
    query = "SELECT phone, contact_id FROM sluice.contact_overview WHERE workspace_id = $1"
    ids: dict[str, UUID] = dict(await rows(pool, query, workspace_id))
    events: list[Order | Said] = [*said[known:], *dice.sample(said, dice.randint(0, 3))]
    dice.shuffle(events)
    for place, order in zip(sorted(dice.randint(0, len(events)) for _ in orders), orders, strict=True):
        events.insert(place + sum(isinstance(e, Order) for e in events), order)
    merges: list[UUID] = []
    for event in events:
        if isinstance(event, Said):
            await ingest(pool, sent(workspace_id, event))
        else:
            record = given(workspace_id, event, ids, merges)
            merges += [record.value.command_id] if event.kind == "merge" else []
            await give(pool, record, now=at(2_000))
        await steps(pool, dice.randrange(2))
        await erase(pool, dice.randrange(3))
    await steps(pool, 1_000)
    await erase(pool)


OWNED: Final = """
    SELECT message_id, lookup, began_at, contact_id, deleted FROM messages m JOIN (
        SELECT workspace_id, identity_id, lookup, began_at, contact_id, false AS deleted FROM identities UNION ALL
        SELECT workspace_id, identity_id, NULL, began_at, contact_id, true FROM deleted_identities
    ) AS i USING (workspace_id, identity_id)
"""


async def seen(pool: Pool, workspace_id: str, said: Sequence[Said]) -> Ended:
    """The workspace in the model's words."""

    async def found(query: str) -> list[tuple[Any, ...]]:
        return await rows(pool, f"{query} WHERE workspace_id = $1", workspace_id)

    ids = {message_id(workspace_id, "whatsapp-main", "in", m.id): m.id for m in said}
    shown = {id_ for (id_,) in await found("SELECT message_id FROM sluice.conversation_messages")}
    dropped = {id_ for (id_,) in await found("SELECT message_id FROM sluice.drop_ledger")}
    names: dict[UUID, Tenure] = {}
    verdicts: dict[str, tuple[str, Tenure | None]] = {}
    owned = await found(OWNED)
    for _, lookup, began_at, contact_id, gone in owned:
        if not gone:
            tenure = lookup, None if began_at is None else (began_at - DAY) // timedelta(minutes=1)
            names[contact_id] = min(names.get(contact_id, tenure), tenure, key=lambda t: (t[0], t[1] or -1))
    for id_, _, _, contact_id, gone in owned:
        assert not (gone and id_ in shown)
        verdict = "deleted" if gone else "shown" if id_ in shown else "dropped" if id_ in dropped else "lost"
        verdicts[ids[id_]] = verdict, None if gone else names[contact_id]
    proofs = await found("SELECT contact_id, first_counted_at FROM sluice.mac_contacts")
    blocked = await found("SELECT contact_id, blocked_at FROM sluice.blocked_contacts")
    opted = await found("SELECT contact_id, address FROM (SELECT * FROM sluice.contact_channels WHERE opted_out) AS c")
    return Ended(
        verdicts,
        {names[c]: (t - DAY) // timedelta(minutes=1) for c, t in proofs if c in names},
        {names[c]: (t - DAY) // timedelta(minutes=1) for c, t in blocked if c in names},
        {address for c, address in opted if c in names},
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(4))
async def test_messages_in_any_order_end_in_the_same_families(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    for history in range(seed * HISTORIES, (seed + 1) * HISTORIES):
        dice = random.Random(history)  # noqa: S311 - repeatable, and no secret
        orders, said = made(dice)
        expected = ended(orders, said)
        for turn in range(3):
            with monkeypatch.context() as patch:
                if turn:  # everything is too much, and its steps come in between
                    at_most(patch, turn)
                    patch.setattr(deleting, "AT_ONCE", turn - 1)
                workspace_id = f"w{next(_numbers)}"
                await deliver(pool, workspace_id, orders, said, dice)
            shown = await seen(pool, workspace_id, said)
            assert shown == expected, (history, turn, orders, said)
