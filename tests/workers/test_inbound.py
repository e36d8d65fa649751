"""The inbound worker on a real database: records in, views and events out."""

from contextlib import suppress
from typing import Any

import pytest
from asyncpg import Pool
from msgspec.structs import replace
from structlog.testing import capture_logs

from schemas.ids import content_digest, message_id
from schemas.limits import MAX_KEY_BYTES
from tests.workers.ingesting import ACTIVE, DROPPED, SHOWN, STATUS, blocks, ingest, rows, values
from tests.workers.records import DAY, WORKSPACE, at, batch, message, uuid_of
from tests.workers.stepping import at_most, steps
from workers.billing import cycles
from workers.messages import releasing, worker
from workers.records import Record
from workers.rules.cycles import Setting
from workers.services.job_runner import Unfinished
from workers.store import contacts, messages, workspaces


async def test_a_key_that_no_output_topic_takes_is_not_handed_on(pool: Pool) -> None:
    long, longer = (replace(message(minutes=n), key=b"k" * (MAX_KEY_BYTES + n)) for n in (0, 1))
    keys = [output.event.key for output in await ingest(pool, long, longer, replace(message(minutes=2), key=None))]
    usual = f"{WORKSPACE}:whatsapp:+4915112345678".encode()
    assert keys == [long.key, usual, usual]


async def test_an_address_that_cannot_be_understood_is_kept_and_warned_of_once(pool: Pool) -> None:
    with capture_logs() as logs:
        for minutes in (0, 1):
            await ingest(pool, message("+49 1", minutes=minutes), message("+49 2", minutes=minutes), message())
    [warning] = [log for log in logs if log["action"] == "address_not_understood"]
    assert (warning["log_level"], warning["channel_id"], warning["count"]) == ("warning", "whatsapp-main", 2)
    assert "+49" not in str(warning)
    assert all(word in warning["event"] for word in ("`default_region`", "`configure_channel`"))
    assert await rows(pool, "SELECT address FROM contact_channels ORDER BY address") == [
        ("+49 1",),
        ("+49 2",),
        ("+4915112345678",),
    ]


async def test_what_to_do_about_an_address_is_said_for_its_kind_of_channel(pool: Pool) -> None:
    with capture_logs() as logs:
        await ingest(pool, message("Ana <ana@example.com>", channel="email"), message("555-1234", channel="sms"))
    told = {log["channel_id"]: log["event"] for log in logs if log["action"] == "address_not_understood"}
    assert "each e-mail address alone" in told["email-main"]
    assert "`default_region`" not in told["email-main"]
    assert "`default_region`" in told["sms-main"]
    assert "mail" not in told["sms-main"]


async def test_a_message_makes_its_contact_opens_the_conversation_and_counts(pool: Pool) -> None:
    [output] = await ingest(pool, message("+49 151 12345678", name="Ana Souza", text="hi"))

    [value] = values([output], "messages.accepted")
    assert output.event.key == b"key"  # as the message came
    assert (value["direction"], value["content"]["text"], value["profile_id"]) == ("in", "hi", None)
    overview = "SELECT display_name, first_name, phone, country, conversation_status, blocked FROM contact_overview"
    assert await rows(pool, overview) == [("Ana Souza", "Ana Souza", "+4915112345678", "DE", "open", False)]
    assert await rows(pool, SHOWN) == [("hi",)]
    assert await rows(pool, ACTIVE) == [(1,)]
    expected = message_id(WORKSPACE, "whatsapp-main", "in", "+49 151 12345678-0-message")
    assert await rows(pool, "SELECT first_message_id, first_counted_at FROM mac_contacts") == [(expected, DAY)]


async def test_a_repeat_changes_nothing_and_other_content_is_a_conflict(pool: Pool) -> None:
    first = message(provider_message_id="a", text="one")
    await ingest(pool, first, message(provider_message_id="a", text="one"))
    again = await ingest(pool, message(provider_message_id="a", text="two"), message(provider_message_id="a"))

    assert again == []
    assert await rows(pool, SHOWN) == [("one",)]
    assert await rows(pool, "SELECT times FROM message_conflicts") == [(2,)]


async def test_the_same_words_under_one_id_from_somebody_else_are_a_conflict(pool: Pool) -> None:
    """Ids that a provider numbers per chat: an operator must be able to find them."""
    first = message("111", provider_message_id="5", text="/start", channel="telegram")
    second = message("222", provider_message_id="5", text="/start", channel="telegram", minutes=1)
    await ingest(pool, first, second, message("+4915112345678", provider_message_id="5"))
    await ingest(pool, second, first)
    await ingest(pool, message("222", provider_message_id="5", text="hi", channel="telegram"))

    assert await rows(pool, SHOWN) == [("hello",), ("/start",)]
    assert await rows(pool, "SELECT times FROM message_conflicts") == [(3,)]
    assert await rows(pool, "SELECT count(*) FROM contact_overview") == [(2,)]


