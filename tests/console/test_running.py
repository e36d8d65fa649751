"""What tests of the console stand on: a console that shows what workers did, to those who may see it."""

from tests.acceptance.scenes import hold, standing
from tests.console.running import Team


async def test_people_see_the_pages_of_their_workspace_only(team: Team) -> None:
    shown = [await one.get("confirm") for one in (team.owner, team.manager, team.agent, team.operator)]
    hidden = await team.outsider.pages.get(team.owner.at("confirm"))

    assert [page.status_code for page in shown] == [200] * 4
    assert hidden.status_code == 404


async def test_a_hold_is_shown_and_its_answer_is_carried_out(team: Team) -> None:
    send = await hold(team.workspace, content={"type": "text", "text": "an offer"})

    shown = await team.agent.get("confirm")
    answered = await team.agent.post(f"confirm/{send['send_id']}", answer="reject")

    assert "an offer" in shown.text
    assert (answered.status_code, answered.headers["location"]) == (303, team.agent.at("confirm"))
    assert (await standing(team.workspace, send))[0] == "rejected"
