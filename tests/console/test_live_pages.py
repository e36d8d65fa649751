"""Pages in a browser that become live by their script: what comes in, what was typed, what is sent twice."""

import asyncio
import re

import pytest
from playwright.async_api import Page, expect

from console.pages import page as pages
from tests.acceptance.making import at
from tests.acceptance.scenes import hold, standing
from tests.console.running import Member, Team


async def opened(page: Page, team: Team, member: Member, path: str) -> None:
    """Opens a page of the workspace; returns once the script listens."""
    async with page.expect_response(lambda answer: "/events" in answer.url) as answered:
        await page.goto(team.console.url + member.at(path))
    assert (await answered.value).status == 200


async def conversation(team: Team) -> str:
    """The path of a conversation in which somebody wrote."""
    await team.workspace.play(team.workspace.message("hello"))
    row = await team.workspace.row("contact_overview")
    return f"conversations/{row['contact_id']}"


async def test_a_new_hold_appears_in_the_open_queue_and_in_the_navigation(team: Team) -> None:
    async with team.browser(team.agent) as page:
        await opened(page, team, team.agent, "confirm")
        await expect(page.locator("#queue .row")).to_have_count(0)

        send = await hold(team.workspace, content={"type": "text", "text": "an offer"})

        await expect(page.locator("#queue .row")).to_have_count(1)
        await expect(page.locator("#queue")).to_contain_text("an offer")
        await expect(page.locator("#rail .count")).to_have_text("1")
        assert send["send_id"] in str(await page.locator("#queue .row").get_attribute("href"))


async def test_what_one_confirms_by_the_keyboard_alone_leaves_the_screen_of_the_other(team: Team) -> None:
    send = await hold(team.workspace)
    async with team.browser(team.agent) as one, team.browser(team.manager) as other:
        await opened(one, team, team.agent, "confirm")
        await opened(other, team, team.manager, f"confirm/{send['send_id']}")
        await expect(other.locator("#queue .row")).to_have_count(1)

        await one.keyboard.press("j")
        await one.keyboard.press("Enter")
        await one.wait_for_url(re.compile(send["send_id"]))
        await one.keyboard.press("c")

        await expect(one.locator("#notices .done")).to_be_visible()
        await expect(other.locator("#queue .row")).to_have_count(0)
    assert (await standing(team.workspace, send))[0] == "dispatched"


async def test_what_is_typed_survives_what_comes_in(team: Team) -> None:
    path = await conversation(team)
    async with team.browser(team.agent) as page:
        await opened(page, team, team.agent, path)
        await page.locator("#text").fill("half a sentence")
        await page.keyboard.press("Home")

        await team.workspace.play(team.workspace.message("news"))
        await expect(page.locator("#talk")).to_contain_text("news")
        await page.keyboard.type("and ")

        await expect(page.locator("#text")).to_have_value("and half a sentence")


async def test_what_is_typed_survives_another_form_of_the_page(team: Team) -> None:
    path = await conversation(team)
    async with team.browser(team.agent) as page:
        await opened(page, team, team.agent, path)
        await page.locator("#text").fill("half a sentence")
        await page.locator("button[value=close]").click()

        await expect(page.locator("button[value=open]")).to_be_visible()
        await expect(page.locator("#text")).to_have_value("half a sentence")


async def test_what_was_not_sent_is_kept_and_then_sent_once(team: Team) -> None:
    path = await conversation(team)
    async with team.browser(team.agent, expected="ERR_FAILED") as page:
        await opened(page, team, team.agent, path)
        await page.locator("#text").fill("mine")
        await page.route("**/messages*", lambda route: route.abort())
        await page.locator("button[value=comment]").click()
        await expect(page.locator("#unsent")).to_be_visible()
        await expect(page.locator("#text")).to_have_value("mine")
        await page.unroute("**/messages*")
        await page.locator("button[value=comment]").dblclick()

        await expect(page.locator(".bubble.comment")).to_have_count(1)
        await expect(page.locator("#unsent")).to_be_hidden()
        await expect(page.locator("#text")).to_have_value("")
    assert len(await team.workspace.rows("audit_log", command="comment")) == 1


async def test_a_form_that_is_sent_twice_is_done_once(team: Team) -> None:
    path = await conversation(team)
    form = {"text": "mine", "as": "comment", "once": "0b9f8a52-7d38-4f7e-9d0c-8f2f3f4f5f6f"}

    answers = await asyncio.gather(*(team.agent.post(f"{path}/messages", **form) for _ in range(3)))
    other = await team.agent.post(f"{path}/messages", **(form | {"text": "another one"}))

    assert {answer.status_code for answer in (*answers, other)} == {303}
    assert len(await team.workspace.rows("audit_log", command="comment")) == 2


async def test_the_notice_of_a_command_on_its_way_says_what_became_of_it(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await conversation(team)
    monkeypatch.setattr(pages, "WAIT_S", 0.0)
    async with team.browser(team.agent) as page:
        await opened(page, team, team.agent, path)
        async with page.expect_response(re.compile("/results/")) as looked:
            await page.locator("button[value=close]").click()

        assert (await looked.value).status == 200
        await expect(page.locator("#notices .done")).to_be_visible()
    given = await team.workspace.row("audit_log", command="close_conversation")
    shown = await team.agent.get(f"results/{given['command_id']}")
    assert 'class="notice done"' in shown.text


async def test_a_page_that_one_comes_back_to_is_live(team: Team) -> None:
    async with team.browser(team.agent) as page:
        await opened(page, team, team.agent, "confirm")
        await page.goto(team.console.url + team.agent.at("dropped"))
        async with page.expect_response(lambda answer: "/events" in answer.url):
            await page.go_back()
        await hold(team.workspace)

        await expect(page.locator("#queue .row")).to_have_count(1)


async def test_who_is_signed_out_is_told_and_loses_nothing(team: Team) -> None:
    path = await conversation(team)
    async with team.browser(team.agent) as page:
        await opened(page, team, team.agent, path)
        await page.locator("#text").fill("mine")
        await team.console.access.end(team.agent.session)
        await page.locator("button[value=comment]").click()

        await expect(page.locator("#signed-out")).to_be_visible()
        await expect(page.locator("#text")).to_have_value("mine")


async def test_times_grow_old(team: Team) -> None:
    await hold(team.workspace, at=at(10))
    async with team.browser(team.agent) as page:
        await page.clock.install()
        await opened(page, team, team.agent, "confirm")
        before = await page.locator("#queue time").inner_text()
        await page.clock.run_for(5 * 60_000)

        await expect(page.locator("#queue time")).not_to_have_text(before)
        await expect(page.locator("#queue time")).to_have_text(re.compile(r"^[56] min ago$"))