@pytest.mark.parametrize("kind", ["message", "reaction", "echo"])
async def test_another_spelling_of_one_address_is_a_repeat(pool: Pool, kind: str) -> None:
    for spelling in ("+4915112345678", "4915112345678", "whatsapp:+49 151 12345678", "0049 151 12345678"):
        await ingest(pool, message(spelling, provider_message_id="a", kind=kind))
    for spelling in ("+5215541637145", "+525541637145"):
        await ingest(pool, message(spelling, provider_message_id="b", kind=kind))

    assert await rows(pool, "SELECT count(*) FROM messages") == [(2,)]
    assert await rows(pool, "SELECT times FROM message_conflicts") == []


async def test_an_echo_and_a_message_with_one_id_are_two_messages(pool: Pool) -> None:
    await ingest(
        pool, message(provider_message_id="a"), message("+4915100000000", provider_message_id="a", kind="echo")
    )

    assert await rows(pool, "SELECT count(*) FROM conversation_messages") == [(2,)]
    assert await rows(pool, "SELECT times FROM message_conflicts") == []


async def test_a_message_stored_before_its_sender_was_part_of_the_digest_is_repeated_without_a_conflict(
    pool: Pool,
) -> None:
    told = message(provider_message_id="a", text="one")
    await ingest(pool, told)
    await rows(pool, "UPDATE messages SET content_digest = $1", content_digest("message", told.value.content))
    await ingest(pool, told)
    assert await rows(pool, "SELECT times FROM message_conflicts") == []
    await ingest(pool, message(provider_message_id="a", text="two"))
    assert await rows(pool, "SELECT times FROM message_conflicts") == [(1,)]


async def test_a_message_is_dropped_inside_the_interval_only_half_open(pool: Pool) -> None:
    await ingest(pool, message(minutes=0, text="before"))
    await blocks(pool, (10, 20))
    outputs = await ingest(
        pool,
        message(minutes=10, text="at the begin"),
        message(minutes=19.9, text="inside"),
        message(minutes=20, text="at the end"),
        message(minutes=5, text="sent before, learned later"),
    )

    assert [o.event.topic for o in outputs] == ["messages.dropped"] * 2 + ["messages.accepted"] * 2
    assert await rows(pool, SHOWN) == [("before",), ("sent before, learned later",), ("at the end",)]
    assert await rows(pool, DROPPED) == [("contact_blocked", "next_cycle", True)] * 2
    assert all("content" not in v for v in values(outputs, "messages.dropped"))


async def test_a_late_block_revises_and_a_late_unblock_takes_it_back(pool: Pool) -> None:
    await ingest(pool, message(minutes=1), message(minutes=11, text="spam"), message(minutes=12, text="more"))
    late = values(await blocks(pool, (10, None)), "messages.revised")

    assert [(v["from"], v["to"], v["reason"], v["revision"]) for v in late] == [
        ("accepted", "dropped", "late_block", 2)
    ] * 2
    assert all("content" not in v for v in late)
    assert await rows(pool, SHOWN) == [("hello",)]
    assert await rows(pool, STATUS) == [("blocked",)]

    back = values(await blocks(pool, (10, 12), command="unblock"), "messages.revised")

    assert [(v["to"], v["reason"], v["revision"], v["content"]["text"]) for v in back] == [
        ("accepted", "late_unblock", 3, "more")
    ]
    assert await rows(pool, SHOWN) == [("hello",), ("more",)]
    assert await rows(pool, STATUS) == [("open",)]


async def test_the_conversation_stays_closed_after_an_unblock_until_the_next_message(pool: Pool) -> None:
    await ingest(pool, message(minutes=1))
    await blocks(pool, (10, 20))
    assert await rows(pool, STATUS) == [("closed",)]

    await ingest(pool, message(minutes=9))
    assert await rows(pool, STATUS) == [("closed",)]

    await ingest(pool, message(minutes=21, kind="reaction"))
    assert await rows(pool, STATUS) == [("closed",)]

    await ingest(pool, message(minutes=22))
    assert await rows(pool, STATUS) == [("open",)]


async def test_a_dropped_message_of_a_later_cycle_never_counts(pool: Pool) -> None:
    month = 31 * 24 * 60
    await ingest(pool, message(minutes=0))
    await blocks(pool, (10, None))
    await ingest(pool, message(minutes=month))

    assert await rows(pool, DROPPED) == [("contact_blocked", "next_cycle", False)]
    assert await rows(pool, ACTIVE) == [(1,)]


