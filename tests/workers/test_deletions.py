"""delete_contacts: contacts are cut off at once, and their history is erased in steps."""

from typing import Any, Final
from uuid import UUID

import msgspec
import pytest
from asyncpg import Pool

from tests.workers.asking import ask, by_phone, contact_of, give, results, rows, said
from tests.workers.erasing import erase, traces
from tests.workers.ingesting import ingest
from tests.workers.records import WORKSPACE, at, batch, message, record, uuid_of
from tests.workers.sending import receipt, request
from tests.workers.stepping import at_most
from workers.contacts import deleting, erasing
from workers.records import Output, Record
from workers.sends import worker as outbound
from workers.services.job_runner import Unfinished
from workers.store import naming_records
from workers.store.connection import transaction_time
from workers.workflows import worker as workflows

ANA, BOB = "+4915112345678", "+4915187654321"
COUNTS: Final = "SELECT active_contacts FROM sluice.mac_counts ORDER BY cycle_start"
OVERVIEW: Final = "SELECT phone FROM sluice.contact_overview ORDER BY phone"


@pytest.fixture(params=[deleting.AT_ONCE, 0], ids=["at once", "by a rule"], autouse=True)
def by_rule(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Contacts are cut off by the command, or deleted by a rule and cut off in steps."""
    monkeypatch.setattr(deleting, "AT_ONCE", request.param)
    return bool(request.param == 0)


async def delete(pool: Pool, *contact_ids: UUID, minutes: float = 60, **fields: Any) -> Any:
    """The result of deleting these contacts."""
    ids: dict[str, Any] = {"contact_ids": contact_ids, "expected_count": len(contact_ids)} if contact_ids else {}
    [result] = await results(pool, ask("delete_contacts", minutes=minutes, **(ids | fields)))
    return result


async def send(pool: Pool, *records: Record[Any]) -> list[Output]:
    async with pool.acquire() as tx, tx.transaction():
        return await outbound.apply(tx, batch(*records))


async def start_run(pool: Pool, run_id: str, minutes: float = 1, address: str = ANA) -> None:
    fields = {
        "workspace_id": WORKSPACE,
        "at": at(minutes),
        "event": "run_started",
        "run_id": run_id,
        "workflow_id": "welcome",
        "identity": by_phone(address),
        "trigger": "automatic",
    }
    async with pool.acquire() as tx, tx.transaction():
        await workflows.apply(tx, batch(record("workflows.events", fields, timestamp=at(minutes))))


async def progress(pool: Pool) -> list[tuple[int, int, bool]]:
    rows_ = await rows(
        pool, "SELECT contacts, done, finished_at IS NOT NULL FROM sluice.deletions ORDER BY requested_at"
    )
    return [(contacts, done, finished) for contacts, done, finished in rows_]


async def test_a_deleted_contact_is_gone_from_every_view_at_once(pool: Pool) -> None:
    await ingest(pool, message(ANA, name="Ana"), message(BOB, name="Bob"))
    ana = await contact_of(pool, ANA)

    assert await delete(pool, ana) == {"contacts": 1, "runs_halted": 0, "holds_cancelled": 0}

    assert await rows(pool, OVERVIEW) == [(BOB,)]
    for view in ("contact_list", "contact_channels", "conversation_messages", "inbox"):
        assert await rows(pool, f"SELECT 1 FROM sluice.{view} WHERE contact_id = $1", ana) == []  # noqa: S608
    assert await progress(pool) == [(1, 0, False)]
    await erase(pool)
    assert await progress(pool) == [(1, 1, True)]


async def test_nothing_of_a_person_stays(pool: Pool) -> None:
    """Address in every spelling, names and texts: in every column that can hold a text."""
    await ingest(
        pool,
        message(ANA, text="secret plan", name="Ana Lovelace", language="qq", avatar_url="https://faces/ana.png"),
        message("ana@lovelace.example", channel="email", text="also by mail", name="Ana L."),
        message(BOB, text="from bob", name="Bob"),
    )
    ana = await contact_of(pool, ANA)
    [(mail,)] = await rows(pool, "SELECT contact_id FROM sluice.contact_overview WHERE email IS NOT NULL")
    await give(
        pool,
        ask("define_field", scope="contact", name="vip", type="text"),
        ask("update_contact", contact_id=ana, set={"last_name": "Byron", "custom.vip": "gold card", "phone": ANA}),
        ask("add_tag", contact_id=ana, tag="friend of bob"),
        ask("comment", contact_id=ana, text="she sings"),
        ask("attach_contact", contact_id=ana, profile_name="Byron family"),
        ask("block_contact", minutes=5, contact_id=ana, note="was rude"),
    )
    await ingest(pool, message(ANA, minutes=6, text="dropped words"))
    await give(pool, ask("unblock_contact", minutes=7, contact_id=ana))
    await send(pool, request(text="x", minutes=10, content={"type": "text", "text": "our answer"}))
    [(profile,)] = await rows(pool, "SELECT profile_id FROM sluice.profile_overview")
    words = (
        *(
            "secret plan",
            "Lovelace",
            "Ana L.",
            ANA,
            ANA[1:],
            "ana.png",
            "also by mail",
            "Byron",
            "gold card",
            "she sings",
        ),
        *("was rude", "dropped words", "our answer", "qq"),
    )
    assert {word.rsplit(": ")[1] for word in await traces(pool, *words)} == set(words)

    await give(pool, ask("delete_profile", minutes=50, profile_id=profile))
    assert await delete(pool, ana, mail) == {"contacts": 2, "runs_halted": 0, "holds_cancelled": 0}
    await erase(pool)

    assert await progress(pool) == [(2, 2, True)]
    assert await traces(pool, *words) == []
    assert await traces(pool, "from bob", BOB) != []
    assert await rows(pool, COUNTS) == [(3,)]
    assert await rows(pool, "SELECT tag FROM sluice.tags") == [("friend of bob",)]


async def test_the_count_must_be_what_was_expected(pool: Pool) -> None:
    await ingest(pool, message(ANA), message(BOB))
    ana = await contact_of(pool, ANA)

    assert await delete(pool, ana, expected_count=2) == "count_differs"
    assert await delete(pool, ana, uuid_of("nobody")) == "count_differs"
    assert await delete(pool, all=True, expected_count=3) == "count_differs"
    assert await rows(pool, OVERVIEW) == [(ANA,), (BOB,)]
    assert await progress(pool) == []

    assert await delete(pool, ana, contact_ids=[ana, ana], expected_count=1) == {
        "contacts": 1,
        "runs_halted": 0,
        "holds_cancelled": 0,
    }
    assert await delete(pool, all=True, expected_count=1) == {"contacts": 1, "runs_halted": 0, "holds_cancelled": 0}
    assert await delete(pool, all=True, expected_count=0) == {}
    assert await delete(pool, contact_ids=[ana], expected_count=0) == {}
    assert await progress(pool) == [(1, 0, False), (1, 0, False)]


async def test_all_means_those_of_the_workspace_that_exist_when_it_is_applied(pool: Pool) -> None:
    await ingest(pool, message(ANA), message(BOB), message(ANA, workspace_id="other"))
    made = ask("create_contact", identity=by_phone("+4915100000001"))
    every = ask("delete_contacts", minutes=60, all=True, expected_count=3)

    assert said(await give(pool, made, every))[1]["contacts"] == 3
    assert await rows(pool, "SELECT workspace_id FROM sluice.contact_overview") == [("other",)]


async def test_two_commands_of_one_poll_do_not_delete_a_contact_twice(pool: Pool) -> None:
    await ingest(pool, message(ANA))
    ana = await contact_of(pool, ANA)
    first, second = (ask("delete_contacts", contact_ids=[ana], expected_count=1) for _ in range(2))
    answers = await results(pool, first, second)
    assert (answers[0]["contacts"], answers[1]) == (1, "count_differs")
    assert await results(pool, first) == answers[:1]


async def test_commands_about_a_deleted_contact_are_refused(pool: Pool) -> None:
    await ingest(pool, message(ANA))
    ana = await contact_of(pool, ANA)
    await delete(pool, ana)
    asked = (
        ask("block_contact", contact_id=ana),
        ask("update_contact", contact_id=ana, set={"first_name": "Eve"}),
        ask("add_tag", contact_id=ana, tag="x"),
        ask("comment", contact_id=ana, text="x"),
        ask("attach_contact", contact_id=ana, profile_name="x"),
        ask("open_conversation", contact_id=ana),
        ask("update_contact", contact_id=uuid_of("nobody"), set={"first_name": "Eve"}),
    )
    assert await results(pool, *asked) == ["contact_deleted"] * 6 + ["not_found"]
    assert await rows(pool, "SELECT 1 FROM sluice.tags") == []


async def test_runs_are_halted_and_holds_cancelled(pool: Pool, *, by_rule: bool) -> None:
    await ingest(pool, message(ANA))
    ana = await contact_of(pool, ANA)
    await give(
        pool,
        ask("define_status", name="vip", protected=True),
        ask("create_profile", profile_id="p-1", name="Ana"),
        ask("set_profile_status", profile_id="p-1", status="vip"),
        ask("attach_contact", contact_id=ana, profile_id="p-1"),
    )
    await start_run(pool, "r-1")
    await send(pool, request(run_id="r-1", step_id="s-1", source="workflow"))
    assert await rows(pool, "SELECT status FROM sluice.sends") == [("held",)]

    outputs = await give(pool, ask("delete_contacts", minutes=60, contact_ids=[ana], expected_count=1))

    assert said(outputs) == [{"contacts": 1, "runs_halted": 1, "holds_cancelled": 1}]
    assert await rows(pool, "SELECT 1 FROM sluice.held_sends") == []
    facts = [output.event for output in outputs] + (await erase(pool, 1) if by_rule else [])
    assert await rows(pool, "SELECT status, reason FROM sluice.sends") == [("cancelled", "contact_deleted")]
    assert await rows(pool, "SELECT state, reason FROM sluice.workflow_runs") == [("halted", "contact_deleted")]
    controls = [msgspec.json.decode(fact.value or b"") for fact in facts if fact.topic == "workflows.control"]
    assert [(c["control"], c["reason"]) for c in controls] == [
        ("step_resolved", "contact_deleted"),
        ("run_halted", "contact_deleted"),
    ]
    assert await rows(pool, "SELECT contacts FROM sluice_core.profiles") == [(0,)]


async def test_no_claim_is_granted_for_a_deleted_contact(pool: Pool) -> None:
    await ingest(pool, message(ANA))
    await send(pool, request("s1"), request("s2", to=BOB, channel="sms"))
    assert await rows(pool, "SELECT status FROM sluice.sends") == [("dispatched",)] * 2

    await delete(pool, await contact_of(pool, ANA))

    claim = "SELECT granted, reason FROM sluice.claim_send($1, $2, 1)"
    assert await rows(pool, claim, WORKSPACE, uuid_of("s1")) == [(False, "contact_deleted")]
    await erase(pool)
    assert await rows(pool, claim, WORKSPACE, uuid_of("s1")) == [(False, "contact_deleted")]
    assert await rows(pool, claim, WORKSPACE, uuid_of("s2")) == [(True, None)]


async def test_a_receipt_after_the_deletion_brings_no_address_back(pool: Pool) -> None:
    await ingest(pool, message(ANA))
    await send(pool, request("s1"))
    await delete(pool, await contact_of(pool, ANA))
    await send(pool, receipt("sent"), receipt("delivered", minutes=21))
    await erase(pool)
    await send(pool, receipt("read", minutes=22))
    assert await traces(pool, ANA, ANA[1:], "text of s1") == []
    assert await rows(pool, "SELECT status FROM sluice.sends") == [("read",)]


@pytest.mark.parametrize("known", [True, False])
async def test_an_id_of_the_provider_that_may_hold_the_number_goes(pool: Pool, *, known: bool) -> None:
    await ingest(pool, message(ANA))
    await send(pool, request("s1"))
    if known:
        await send(pool, receipt("sent", provider_message_id="wamid.NDkxNTExMjM0NTY3OA=="))
    await delete(pool, await contact_of(pool, ANA))
    await erase(pool)
    if not known:
        await send(pool, receipt("sent", provider_message_id="wamid.NDkxNTExMjM0NTY3OA=="))
    assert await traces(pool, "NDkxNTExMjM0NTY3OA") == []

    # Receipts that have nothing but the id find the send all the same.
    await send(pool, receipt("read", name=None, minutes=22, provider_message_id="wamid.NDkxNTExMjM0NTY3OA=="))
    assert await rows(pool, "SELECT status FROM sluice.sends") == [("read",)]
    assert await traces(pool, "NDkxNTExMjM0NTY3OA") == []


async def test_a_later_message_makes_a_new_contact(pool: Pool) -> None:
    await ingest(pool, message(ANA, name="Ana"))
    ana = await contact_of(pool, ANA)
    await delete(pool, ana, minutes=60)
    await ingest(pool, message(ANA, minutes=61, text="again", name="Eve"))

    again = await contact_of(pool, ANA)
    assert again != ana
    await erase(pool)
    assert await rows(pool, "SELECT display_name FROM sluice.contact_overview") == [("Eve",)]
    assert await rows(pool, "SELECT content ->> 'text' FROM sluice.conversation_messages") == [("again",)]
    assert await rows(pool, COUNTS) == [(2,)]
    assert {contact for (contact,) in await rows(pool, "SELECT contact_id FROM sluice.mac_proofs")} == {ana, again}


async def test_later_messages_that_came_before_the_command_move_to_a_new_contact(pool: Pool, *, by_rule: bool) -> None:
    await ingest(
        pool,
        message(ANA, minutes=1, text="old", name="Ana"),
        message(ANA, minutes=60, text="at the moment", name="Eve"),
        message(ANA, minutes=70, text="later"),
    )
    ana = await contact_of(pool, ANA)
    await delete(pool, ana, minutes=60)
    if by_rule:
        await erase(pool, 1)

    shown = "SELECT contact_id, content ->> 'text' FROM sluice.conversation_messages ORDER BY event_time"
    again = await contact_of(pool, ANA)
    assert again != ana
    for _ in range(2):
        assert await rows(pool, shown) == [(again, "at the moment"), (again, "later")]
        await erase(pool)
    overview = "SELECT display_name, conversation_status FROM sluice.contact_overview"
    assert await rows(pool, overview) == [("Eve", "open")]
    channels = "SELECT connected_at, state FROM sluice.contact_channels WHERE contact_id = $1"
    assert await rows(pool, channels, again) == [(at(60), "active")]
    assert await rows(pool, COUNTS) == [(2,)]
    proofs = "SELECT contact_id, first_counted_at FROM sluice.mac_contacts ORDER BY first_counted_at"
    assert await rows(pool, proofs) == [(ana, at(1)), (again, at(60))]


async def test_a_count_moves_with_the_only_message_that_made_it(pool: Pool, *, by_rule: bool) -> None:
    await ingest(pool, message(ANA, minutes=70))
    ana = await contact_of(pool, ANA)
    await delete(pool, ana, minutes=60)
    if by_rule:
        await erase(pool, 1)
    again = await contact_of(pool, ANA)
    assert await rows(pool, COUNTS) == [(1,)]
    assert await rows(pool, "SELECT contact_id FROM sluice.mac_contacts") == [(again,)]


async def test_more_history_than_a_step_takes_goes_in_several(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    await ingest(pool, *(message(ANA, minutes=n, text=f"words {n}") for n in range(7)), message(BOB, text="words b"))
    ana = await contact_of(pool, ANA)
    await give(pool, *(ask("comment", contact_id=ana, text=f"words {n}") for n in range(5)))
    await send(pool, *(request(f"s{n}", content={"type": "text", "text": "words"}) for n in range(5)))
    at_most(monkeypatch, 2)
    await delete(pool, ana)

    left = "SELECT count(*) FROM sluice_core.messages WHERE body IS NOT NULL"
    seen = []
    for _ in range(20):
        await erase(pool, 1)
        seen.append((await rows(pool, left))[0][0])
    assert sorted(set(seen), reverse=True) == [8, 6, 4, 2, 1]
    assert await progress(pool) == [(1, 1, True)]
    assert await rows(pool, "SELECT body -> 'content' ->> 'text' FROM sluice_core.messages WHERE body IS NOT NULL") == [
        ("words b",)
    ]
    assert await traces(pool, "words 1") == []


async def test_later_messages_move_in_steps_as_well(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    await ingest(pool, *(message(ANA, minutes=n, text=f"words {n}") for n in range(50, 71)))
    at_most(monkeypatch, 4)
    await delete(pool, await contact_of(pool, ANA), minutes=60)
    await erase(pool)
    shown = "SELECT content ->> 'text' FROM sluice.conversation_messages ORDER BY event_time"
    assert await rows(pool, shown) == [(f"words {n}",) for n in range(60, 71)]


async def test_dead_letters_that_name_an_address_lose_their_content(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(naming_records, "LETTERS_AT_ONCE", 2)
    await ingest(pool, message(ANA), message("Ana@Lovelace.example", channel="email"))
    letters = {
        1: b'{"workspace_id": "acme", "sender": {"address": "+4915112345678"}, "kind": 7}',
        2: b'{"workspace_id": "acme", "sender": {"address": "0049 151 12345678"}, "kind": 7}',
        3: b'{"workspace_id": "acme", "sender": {"address": "\\u002b4915112345678"}',
        4: b'{"workspace_id": "other", "sender": {"address": "+4915112345678"}}',
        5: b'{"workspace_id": "acme", "sender": {"address": "+4915187654321"}}',
        6: b'{"workspace_id": "acme", "to": {"address": "ANA@lovelace.example"}}',
        7: b'{"workspace_id": "acme", "sender": {"address": "+4915112345678", "name": "\\u0000"}, "x": "\\ud800"}',
        8: b'{"workspace_id": "acme", "sender": {"address": "+49151\\u000012345678", "name": "\0\xff"}}',
    }
    add = """INSERT INTO dead_letters (source_topic, source_partition, source_offset, error, key, value)
        VALUES ('messages.inbound', 0, $1, 'bad', 'acme:x', $2)"""
    for number, value in letters.items():
        if number == 4:
            await pool.execute(add.replace("acme:x", "other:x"), number, value)
        else:
            await pool.execute(add, number, value)
    people = [contact for (contact,) in await rows(pool, "SELECT contact_id FROM sluice.contact_overview")]
    await delete(pool, *people)
    await erase(pool)
    kept = "SELECT source_offset FROM dead_letters WHERE value IS NOT NULL AND erased_at IS NULL ORDER BY 1"
    assert await rows(pool, kept) == [(4,), (5,), (8,)]
    assert len(await rows(pool, "SELECT 1 FROM dead_letters WHERE erased_at IS NOT NULL AND key IS NULL")) == 5


@pytest.mark.parametrize("queue", ["outbox", "batch_outbox"])
async def test_a_deletion_is_not_finished_before_queued_events_are_published(pool: Pool, queue: str) -> None:
    await ingest(pool, message(ANA))
    event = """INSERT INTO outbox (topic, key, value, ce_id, workspace_id, time)
        VALUES ('sends.status', 'k', 'v', gen_random_uuid(), 'acme', now())"""
    batch_of_events = """INSERT INTO batch_outbox (topic, partition, next_offset, events)
        VALUES ('messages.inbound', 0, 1, '\\x00')"""
    await pool.execute(event if queue == "outbox" else batch_of_events)
    await delete(pool, await contact_of(pool, ANA))
    for _ in range(2):
        await erase(pool)
        assert await progress(pool) == [(1, 1, False)]
    await pool.execute(f"DELETE FROM {queue}")  # noqa: S608
    # What is queued later does not matter.
    await pool.execute(event)
    await erase(pool)
    assert await progress(pool) == [(1, 1, True)]


async def test_parked_receipts_that_name_an_address_go(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    at_most(monkeypatch, 2)
    await ingest(pool, message(ANA))
    columns = 'workspace_id, topic, partition, "offset", channel_id, value, record_at, parked_at'
    add = f"INSERT INTO parked_receipts ({columns}) VALUES ($1, 'messages.receipts', 0, $2, 'wa', $3, now(), now())"  # noqa: S608
    for offset in range(7):
        told = ANA if offset in (0, 3, 6) else BOB
        await pool.execute(add, WORKSPACE, offset, f'{{"workspace_id": "acme", "to": "{told}"}}'.encode())
    await pool.execute(add, "other", 7, f'{{"workspace_id": "other", "to": "{ANA}"}}'.encode())
    await delete(pool, await contact_of(pool, ANA))
    await erase(pool)
    kept = await rows(pool, 'SELECT "offset" FROM parked_receipts ORDER BY 1')
    assert kept == [(1,), (2,), (4,), (5,), (7,)]
    assert await progress(pool) == [(1, 1, True)]


async def test_deleted_contacts_are_counted_again_with_the_others(pool: Pool) -> None:
    await ingest(pool, message(ANA), message(BOB))
    await delete(pool, await contact_of(pool, ANA))
    await erase(pool)
    assert await rows(pool, COUNTS) == [(2,)]
    await give(pool, ask("configure_workspace", minutes=80, set={"anchor_day": 5}))
    assert [count for (count,) in await rows(pool, COUNTS) if count] == [2]
    assert await rows(pool, "SELECT count(*) FROM sluice.mac_proofs WHERE counted") == [(2,)]


async def test_a_kill_in_any_step_costs_that_step(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    await ingest(pool, *(message(a, minutes=n, text=f"words {n}") for a in (ANA, BOB) for n in (1, 2, 3, 61, 62, 63)))
    people = [contact for (contact,) in await rows(pool, "SELECT contact_id FROM sluice.contact_overview")]
    await give(pool, *(ask("comment", contact_id=p, text=f"words {n}") for p in people for n in range(3)))
    at_most(monkeypatch, 2)
    await delete(pool, *people, minutes=60)

    left, killed = True, 0
    while left:
        for commits in (False, True):
            async with pool.acquire() as tx:
                step = tx.transaction()
                await step.start()
                left = isinstance(await erasing.erase(tx, await transaction_time(tx)), Unfinished)
                await (step.commit() if commits else step.rollback())
        killed += 1
    assert killed > 8
    assert await progress(pool) == [(2, 2, True)]
    shown = "SELECT content ->> 'text' FROM sluice.conversation_messages ORDER BY 1"
    assert await rows(pool, shown) == [(f"words {n}",) for n in (61, 61, 62, 62, 63, 63)]
    assert await traces(pool, "words 0", "words 1", "words 2", "words 3") == []


async def test_many_are_deleted_at_once_and_cut_off_in_steps(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deleting, "AT_ONCE", 2)
    monkeypatch.setattr(erasing, "CUT_AT_ONCE", 2)
    addresses = [f"+49151123456{n:02}" for n in range(7)]
    await ingest(pool, *(message(a, minutes=1, text=f"words of {a}", name=f"Name {a}") for a in addresses))
    await send(pool, *(request(f"s{n}", to=a, minutes=2) for n, a in enumerate(addresses)))
    assert await delete(pool, all=True, expected_count=6) == "count_differs"
    assert (await delete(pool, all=True, expected_count=7))["contacts"] == 7

    views = ("contact_list", "contact_channels", "conversation_messages", "inbox", "held_sends", "contact_overview")
    for view in views:
        assert await rows(pool, f"SELECT 1 FROM sluice.{view}") == []  # noqa: S608
    claim = "SELECT granted, reason FROM sluice.claim_send('acme', $1, 1)"
    assert await rows(pool, claim, uuid_of("s3")) == [(False, "contact_deleted")]
    assert len(await rows(pool, "SELECT 1 FROM sluice.sends")) == 7
    assert await delete(pool, all=True, expected_count=0) == {}

    await erase(pool, 1)
    assert len(await rows(pool, "SELECT 1 FROM sluice_core.contacts")) == 5
    # Some are cut off, some are not: each writes again, late and in time.
    late = (message(a, minutes=30, text="too late") for a in addresses)
    again = (message(a, minutes=90, text="again", name="New") for a in addresses)
    await ingest(pool, *late, *again)
    await send(pool, *(request(f"t{n}", to=a, minutes=91) for n, a in enumerate(addresses)))
    for _ in range(2):
        assert await rows(pool, "SELECT DISTINCT display_name FROM sluice.contact_list") == [("New",)]
        shown = "SELECT content ->> 'text', kind FROM sluice.conversation_messages WHERE kind = 'message'"
        assert await rows(pool, shown) == [("again", "message")] * 7
        assert len(await rows(pool, "SELECT 1 FROM sluice.drop_ledger WHERE reason = 'contact_deleted'")) == 7
        assert await rows(pool, COUNTS) == [(14,)]
        await erase(pool)
    assert await progress(pool) == [(7, 7, True)]
    assert await traces(pool, "words of", "Name +49", "too late") == []
    assert len(await rows(pool, "SELECT 1 FROM sluice_core.contacts")) == 7


async def test_no_step_is_granted_to_a_run_of_a_deleted_contact(pool: Pool) -> None:
    await ingest(pool, message(ANA))
    await start_run(pool, "r-1")
    await delete(pool, await contact_of(pool, ANA))
    fields = {"workspace_id": WORKSPACE, "at": at(61), "event": "step_requested", "run_id": "r-1", "step_id": "s-1"}
    step = record("workflows.events", fields | {"action": "add_tag"}, timestamp=at(61))
    async with pool.acquire() as tx, tx.transaction():
        outputs = await workflows.apply(tx, batch(step))
    facts = [msgspec.json.decode(o.event.value or b"") for o in outputs]
    assert {(f["control"], f["reason"]) for f in facts} == {("run_halted", "contact_deleted")}
    assert await erase(pool) == []
    assert await rows(pool, "SELECT state, reason FROM sluice.workflow_runs") == [("halted", "contact_deleted")]
