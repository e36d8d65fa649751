"""Commands and sends through the API: who gives them, what is answered, and that nothing is given twice."""

import asyncio
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import pytest

from console import rates
from tests.acceptance.making import PHONE, WHATSAPP
from tests.acceptance.scenes import hold, phone, standing
from tests.console.running import Member, Team

TEXT: Final = {"type": "text", "text": "hello"}


async def give(member: Member, command: str, **fields: Any) -> httpx.Response:
    """Gives a command; `headers` of the request."""
    headers = fields.pop("headers", None)
    path = f"/workspaces/{member.workspace}/commands"
    return await member.api.post(path, json={"command": command} | fields, headers=headers)


async def ask(member: Member, **fields: Any) -> httpx.Response:
    """Asks for a send to the usual number."""
    body = {"channel_id": "whatsapp-main", "channel": "whatsapp", "to": {"address": PHONE}, "content": TEXT} | fields
    return await member.api.post(f"/workspaces/{member.workspace}/sends", json=body)


async def test_a_command_is_the_person_s_and_its_result_is_the_answer(team: Team) -> None:
    await team.workspace.play(team.workspace.message())

    told = await give(team.manager, "block_contact", identity=WHATSAPP, note="spam")
    at = f"/workspaces/{team.workspace.id}"
    again = await team.agent.api.get(f"{at}/commands/{told.json()['command_id']}")
    [audited] = (await team.agent.api.get(f"{at}/audit", params={"command": "block_contact"})).json()["items"]

    assert (told.status_code, told.json()["outcome"]) == (200, "done")
    assert told.json()["changed"]["runs_halted"] == 0
    assert again.json() == told.json()
    assert (audited["actor"], audited["role"], audited["module"]) == (team.manager.person.name, "manager", "api")


async def test_what_a_role_may_not_do_is_refused_and_audited(team: Team) -> None:
    told = await give(team.agent, "delete_contacts", all=True, expected_count=0)
    row = await team.workspace.row("audit_log", command="delete_contacts")

    assert (told.status_code, told.json()["outcome"], told.json()["reason"]) == (200, "refused", "not_permitted")
    assert (row["actor"], row["outcome"]) == (team.agent.person.name, "refused")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"actor": {"id": "boss", "role": "owner", "module": "api"}}, "actor"),
        ({"workspace_id": "other"}, "workspace_id"),
        ({"issued_at": "2026-01-01T00:00:00Z"}, "issued_at"),
        ({"noet": "a typing error"}, "noet"),
        ({"note": 5}, "note"),
        ({"command_id": "no uuid"}, "command_id"),
        ({"identity": {"channel": "whatsapp"}}, "identity.address"),
        ({"identity": {"channel": "pigeon", "address": "x"}}, "identity.channel"),
        ({"command": "no_such_command"}, "command"),
        ({"command": 5}, "command"),
        ({"headers": {"idempotency-key": "no uuid"}}, "idempotency-key"),
        ({"headers": {"idempotency-key": str(uuid4())}, "command_id": str(uuid4())}, "command_id"),
    ],
)
async def test_what_does_not_fit_is_told_by_field_and_not_given(team: Team, fields: Any, field: str) -> None:
    headers = fields.get("headers")
    body = {name: value for name, value in fields.items() if name != "headers"}
    body = {"command": "block_contact", "identity": WHATSAPP} | body
    path = f"/workspaces/{team.workspace.id}/commands"
    told = await team.owner.api.post(path, json=body, headers=headers)

    assert (told.status_code, told.headers["content-type"]) == (422, "application/problem+json")
    assert [one["field"] for one in told.json()["errors"]] == [field]


async def test_bodies_and_tokens_that_are_none(team: Team) -> None:
    path = f"/workspaces/{team.workspace.id}/commands"
    json_type = {"content-type": "application/json"}
    post, client = team.owner.api.post, await team.console.client("/api/v1")
    statuses = {
        "no JSON": await post(path, content=b"{", headers=json_type),
        "no object": await post(path, content=b"[]", headers=json_type),
        "too deep": await post(path, content=b"[" * 100_000, headers=json_type),
        "another type": await post(path, content=b"{}", headers={"content-type": "text/plain"}),
        "too large": await post(path, content=b" " * (256 * 1024 + 1), headers=json_type),
        "another method": await team.owner.api.put(path, json={}),
        "nobody": await client.get("/workspaces"),
        "a session": await client.get("/workspaces", headers={"cookie": f"sluice_session={team.owner.session}"}),
        "a false token": await client.get("/workspaces", headers={"authorization": "Bearer x"}),
        "a password": await client.get("/workspaces", headers={"authorization": "Basic eDp5"}),
        "no such call": await team.owner.api.get("/nothing"),
    }

    assert {name: told.status_code for name, told in statuses.items()} == {
        "no JSON": 422,
        "no object": 422,
        "too deep": 422,
        "another type": 415,
        "too large": 413,
        "another method": 405,
        "nobody": 401,
        "a session": 401,
        "a false token": 401,
        "a password": 401,
        "no such call": 404,
    }
    assert {told.headers["content-type"] for told in statuses.values()} == {"application/problem+json"}
    assert statuses["nobody"].headers["www-authenticate"] == 'Bearer realm="sluice"'
    assert statuses["another method"].headers["allow"] == "POST"


