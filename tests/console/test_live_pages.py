"""Pages in a browser that become live by their script: what comes in, what was typed, what is sent twice."""

from playwright.async_api import Page, expect

from tests.acceptance.scenes import hold
from tests.console.running import Member, Team


async def opened(page: Page, team: Team, member: Member, path: str) -> None:
    """Opens a page of the workspace; returns once the script listens."""
    async with page.expect_response(lambda answer: "/events" in answer.url) as answered:
        await page.goto(team.console.url + member.at(path))
    assert (await answered.value).status == 200


async def test_a_new_hold_appears_in_the_open_queue_and_in_the_navigation(team: Team) -> None:
    async with team.browser(team.agent) as page:
        await opened(page, team, team.agent, "confirm")
        await expect(page.locator("#queue .row")).to_have_count(0)

        send = await hold(team.workspace, content={"type": "text", "text": "an offer"})

        await expect(page.locator("#queue .row")).to_have_count(1)
        await expect(page.locator("#queue")).to_contain_text("an offer")
        await expect(page.locator("#rail .count")).to_have_text("1")
        assert send["send_id"] in str(await page.locator("#queue .row").get_attribute("href"))
