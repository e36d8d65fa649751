"""What nobody asks in earnest is refused, and is no fault of the console."""

import asyncio
from typing import Any

import pytest

from console.texts import text
from tests.console.running import Team
from tests.console.test_security import check_headers

NOBODY = "00000000-0000-4000-8000-000000000000"
EDGES = ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00%2B14:00"]


@pytest.mark.parametrize(
    "path",
    [
        "/w/{w}/profiles/%00",
        "/operations?workspace=%00",
        "/operations/dead-letters?workspace=%00",
        "/operations/dead-letters?status=%00",
        f"/operations/dead-letters/{'9' * 5_000}",
        *[f"/w/{{w}}/active?cycle={edge}" for edge in EDGES],
        *[f"/w/{{w}}/active/export.csv?cycle={edge}" for edge in EDGES],
        *[f"/w/{{w}}/active/{NOBODY}?cycle={edge}" for edge in EDGES],
    ],
)
async def test_pages_of_nonsense_do_not_exist(team: Team, path: str) -> None:
    await team.workspace.play(team.workspace.message())  # so that there is a cycle
    shown = await team.operator.pages.get(path.format(w=team.workspace.id))

    assert shown.status_code == 404
    check_headers(shown)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (f"confirm/{NOBODY}", {"answer": "confirm", "group_id": "x" * 3_000}),
        ("active/close", {"cycle_start": "2026-12-01T00:00:00Z", "reason": "x" * 3_000}),
    ],
)
async def test_fields_that_no_command_takes_are_refused_in_words(team: Team, path: str, fields: dict[str, str]) -> None:
    led = await team.owner.post(path, **fields)
    shown = await team.owner.pages.get(led.headers["location"])

    assert led.status_code == 303
    assert text("refusals.invalid") in shown.text


@pytest.mark.parametrize("edge", EDGES)
async def test_a_form_that_closes_a_cycle_of_no_time_is_none(team: Team, edge: str) -> None:
    refused = await team.owner.post("active/close", cycle_start=edge.replace("%2B", "+"), reason="x")
    assert refused.status_code == 400


async def test_a_dead_letter_with_very_many_digits_does_not_exist(team: Team) -> None:
    fields = {"csrf": team.operator.csrf, "act": "dismiss", "letter": "9" * 5_000}
    assert (await team.operator.pages.post("/operations/dead-letters", data=fields)).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        *[f"mac/chart.svg?cycle={edge}" for edge in EDGES],
        *[f"contacts/{NOBODY}/explain?cycle={edge}" for edge in EDGES],
        "impact?command=block_contact&identity=x&identity.channel=whatsapp",
        "impact?command=block_contact&identity=a&identity=b&identity.channel=whatsapp",
    ],
)
async def test_parameters_that_do_not_fit_are_named(team: Team, path: str) -> None:
    told = await team.owner.api.get(f"/workspaces/{team.workspace.id}/{path}")

    assert told.status_code == 422
    assert told.json()["errors"][0]["field"] in {"cycle", "identity"}


@pytest.mark.parametrize("body", [b'{"command":"\xff"}', b'{"channel_id":"\\u0000"}', b'{"command":"\\u0000"}'])
@pytest.mark.parametrize("call", ["commands", "sends"])
async def test_bodies_that_are_no_text_are_refused(team: Team, call: str, body: bytes) -> None:
    path, kind = f"/workspaces/{team.workspace.id}/{call}", {"content-type": "application/json"}
    told = await team.owner.api.post(path, content=body, headers=kind)

    assert (told.status_code, told.headers["content-type"]) == (422, "application/problem+json")


async def test_a_list_goes_on_behind_the_longest_names(team: Team) -> None:
    contacts = f"/workspaces/{team.workspace.id}/contacts"
    for number, name in enumerate(["😀" * 512, "\u0001" * 511 + "z"]):
        sender = {"address": f"+491511234567{number}", "name": name}
        await team.workspace.play(team.workspace.message(sender=sender))

    first = await team.owner.api.get(contacts, params={"limit": "1"})
    rest = await team.owner.api.get(contacts, params={"limit": "1", "cursor": first.json()["next"]})

    assert rest.status_code == 200, rest.text
    assert len({one["contact_id"] for one in first.json()["items"] + rest.json()["items"]}) == 2


@pytest.mark.parametrize("path", [f"commands/{NOBODY}", f"impact?command=block_contact&contact_id={NOBODY}"])
async def test_no_call_holds_a_connection_while_it_waits_for_another(team: Team, path: str) -> None:
    """With as many calls as connections, each would wait for the others for ever."""
    calls: list[Any] = [team.owner.api.get(f"/workspaces/{team.workspace.id}/{path}") for _ in range(60)]
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*calls)

    assert {told.status_code for told in answers} <= {200, 404}