async def test_who_asks_too_often_waits_and_nobody_else(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "BURST", 2)
    monkeypatch.setattr(rates, "PER_SECOND", 0.01)
    often = [await team.agent.api.get("/workspaces") for _ in range(3)]
    other = await team.manager.api.get("/workspaces")

    assert [told.status_code for told in (*often, other)] == [200, 200, 429, 200]
    assert often[2].headers["content-type"] == "application/problem+json"
    assert int(often[2].headers["retry-after"]) > 1


async def test_a_command_that_is_given_again_does_nothing_twice(team: Team) -> None:
    await team.workspace.play(team.workspace.message())
    key = str(uuid4())
    headers = {"idempotency-key": key}
    told = await asyncio.gather(
        *(give(team.agent, "comment", identity=WHATSAPP, text="once", headers=headers) for _ in range(8)),
        *(give(team.agent, "comment", identity=WHATSAPP, text="once", command_id=key) for _ in range(8)),
    )
    other = await give(team.agent, "add_tag", identity=WHATSAPP, tag="x", headers=headers)
    comments = await team.workspace.rows("conversation_messages", kind="comment")

    assert {(one.status_code, one.json()["command_id"]) for one in told} == {(200, key)}
    assert len(comments) == 1
    assert (other.status_code, other.json()["errors"][0]["field"]) == (422, "command_id")


async def test_who_does_not_wait_finds_the_result_at_its_address(team: Team) -> None:
    await team.workspace.play(team.workspace.message())
    path = f"/workspaces/{team.workspace.id}/commands"
    body = {"command": "add_tag", "identity": WHATSAPP, "tag": "vip"}
    told = await team.agent.api.post(path, json=body, headers={"prefer": "wait=0"})
    await team.workspace.stage.until(lambda: _is_there(team, told), "the result is not there")

    assert told.status_code == 202
    assert told.headers["location"] == f"/api/v1{path}/{told.json()['command_id']}"
    assert (await team.workspace.row("contact_overview"))["tags"] == ["vip"]


async def _is_there(team: Team, told: httpx.Response) -> bool:
    found = await team.agent.api.get(told.headers["location"].removeprefix("/api/v1"))
    assert found.status_code in (200, 404)
    return found.status_code == 200


async def test_of_two_people_at_once_one_wins_and_the_other_is_told(team: Team) -> None:
    send = await hold(team.workspace)
    confirmed, rejected = await asyncio.gather(
        give(team.agent, "confirm_send", send_id=send["send_id"]),
        give(team.manager, "reject_send", send_id=send["send_id"]),
    )
    answers = [(one.json()["outcome"], one.json()["reason"]) for one in (confirmed, rejected)]
    status, _, _ = await standing(team.workspace, send)

    assert sorted(answers) == [("done", None), ("refused", "already_final")]
    assert status == ("rejected" if answers[1][0] == "done" else "dispatched")


async def test_the_first_status_of_a_send_is_its_answer(team: Team) -> None:
    await team.workspace.play(team.workspace.message(), team.workspace.message(address=phone(1)))
    sent = await ask(team.agent)
    known = await ask(team.agent, channel_id="whatsapp-main", to={"address": PHONE}, send_id=sent.json()["send_id"])
    await give(team.manager, "block_contact", identity={"channel": "whatsapp", "address": phone(1)})
    refused = await ask(team.agent, to={"address": phone(1)})
    unknown = await ask(team.agent, channel_id="no-such", channel=None)
    row = await team.agent.api.get(f"/workspaces/{team.workspace.id}/sends/{sent.json()['send_id']}")

    assert (sent.status_code, sent.json()["status"], sent.json()["reasons"]) == (200, "dispatched", [])
    assert known.json()["send_id"] == sent.json()["send_id"]
    assert (refused.status_code, refused.json()["status"], refused.json()["reason"]) == (
        200,
        "refused",
        "contact_blocked",
    )
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "channel")
    assert (row.json()["source"], row.json()["requested_by"]) == ("api", team.agent.person.name)
    assert len(await team.workspace.rows("sends")) == 2


async def test_a_confirmation_goes_with_the_send(team: Team) -> None:
    await hold(team.workspace)
    held = await ask(team.agent, channel=None)
    confirmed = await ask(team.agent, confirm=True)
    row = await team.workspace.row("send_confirmations", send_id=UUID(confirmed.json()["send_id"]))

    assert (held.json()["status"], held.json()["reasons"]) == ("held", ["status_protected"])
    assert confirmed.json()["status"] == "dispatched"
    assert row["confirmed_by"] == team.agent.person.name


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"requested_by": {"id": "boss", "role": "owner"}}, "requested_by"),
        ({"source": "inbox"}, "source"),
        ({"confirmation": None}, "confirmation"),
        ({"confirm": "yes"}, "confirm"),
        ({"content": {"type": 1}}, "content.type"),
        ({"to": {}}, "to"),
        ({"text": "hello"}, "text"),
        ({"send_id": 7}, "send_id"),
    ],
)
async def test_a_send_that_does_not_fit_is_told_by_field(team: Team, fields: Any, field: str) -> None:
    told = await ask(team.owner, **fields)

    assert told.status_code == 422
    assert [one["field"] for one in told.json()["errors"]] == [field]
    assert await team.workspace.rows("sends") == []