async def test_every_cycle_since_the_first_message_has_a_row_also_with_nobody_active(pool: Pool) -> None:
    month = 31 * 24 * 60
    await ingest(pool, message(minutes=0))
    async with pool.acquire() as tx, tx.transaction():
        assert isinstance(await cycles.add_cycles(tx, at(2 * month)), Unfinished)
        assert await cycles.add_cycles(tx, at(2 * month)) == []

    assert await rows(pool, ACTIVE) == [(1,), (0,), (0,)]


async def test_a_late_block_takes_the_contact_out_of_later_cycles(pool: Pool) -> None:
    month = 31 * 24 * 60
    await ingest(pool, message(minutes=0), message(minutes=month))
    assert await rows(pool, ACTIVE) == [(1,), (1,)]

    await blocks(pool, (10, None))

    assert await rows(pool, ACTIVE) == [(1,), (0,)]
    assert await rows(pool, "SELECT count(*) FROM mac_contacts") == [(1,)]


async def test_who_was_taken_out_of_a_cycle_is_counted_again_by_the_next_message(pool: Pool) -> None:
    month = 31 * 24 * 60
    await ingest(pool, message(minutes=0), message(minutes=month))
    await blocks(pool, (10, month + 10))
    assert await rows(pool, ACTIVE) == [(1,), (0,)]

    await ingest(pool, message(minutes=month + 20))
    assert await rows(pool, ACTIVE) == [(1,), (1,)]


async def test_a_straggler_is_the_earlier_proof_and_what_follows_asks_nobody(pool: Pool) -> None:
    month = 31 * 24 * 60
    remembered = "SELECT counted_at FROM contacts"
    proofs = "SELECT first_counted_at FROM mac_contacts ORDER BY cycle_start"
    await ingest(pool, message(minutes=month + 5))
    assert await rows(pool, remembered) == [(at(month + 5),)]
    await ingest(pool, message(minutes=month + 3))
    assert await rows(pool, remembered) == [(at(month + 3),)]
    await ingest(pool, message(minutes=7), message(minutes=month + 9))
    assert await rows(pool, remembered) == [(at(month + 3),)]
    assert await rows(pool, proofs) == [(at(7),), (at(month + 3),)]

    seen: list[str] = []
    async with pool.acquire() as tx:
        with tx.query_logger(lambda query: seen.append(query.query)):
            await worker.apply(tx, batch(message(minutes=month + 11)))
    assert not [query for query in seen if "mac_" in query]


async def test_a_stranger_is_called_what_the_newest_message_says(pool: Pool) -> None:
    await ingest(pool, message(minutes=5, name="B"), message(minutes=9, name=None), message(minutes=3, name="A"))
    shown = "SELECT display_name, first_name FROM contact_overview"
    assert await rows(pool, shown) == [("B", "B")]
    assert await rows(pool, "SELECT connected_at FROM identities") == [(at(3),)]


async def test_an_address_is_its_contacts_whatever_number_the_contact_has_by_now(pool: Pool) -> None:
    await ingest(pool, message("4915112345678"))
    await rows(pool, "UPDATE contacts SET phone = '+33612345678'")
    await ingest(pool, message("4915112345678", minutes=1), message("+49 151 12345678", minutes=2))
    assert await rows(pool, "SELECT address FROM identities") == [("+4915112345678",)]
    assert await rows(pool, "SELECT count(*) FROM messages") == [(3,)]


async def test_numbers_that_cannot_be_are_told_apart_as_they_came(pool: Pool) -> None:
    for n in range(2):
        await ingest(pool, message("7234567890123", minutes=n), message("+7234567890123", minutes=n))
    assert await rows(pool, "SELECT address FROM identities ORDER BY 1") == [("+7234567890123",), ("7234567890123",)]
    counted = "SELECT count(*) FROM messages GROUP BY identity_id"
    assert await rows(pool, counted) == [(2,), (2,)]


async def test_settings_are_read_once_and_again_when_they_change(pool: Pool) -> None:
    async def statements(*records: Record[Any]) -> list[str]:
        seen: list[str] = []
        async with pool.acquire() as tx, tx.transaction():
            with tx.query_logger(lambda query: seen.append(query.query)):
                await worker.apply(tx, batch(*records))
        return [query for query in seen if "settings_log" in query]

    await ingest(pool, message())
    assert len(await statements(message(minutes=1))) == 1
    assert await statements(message(minutes=2)) == []
    async with pool.acquire() as tx, tx.transaction():
        setting = Setting(DAY, uuid_of("set"), "", "count_reactions", value=False)
        await workspaces.lock(tx, [WORKSPACE])
        await workspaces.add_settings(tx, [(WORKSPACE, setting)])
    assert len(await statements(message(minutes=3))) == 1
    with suppress(ZeroDivisionError):  # what is rolled back was never so
        async with pool.acquire() as tx, tx.transaction():
            await worker.apply(tx, batch(message(minutes=4, channel_id="other")))
            await worker.apply(tx, batch(message(minutes=5, channel_id="other")))
            _ = 1 / 0
    await ingest(pool, message(minutes=6, channel_id="other"))
    assert await rows(pool, "SELECT channel_id FROM channels ORDER BY 1") == [("other",), ("whatsapp-main",)]


