"""The drop ledger: why a message was dropped, whether it counts, and the release after a mistaken block."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from playwright.async_api import expect

from tests.acceptance.scenes import at, phone
from tests.acceptance.stage import WHATSAPP, Workspace
from tests.console.looking import looked_at
from tests.console.running import Team


async def mistaken(workspace: Workspace, count: int = 3, *, lifted: bool = True) -> UUID:
    """A contact with messages that a block dropped, which was lifted again."""
    messages = [workspace.message(f"dropped {n}", at=at(6 + n)) for n in range(count)]
    block = workspace.command("block_contact", identity=WHATSAPP, at=at(5))
    lift = workspace.command("unblock_contact", identity=WHATSAPP, at=at(600))
    named = workspace.message("hello", at=at(1), sender={"address": WHATSAPP["address"], "name": "Ada Lovelace"})
    await workspace.play(named, block, *messages, *([lift] if lifted else []))
    return await workspace.contact_id()


async def left(team: Team) -> int:
    return len(await team.workspace.rows("drop_ledger"))


async def test_the_ledger_says_why_and_by_which_rule(team: Team) -> None:
    contact = await mistaken(team.workspace)

    shown = (await team.agent.get("dropped")).text

    assert shown.count("The contact was blocked") == 3
    assert "Ada Lovelace" in shown
    assert "blocked in this month, rule next_cycle" in shown
    assert f"dropped/{contact}" in shown


async def test_a_workspace_that_leaves_blocked_contacts_out_at_once_says_so(team: Team) -> None:
    await team.workspace.play(
        team.workspace.command("configure_workspace", set={"mac_block_effect": "immediate"}, at=at(-60))
    )
    await mistaken(team.workspace)

    assert "blocks take effect at once, rule immediate" in (await team.owner.get("dropped")).text


@pytest.mark.parametrize("scripted", [True, False])
async def test_chosen_messages_are_released(team: Team, *, scripted: bool) -> None:
    contact = await mistaken(team.workspace)
    async with team.browser(team.manager, scripted=scripted) as page:
        await page.goto(team.console.url + team.manager.at(f"dropped/{contact}"))
        await page.get_by_role("checkbox").nth(0).check()
        await page.get_by_role("checkbox").nth(2).check()

        await page.get_by_role("button", name="Release the chosen ones").click()

        await expect(page.locator(".notice.done")).to_contain_text("2 messages were released.")
        await expect(page.get_by_role("checkbox")).to_have_count(1)
    assert await left(team) == 1


async def test_the_whole_time_is_offered_and_released_by_the_keyboard(team: Team) -> None:
    contact = await mistaken(team.workspace)
    async with team.browser(team.owner) as page:
        await page.goto(team.console.url + team.owner.at(f"dropped/{contact}"))

        await page.get_by_role("button", name="Release this time").focus()
        await page.keyboard.press("Enter")

        await expect(page.locator(".notice.done")).to_contain_text("3 messages were released.")
        await expect(page.locator("#ledger")).to_contain_text("No message of this contact is dropped.")
    assert await left(team) == 0


async def test_a_release_says_before_that_a_blocked_contact_must_be_unblocked(team: Team) -> None:
    contact = await mistaken(team.workspace, lifted=False)
    path = f"dropped/{contact}"

    shown = (await team.owner.get(path)).text
    assert "Unblock it first." in shown
    assert "Release this time" not in shown

    [first, *_] = await team.workspace.rows("drop_ledger")
    await team.owner.post(path, what="chosen", message_id=str(first["message_id"]))
    assert "notice failed" in (await team.owner.get(path)).text
    assert await left(team) == 3


async def test_content_that_is_erased_is_said_before_anybody_unblocks(team: Team) -> None:
    await team.workspace.play(team.workspace.command("configure_workspace", set={"quarantine_days": 0}, at=at(-60)))
    contact = await mistaken(team.workspace)

    shown = (await team.owner.get(f"dropped/{contact}")).text

    assert "The content of these messages is erased." in shown
    assert "checkbox" not in shown
    assert "Release" not in shown


async def test_what_cannot_be_released_is_told_in_words(team: Team) -> None:
    contact = await mistaken(team.workspace)
    path = f"dropped/{contact}"
    now = at(0)
    times = {"from": now.isoformat(), "to": (now - timedelta(days=1)).isoformat()}
    for fields, told in (
        ({"what": "chosen"}, "Choose at least one message."),
        ({"what": "range"} | times, "Give two times"),
        ({"what": "range", "from": "yesterday", "to": ""}, "Give two times"),
        ({"what": "chosen", "message_id": str(uuid4())}, "Nothing was released"),
    ):
        answer = await team.owner.post(path, **fields)
        assert answer.status_code == 303, fields
        assert told in (await team.owner.get(path)).text
    assert (await team.owner.post(path, what="chosen", message_id="x")).status_code == 400
    assert await left(team) == 3


async def test_an_agent_sees_the_ledger_and_may_not_release(team: Team) -> None:
    contact = await mistaken(team.workspace)
    [first, *_] = await team.workspace.rows("drop_ledger")

    shown = (await team.agent.get(f"dropped/{contact}")).text
    refused = await team.agent.post(f"dropped/{contact}", what="chosen", message_id=str(first["message_id"]))

    assert "checkbox" not in shown
    assert refused.status_code == 403
    assert await left(team) == 3


async def test_nobody_else_sees_it(team: Team) -> None:
    contact = await mistaken(team.workspace)
    for path in ("dropped", f"dropped/{contact}"):
        assert (await team.outsider.pages.get(team.owner.at(path))).status_code == 404
    for path in (f"dropped/{uuid4()}", "dropped/x", "dropped?cursor=x"):
        assert (await team.owner.pages.get(team.owner.at(path))).status_code == 404


async def test_the_ledger_is_read_page_by_page(team: Team) -> None:
    contact = await mistaken(team.workspace, 60)
    for path in ("dropped", f"dropped/{contact}"):
        first = (await team.owner.get(path)).text
        following = first.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
        second = (await team.owner.pages.get(following)).text
        assert [shown.count("The contact was blocked") for shown in (first, second)] == [50, 10]


async def test_its_pages_are_fit_to_look_at(team: Team) -> None:
    async with team.browser(team.owner) as page:
        await page.goto(team.console.url + team.owner.at("dropped"))
        await expect(page.locator("main")).to_contain_text("No message was dropped.")
        await looked_at(page, "dropped-empty")
        name = "<b>\u202egpj.exe</b>" + "x" * 300
        await team.workspace.play(
            team.workspace.message("hello", at=at(1), address=phone(7), sender={"address": phone(7), "name": name})
        )
        hostile = await team.workspace.contact_id(phone(7))
        await team.workspace.play(
            team.workspace.command("block_contact", contact_id=str(hostile), at=at(2)),
            team.workspace.message("dropped", at=at(3), address=phone(7)),
        )
        contact = await mistaken(team.workspace)
        for path, what in (("dropped", "list"), (f"dropped/{contact}", "contact"), (f"dropped/{hostile}", "hostile")):
            await page.goto(team.console.url + team.owner.at(path))
            await looked_at(page, f"dropped-{what}")
        assert not await page.locator("main b").count()
