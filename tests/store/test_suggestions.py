"""Suggestions for merging are, at any moment, what comparing all contacts with each other would find."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import pytest
from asyncpg import Pool
from hypothesis import given
from hypothesis import strategies as st

from tests.store.worlds import GENERATED
from tests.support.databases import InATransaction
from tests.workers.asking import ask, contact_of, give, rows
from tests.workers.ingesting import ingest
from tests.workers.records import WORKSPACE, at, batch, message
from workers.app import commands_worker
from workers.contacts import changes_topic
from workers.messages import worker as inbound
from workers.rules.identities import REACHABLE_UNASKED, identify
from workers.store.connection import Connection

VIEW: Final = "SELECT field, value, contact_ids FROM sluice.merge_suggestions WHERE workspace_id = 'acme'"
ANA: Final = "+4915112345678"

# Two forms of one Mexican number, two spellings of one address, a short code; few, so that contacts share them.
PHONES: Final = (ANA, "+5215512345678", "+525512345678", "12345")
EMAILS: Final = ("ana@example.org", "Ana@Example.org", "bob@example.org")
IDENTITIES: Final = (
    *((channel, phone) for channel in ("whatsapp", "sms", "telegram") for phone in PHONES),
    *(("email", email) for email in EMAILS),
)
Step = tuple[str, Any, Any]

identities = st.sampled_from(IDENTITIES)
written = st.one_of(
    st.tuples(st.just("phone"), st.none() | st.sampled_from(PHONES[:3])),
    st.tuples(st.just("email"), st.none() | st.sampled_from(EMAILS)),
)
steps = st.one_of(
    st.tuples(st.just("message"), identities, st.none()),
    st.tuples(st.just("message"), identities, st.none()),
    st.tuples(st.just("set"), identities, written),
    st.tuples(st.sampled_from(["block_contact", "unblock_contact"]), identities, st.none()),
    st.tuples(st.just("remove_channel"), identities, st.none()),
    st.tuples(st.just("delete_contacts"), st.integers(0, 7), st.none()),
    st.tuples(st.just("merge_contacts"), st.integers(0, 7), st.integers(0, 7)),
    st.tuples(st.just("publish"), st.lists(st.booleans(), min_size=1, max_size=4), st.none()),
)


async def take(tx: Connection, number: int, step: Step) -> None:
    kind, who, what = step
    fields: dict[str, Any]
    if kind == "publish":
        current = await changes_topic.load(tx, 100)
        await changes_topic.clear(tx, [row for n, row in enumerate(current) if who[n % len(who)]])
        return
    if kind in ("delete_contacts", "merge_contacts"):
        people = [row[0] for row in await tx.fetch("SELECT contact_id FROM sluice.contact_list ORDER BY 1")]
        if len(people) > 1:
            one, other = people[who % len(people)], people[(what or 0) % len(people)]
            merge = {"survivor_id": one, "loser_id": other}
            fields = {"contact_ids": [one], "expected_count": 1} if what is None else merge
            await commands_worker.apply(tx, batch(ask(kind, minutes=number, **fields), now=at(number)))
        return
    channel, address = who
    if kind == "message":
        told = batch(message(address, channel=channel, minutes=number, provider_message_id=f"m{number}"))
        await inbound.apply(tx, told)
        return
    fields = {"set": {what[0]: what[1]}} if kind == "set" else {}
    command = "update_contact" if kind == "set" else kind
    asked = ask(command, identity={"channel": channel, "address": address}, minutes=number, **fields)
    await commands_worker.apply(tx, batch(asked, now=at(number)))


async def compared(tx: Connection) -> dict[tuple[str, str], set[UUID]]:
    """By comparing all contacts that are listed."""
    shared: defaultdict[tuple[str, str], set[UUID]] = defaultdict(set)
    for contact_id, phone, email in await tx.fetch("SELECT contact_id, phone, email FROM sluice.contact_list"):
        shared["phone", phone or ""].add(contact_id)
        shared["email", (email or "").lower()].add(contact_id)
    owned = """
        SELECT i.* FROM identities i JOIN sluice.contact_list USING (workspace_id, contact_id)
        WHERE i.removed_at IS NULL
    """
    for row in await tx.fetch(owned):
        if row["channel"] in REACHABLE_UNASKED and identify(row["channel"], "", row["lookup"], None).understood:
            shared["email" if row["channel"] == "email" else "phone", row["lookup"]].add(row["contact_id"])
    return {key: ids for key, ids in shared.items() if key[1] and len(ids) > 1}


async def check(tx: Connection) -> None:
    expected = await compared(tx)
    shown = await tx.fetch(VIEW)
    assert {(field, value): set(ids) for field, value, ids in shown} == expected
    assert len(shown) == len(expected)
    for [contact_id] in await tx.fetch("SELECT contact_id FROM sluice.contact_overview"):
        found = await tx.fetch("SELECT field, value, contact_id FROM sluice.suggestions_of('acme', $1)", contact_id)
        others = {(*key, other) for key, ids in expected.items() if contact_id in ids for other in ids - {contact_id}}
        assert len(found) == len(others)
        assert {tuple(row) for row in found} == others


@GENERATED
@given(st.lists(steps, min_size=8, max_size=24))
def test_suggestions_are_what_comparing_all_contacts_finds(
    in_a_transaction: InATransaction, story: Sequence[Step]
) -> None:
    async def play(tx: Connection) -> None:
        for number, step in enumerate(story):
            await take(tx, number, step)
            await check(tx)
        while current := await changes_topic.load(tx, 100):
            await changes_topic.clear(tx, current)
        await check(tx)
        kept = {tuple(row) for row in await tx.fetch("SELECT field, value FROM shared_values")}
        assert (await compared(tx)).keys() <= kept
        unshared = "SELECT FROM shared_values WHERE (SELECT count(*) FROM sharers('acme', field, value, 2, true)) < 2"
        assert await tx.fetch(unshared) == []

    in_a_transaction(play)


async def publish(pool: Pool) -> None:
    async with pool.acquire() as tx, tx.transaction():
        await changes_topic.clear(tx, await changes_topic.load(tx, 1000))


async def test_two_that_come_at_once_are_suggested_though_neither_transaction_saw_the_other(pool: Pool) -> None:
    await ingest(pool, message("4711"), message("4712", channel="sms"))  # so that the channels are known
    await publish(pool)
    async with pool.acquire() as tx, tx.transaction():
        await inbound.apply(tx, batch(message(ANA, channel="sms", partition=1)))
        await ingest(pool, message(ANA))
        await publish(pool)
        assert await rows(pool, VIEW) == []
    [(field, value, ids)] = await rows(pool, VIEW)
    assert (field, value, len(ids)) == ("phone", ANA, 2)
    await publish(pool)
    assert await rows(pool, VIEW) == [(field, value, ids)]


@pytest.mark.parametrize("published", [False, True])
async def test_of_very_many_with_one_value_the_first_hundred_are_shown(pool: Pool, published: bool) -> None:  # noqa: FBT001
    people = "SELECT contact_id FROM contacts WHERE blocked_at IS NULL ORDER BY contact_id"
    await rows(
        pool,
        """WITH made AS (
            INSERT INTO contacts (workspace_id, contact_id, email, blocked_at)
            SELECT 'acme', gen_random_uuid(), 'info@example.org', CASE WHEN n % 3 = 0 THEN now() END
            FROM generate_series(1, 400) AS n RETURNING workspace_id, contact_id, revision
        ) INSERT INTO unpublished_contacts SELECT * FROM made RETURNING 1""",
    )
    await ingest(pool, message("info@example.org", channel="email"))
    if published:
        await publish(pool)
    all_ids = [row[0] for row in await rows(pool, people)]
    assert await rows(pool, VIEW) == [("email", "info@example.org", all_ids[:100])]
    found = await rows(pool, "SELECT contact_id FROM sluice.suggestions_of('acme', $1)", all_ids[-1])
    assert [row[0] for row in found] == all_ids[:101]
    found = await rows(pool, "SELECT contact_id FROM sluice.suggestions_of('acme', $1)", all_ids[0])
    assert [row[0] for row in found] == all_ids[1:101]


async def test_workspaces_share_nothing(pool: Pool) -> None:
    await ingest(pool, message(ANA), message(ANA, channel="sms", workspace_id="other"))
    assert await rows(pool, "SELECT * FROM sluice.merge_suggestions") == []
    assert await rows(pool, "SELECT * FROM sluice.suggestions_of('acme', $1)", await contact_of(pool, ANA)) == []
    await publish(pool)
    assert await rows(pool, "SELECT * FROM sluice.merge_suggestions") == []


async def test_a_value_that_nobody_shares_any_more_is_not_kept(pool: Pool) -> None:
    await ingest(pool, message(ANA), message("ana@example.org", channel="email"))
    mail = {"channel": "email", "address": "ana@example.org"}
    await give(pool, ask("update_contact", identity=mail, set={"phone": ANA}, minutes=1))
    await publish(pool)
    assert await rows(pool, "SELECT * FROM shared_values") == [(WORKSPACE, "phone", ANA)]
    await give(pool, ask("update_contact", identity=mail, set={"phone": None}, minutes=2))
    await publish(pool)
    assert await rows(pool, "SELECT * FROM shared_values") == []


async def test_a_value_whose_other_contact_is_gone_before_it_was_published_is_not_kept(pool: Pool) -> None:
    await ingest(pool, message(ANA), message(ANA, channel="sms"))
    first, other = (row[0] for row in await rows(pool, "SELECT contact_id FROM contacts ORDER BY contact_id"))
    async with pool.acquire() as tx, tx.transaction():
        [one] = await changes_topic.load(tx, 1)
        assert one.event.key == f"{WORKSPACE}:{first}".encode()
        await changes_topic.clear(tx, [one])
    await give(pool, ask("delete_contacts", minutes=1, contact_ids=[other], expected_count=1))
    await publish(pool)
    assert await rows(pool, "SELECT * FROM shared_values") == []


async def test_what_was_planned_for_few_contacts_reads_no_more_when_there_are_many(pool: Pool) -> None:
    """The publisher's session keeps its plans; in a flood contacts come faster than statistics."""
    read = """
        SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) FROM pg_stat_xact_user_tables
        WHERE relname IN ('contacts', 'identities', 'contact_index', 'shared_values')
    """
    many = """
        WITH made AS (
            INSERT INTO contacts (workspace_id, contact_id, email)
            SELECT 'acme', gen_random_uuid(), 'user' || $1 || '.' || n || '@example.org'
            FROM generate_series(1, $2::int) n RETURNING workspace_id, contact_id, revision
        ) INSERT INTO unpublished_contacts SELECT * FROM made
    """
    async with pool.acquire() as tx:
        for turn in range(10):
            await tx.execute(many, str(turn), 5)
            await tx.execute("ANALYZE")
            async with tx.transaction():
                await changes_topic.clear(tx, await changes_topic.load(tx, 5))
        await tx.execute(many, "many", 5_000)
        async with tx.transaction():
            current = await changes_topic.load(tx, 5)
            before = await tx.fetchval(read)
            await changes_topic.clear(tx, current)
            assert await tx.fetchval(read) - before < 300
