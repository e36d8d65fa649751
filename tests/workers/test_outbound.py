"""Requests: refused, held or dispatched, once."""

import asyncio
from uuid import uuid4

import pytest
from asyncpg import Pool

from tests.workers.records import at, batch, uuid_of
from tests.workers.sending import (
    PHONE,
    block,
    configure,
    join_company,
    protect,
    request,
    rows,
    run,
    send,
    standing,
    statuses,
    values,
    wrote,
)
from workers.sends import worker


async def test_a_request_to_a_contact_that_wrote_is_dispatched(pool: Pool) -> None:
    contact_id = await wrote(pool)

    outputs = await send(pool, request(to=contact_id))

    [dispatch] = values(outputs, "sends.dispatch")
    assert (dispatch["contact_id"], dispatch["address"], dispatch["attempt"]) == (str(contact_id), PHONE, 1)
    assert dispatch["content"]["text"] == "text of s1"
    [status] = values(outputs, "sends.status")
    assert (status["status"], status["attempt"], status["revision"]) == ("dispatched", 1, 1)
    assert {o.event.topic: o.event.key for o in outputs} == {
        "sends.dispatch": b"acme:whatsapp-main",
        "sends.status": f"acme:{uuid_of('s1')}".encode(),
    }


async def test_a_request_that_comes_again_changes_nothing(pool: Pool) -> None:
    await send(pool, request(), request(content={"type": "text", "text": "other"}))
    assert await send(pool, request(content={"type": "text", "text": "third"})) == []
    assert await rows(pool, "SELECT count(*), min(content ->> 'text') FROM sends") == [(1, "text of s1")]


async def test_an_unknown_number_makes_a_closed_contact_and_an_inactive_channel(pool: Pool) -> None:
    await send(pool, request(to="0151 2345678"), now=at(10))
    assert await standing(pool) == ("refused", "bad_address", 0)
    assert await rows(pool, "SELECT contact_id FROM contacts") == []

    await send(pool, request("s2", to="+49 151 12345678"))

    assert await standing(pool, "s2") == ("dispatched", None, 1)
    found = "SELECT conversation_status, phone FROM contact_overview"
    assert await rows(pool, found) == [("closed", PHONE)]
    assert await rows(pool, "SELECT state, address, connected_at FROM contact_channels") == [("inactive", PHONE, None)]


async def test_who_must_write_first_is_refused_until_it_did(pool: Pool) -> None:
    await send(pool, request(channel="messenger", to="psid-1"))
    assert await standing(pool) == ("refused", "contact_must_initiate", 0)

    contact_id = await wrote(pool, "psid-1", channel="messenger")
    await send(pool, request("s2", channel="messenger", to="psid-1"), request("s3", channel="telegram", to=contact_id))
    assert await standing(pool, "s2") == ("dispatched", None, 1)
    assert await standing(pool, "s3") == ("refused", "contact_must_initiate", 0)


async def test_an_unknown_contact_is_refused(pool: Pool) -> None:
    await send(pool, request(to=uuid4()))
    assert await standing(pool) == ("refused", "unknown_contact", 0)


async def test_blocked_now_or_when_it_was_asked_for(pool: Pool) -> None:
    contact_id = await wrote(pool)
    await block(pool, contact_id, 5, 15)

    outputs = await send(pool, request("s1", minutes=10), request("s2", minutes=15), request("s3", minutes=4))

    assert statuses(outputs) == [("refused", "contact_blocked"), ("dispatched", None), ("dispatched", None)]


async def test_a_clock_that_runs_ahead_does_not_evade_a_block(pool: Pool) -> None:
    contact_id = await wrote(pool)
    await block(pool, contact_id, 5, 15)
    await send(pool, request(minutes=20, late=-10))
    assert await standing(pool) == ("refused", "contact_blocked", 0)


async def test_the_owner_of_a_number_on_file_is_asked_as_well(pool: Pool) -> None:
    owner, other = await wrote(pool, PHONE), await wrote(pool, "+4915100000000")
    await rows(pool, "UPDATE contacts SET phone = $1 WHERE contact_id = $2 RETURNING 1", PHONE, other)
    await rows(pool, "DELETE FROM identities WHERE contact_id = $1 RETURNING 1", other)
    await block(pool, owner, 5)
    await send(pool, request(to=other))
    assert await standing(pool) == ("refused", "contact_blocked", 0)
    assert await rows(pool, "SELECT contact_id FROM identities") == [(owner,)]


async def test_an_opted_out_address_and_a_halted_run_are_refused(pool: Pool) -> None:
    await wrote(pool, text="STOP")
    await run(pool, "r1", state="halted")
    await send(pool, request(), request("s2", to="+4915100000000", run_id="r1", step_id="a"))
    assert await standing(pool) == ("refused", "opted_out", 0)
    assert await standing(pool, "s2") == ("refused", "run_halted", 0)


