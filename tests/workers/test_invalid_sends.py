"""Requests of which only the ids can be read are answered: refused, `invalid`, with the error."""

from typing import Any

import pytest
from asyncpg import Pool

from tests.workers.records import at, uuid_of
from tests.workers.sending import answer, claim, confirm, receipt, request, rows, send, standing, statuses, values

MARKER = "marker-of-content"

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an empty address": ({"to": ""}, "to.address"),
    "an unknown channel": ({"channel": MARKER}, "channel"),
    "an unknown source": ({"source": MARKER}, "source"),
    "a time that is none": ({"requested_at": MARKER}, "requested_at"),
    "a text that is no text": ({"content": {"type": "text", "text": {"body": MARKER}}}, "content.text"),
    "a group without a name": ({"group_id": ""}, "group_id"),
    "nothing to send": ({"content": {"type": "text", "text": ""}}, "`text`"),
    "no requester": ({"requested_by": MARKER}, "requested_by"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_request_whose_ids_can_be_read_is_answered(pool: Pool, case: str) -> None:
    changes, field = WRONG[case]
    outputs = await send(pool, request(**changes), now=at(11))

    [status] = values(outputs, "sends.status")
    assert [o.event.topic for o in outputs] == ["sends.status"]
    assert outputs[0].event.key == f"acme:{uuid_of('s1')}".encode()
    assert field in status.pop("detail")
    assert MARKER not in str(outputs)
    assert status == {
        "workspace_id": "acme",
        "send_id": str(uuid_of("s1")),
        "contact_id": None,
        "status": "refused",
        "reason": "invalid",
        "reasons": None,
        "attempt": None,
        "at": "2026-03-10T00:11:00Z",
        "actor": None,
        "revision": 1,
    }
    assert await standing(pool) == ("refused", "invalid", 0)


async def test_what_could_be_read_of_it_is_shown_and_nothing_of_its_content_kept(pool: Pool) -> None:
    await send(pool, request(group_id="spring", content={"type": "text", "text": 7, "subject": MARKER}))
    await send(pool, request("s2", channel=MARKER))

    shown = "SELECT channel, group_id, contact_id FROM sluice.sends ORDER BY channel"
    assert await rows(pool, shown) == [("whatsapp", "spring", None), (None, None, None)]
    assert await rows(pool, "SELECT status, sends FROM sluice.send_groups WHERE group_id = 'spring'") == [
        ("refused", 1)
    ]
    assert await rows(pool, "SELECT 1 FROM sends s WHERE s::text LIKE '%' || $1 || '%'", MARKER) == []
    assert await rows(pool, "SELECT 1 FROM sluice.channels") == []
    assert await rows(pool, "SELECT 1 FROM sluice.contact_overview") == []


async def test_the_first_of_an_id_stays_whether_or_not_it_could_be_read(pool: Pool) -> None:
    bad, good = request(source=MARKER), request()
    assert statuses(await send(pool, bad, good)) == [("refused", "invalid")]
    assert await send(pool, good) == []
    assert await send(pool, bad) == []

    await send(pool, request("s2"))
    assert await send(pool, request("s2", source=MARKER)) == []
    assert await standing(pool, "s2") == ("dispatched", None, 1)


async def test_an_invalid_request_is_final(pool: Pool) -> None:
    await send(pool, request(source=MARKER))
    await send(pool, receipt("delivered"))

    [said], _ = await answer(pool, confirm())
    assert (said.reason, said.detail) == ("already_final", "the send is `refused`: expected a held one")
    assert (await claim(pool))[0] is False
    assert await standing(pool) == ("refused", "invalid", 0)


async def test_beside_an_invalid_request_the_others_go(pool: Pool) -> None:
    outputs = await send(pool, request(), request("s2", source=MARKER), request("s3"))

    assert statuses(outputs) == [("dispatched", None), ("refused", "invalid"), ("dispatched", None)]