async def test_an_echo_is_stored_as_outbound_and_bypasses_a_block(pool: Pool) -> None:
    await ingest(pool, message(minutes=0))
    await blocks(pool, (10, None))
    await ingest(pool, message(minutes=11, kind="echo", text="from staff"))

    query = "SELECT direction, bypassed_block, content ->> 'text' FROM conversation_messages ORDER BY event_time"
    assert await rows(pool, query) == [("in", False, "hello"), ("out", True, "from staff")]
    assert await rows(pool, "SELECT counted FROM messages WHERE kind = 'echo'") == [(False,)]


async def test_stop_counts_even_when_the_message_is_dropped_and_the_later_word_wins(pool: Pool) -> None:
    opted = "SELECT opted_out FROM identities"
    await ingest(pool, message(minutes=0))
    await blocks(pool, (10, None))
    await ingest(pool, message(minutes=12, text=" Stop! "))
    assert await rows(pool, opted) == [(True,)]

    await ingest(pool, message(minutes=11, text="START"))
    assert await rows(pool, opted) == [(True,)]

    await ingest(pool, message(minutes=13, text="unstop"))
    assert await rows(pool, opted) == [(False,)]


async def test_a_name_is_what_the_newest_message_says_whatever_comes_last(pool: Pool) -> None:
    name = "SELECT display_name FROM contact_overview"
    await ingest(pool, message(minutes=1, name="A"))
    await ingest(pool, message(minutes=5, name="B"))
    await ingest(pool, message(minutes=3, name="C"))
    assert await rows(pool, name) == [("B",)]


async def test_a_released_message_stays_accepted_and_is_marked(pool: Pool) -> None:
    await ingest(pool, message(minutes=0))
    await blocks(pool, (10, 20))
    await ingest(pool, message(minutes=12, text="mistake"), message(minutes=14, text="other"))
    async with pool.acquire() as tx, tx.transaction():
        key = tuple((await tx.fetch("SELECT workspace_id, contact_id FROM contacts"))[0])
        contact = (await contacts.lock_for_update(tx, [key]))[key]
        asked = releasing.Release(uuid_of("release"), contact, message(), from_=at(10), to=at(13))
        counts, outputs = await releasing.release_dropped(tx, [asked], DAY)

    assert counts == {uuid_of("release"): 1}
    assert [(v["reason"], v["content"]["text"]) for v in values(outputs, "messages.revised")] == [
        ("released", "mistake")
    ]
    assert await rows(pool, SHOWN) == [("hello",), ("mistake",)]
    await blocks(pool, (9, 20), command="earlier")
    assert await rows(pool, SHOWN) == [("hello",), ("mistake",)]


async def test_a_large_revision_is_worked_off_in_steps(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    at_most(monkeypatch, 3)
    await ingest(pool, *(message(minutes=11 + n) for n in range(8)))
    await blocks(pool, (10, None))
    assert await rows(pool, "SELECT count(*) FROM drop_ledger") == [(3,)]
    assert await rows(pool, "SELECT kind, done, total FROM sluice.pending_work") == [("revise messages", 3, 8)]
    facts = await steps(pool, 1)
    assert await rows(pool, "SELECT done, total FROM sluice.pending_work") == [(6, 8)]
    facts += await steps(pool, 2)

    assert await rows(pool, "SELECT count(*) FROM drop_ledger") == [(8,)]
    assert await rows(pool, "SELECT count(*) FROM sluice.pending_work") == [(0,)]
    assert [fact.topic for fact in facts] == ["messages.revised"] * 5


async def test_quarantined_content_is_erased_and_then_stays_dropped(pool: Pool) -> None:
    await ingest(pool, message(minutes=0))
    await blocks(pool, (10, None))
    await ingest(pool, message(minutes=12))
    async with pool.acquire() as tx, tx.transaction():
        assert await messages.erase(tx, at(12 + 7 * 24 * 60), 100) == 1
    outputs = await blocks(pool, (10, 11), command="late unblock")

    assert outputs == []
    assert await rows(pool, DROPPED) == [("contact_blocked", "next_cycle", True)]