async def test_a_protected_profile_holds_with_every_reason(pool: Pool) -> None:
    contact_id = await wrote(pool)
    await protect(pool, contact_id)
    await join_company(pool, contact_id, "bolt")

    outputs = await send(pool, request(group_id="g"), now=at(10))

    [status] = values(outputs, "sends.status")
    assert (status["status"], status["reasons"]) == ("held", ["company_protected", "status_protected"])
    assert values(outputs, "sends.dispatch") == []
    query = (
        "SELECT group_id, contact_id, profile_id, channel, content ->> 'text', reasons, releasable, requested_by,"
        " requested_at, held_at, expires_at FROM held_sends"
    )
    assert await rows(pool, query) == [
        (
            "g",
            contact_id,
            str(contact_id),
            "whatsapp",
            "text of s1",
            ["company_protected", "status_protected"],
            False,
            "ann",
            at(10),
            at(10),
            at(10 + 72 * 60),
        )
    ]


@pytest.mark.parametrize(
    "vandalism",
    [
        "DELETE FROM profiles RETURNING 1",
        "DELETE FROM profile_statuses RETURNING 1",
        "INSERT INTO profile_companies SELECT workspace_id, profile_id, 'gone', now() FROM profiles RETURNING 1",
    ],
)
async def test_what_cannot_be_read_holds(pool: Pool, vandalism: str) -> None:
    await protect(pool, await wrote(pool))
    await rows(pool, "UPDATE profile_statuses SET protected = false RETURNING 1")
    await rows(pool, vandalism)
    await send(pool, request())
    assert await rows(pool, "SELECT reasons FROM held_sends") == [(["protection_unknown"],)]


async def test_lifting_a_protection_shows_the_hold_as_releasable_and_releases_nothing(pool: Pool) -> None:
    await protect(pool, await wrote(pool))
    await send(pool, request())
    await rows(pool, "UPDATE profile_statuses SET protected = false RETURNING 1")
    assert await rows(pool, "SELECT status, releasable FROM held_sends JOIN sluice.sends USING (send_id)") == [
        ("held", True)
    ]


async def test_an_answer_with_the_request_covers_protections_that_began_before_it(pool: Pool) -> None:
    contact_id = await wrote(pool)
    await protect(pool, contact_id, minutes=5)
    early = {"confirmed_by": "bob", "confirmed_at": at(4)}
    late = {"confirmed_by": "bob", "confirmed_at": at(6)}

    outputs = await send(pool, request("s1", confirmation=early), request("s2", confirmation=late))

    assert statuses(outputs) == [("held", None), ("dispatched", None)]
    [dispatch] = values(outputs, "sends.dispatch")
    assert dispatch["confirmation"]["confirmed_by"] == "bob"


async def test_an_answer_from_the_future_covers_nothing_that_is_to_come(pool: Pool) -> None:
    contact_id = await wrote(pool)
    await protect(pool, contact_id, minutes=60)
    await send(pool, request(confirmation={"confirmed_by": "bob", "confirmed_at": at(600)}))
    assert (await standing(pool))[0] == "held"


async def test_with_two_persons_ones_own_answer_does_not_count(pool: Pool) -> None:
    await protect(pool, await wrote(pool))
    await configure(pool, two_person_confirm=True)
    own = {"confirmed_by": "ann", "confirmed_at": at(6)}
    outputs = await send(
        pool, request("s1", confirmation=own), request("s2", confirmation=own | {"confirmed_by": "bob"})
    )
    assert statuses(outputs) == [("held", None), ("dispatched", None)]


async def test_a_group_is_split_per_recipient(pool: Pool) -> None:
    blocked, guarded = await wrote(pool, "+4915100000001"), await wrote(pool, "+4915100000002")
    await wrote(pool, "+4915100000003")
    await block(pool, blocked, 1)
    await protect(pool, guarded)

    numbers = ("+4915100000001", "+4915100000002", "+4915100000003")
    await send(pool, *(request(n, to=n, group_id="g", source="broadcast") for n in numbers))

    groups = "SELECT status, sends FROM send_groups WHERE group_id = 'g' ORDER BY status"
    assert await rows(pool, groups) == [("dispatched", 1), ("held", 1), ("refused", 1)]


async def test_a_request_makes_its_channel(pool: Pool) -> None:
    await send(pool, request())
    assert await rows(pool, "SELECT channel_id, channel FROM channels") == [("whatsapp-main", "whatsapp")]


async def test_many_requests_cost_a_handful_of_statements(pool: Pool) -> None:
    async def statements(first: int, count: int) -> int:
        seen: list[str] = []
        wishes = [request(f"m{n}", to=f"+49151{n:08}") for n in range(first, first + count)]
        async with pool.acquire() as tx:
            with tx.query_logger(lambda query: seen.append(query.query)):
                await worker.apply(tx, batch(*wishes))
        return len(seen)

    for _ in range(2):  # what nobody knew is made, and then read
        await statements(0, 1)
    few, many = await statements(10, 2), await statements(1000, 2000)
    assert many == few
    assert many < 25


async def test_two_transactions_with_one_request_tell_it_once(pool: Pool) -> None:
    results = await asyncio.gather(*(send(pool, request(partition=p)) for p in range(4)))
    assert sorted(len(r) for r in results) == [0, 0, 0, 2]
    assert await rows(pool, "SELECT count(*) FROM send_attempts") == [(1,)]
