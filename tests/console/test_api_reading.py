"""What calls that read answer: the columns of the views, to those who may see them."""

from typing import Any, Final
from uuid import uuid4

from console.api import CALLS
from console.api.calls import Call, Items
from tests.acceptance.scenes import hold
from tests.console.running import Team


def in_workspace(call: Call, workspace: str, **names: Any) -> str:
    return call.path.format(**{"workspace": workspace, "contact_id": uuid4(), "send_id": uuid4()} | names)


NOT_FOUND: Final = {
    "type": "about:blank",
    "title": "Not Found",
    "status": 404,
    "detail": "It does not exist, or you may not see it.",
}
LISTS: Final = [call for call in CALLS if isinstance(call.answers.get(200), Items) and call.path.count("{") == 1]


async def test_a_list_of_an_empty_workspace_is_an_empty_page(team: Team) -> None:
    for call in LISTS:
        told = await team.agent.api.get(in_workspace(call, team.workspace.id))
        assert told.status_code == 200, call.path
        assert call.path.endswith("/audit") or told.json() == {"items": [], "next": None}, call.path


async def test_another_workspace_does_not_exist(team: Team) -> None:
    names = {"command_id": uuid4(), "profile_id": "p", "group_id": "g", "cycle_start": "2026-03-01T00:00:00Z"}
    for call in CALLS:
        if call.has_workspace:
            path = in_workspace(call, team.workspace.id, **names)
            told = await team.outsider.api.request(call.method, path, json={} if call.method == "POST" else None)
            assert told.headers["content-type"] == "application/problem+json", call.path
            assert told.json() == NOT_FOUND, call.path


async def test_only_operators_operate(team: Team) -> None:
    for call in CALLS:
        if call.is_for_operators:
            path = call.path.format(letter=4_711)
            assert (await team.owner.api.request(call.method, path)).json() == NOT_FOUND, call.path
            assert call.method == "POST" or (await team.operator.api.get(path)).status_code == 200, call.path


async def test_a_hold_is_read_as_it_stands(team: Team) -> None:
    send = await hold(team.workspace, content={"type": "text", "text": "an offer"})
    at = f"/workspaces/{team.workspace.id}"

    [held] = (await team.agent.api.get(f"{at}/holds")).json()["items"]
    told = (await team.agent.api.get(f"{at}/sends/{send['send_id']}")).json()
    contact = (await team.agent.api.get(f"{at}/contacts/{held['contact_id']}")).json()

    assert (held["send_id"], held["reasons"]) == (str(send["send_id"]), ["status_protected"])
    assert (told["status"], told["reasons"], told["attempts"]) == ("held", ["status_protected"], [])
    assert (contact["phone"], contact["blocked_at"]) == (told["address"], None)
