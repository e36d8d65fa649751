"""The audit log: who did what, when, from where, about whom, with which outcome, and what it changed."""

from uuid import uuid4

import pytest
from playwright.async_api import expect

from tests.acceptance.scenes import at, by, phone
from tests.acceptance.stage import Workspace
from tests.console.looking import looked_at
from tests.console.running import Team


async def blocked(workspace: Workspace) -> str:
    """A contact that kim blocked from the inbox; its id."""
    sender = {"address": phone(1), "name": "Ada Lovelace"}
    await workspace.play(workspace.message("hello", address=phone(1), sender=sender, at=at(1)))
    contact = str(await workspace.contact_id(phone(1)))
    await workspace.play(workspace.command("block_contact", contact_id=contact, **by("kim"), at=at(2)))
    return contact


async def test_a_command_is_told_in_words(team: Team) -> None:
    contact = await blocked(team.workspace)

    shown = (await team.agent.get("audit")).text

    for told in ("kim", "agent, inbox", "Block a contact", "Ada Lovelace", f"conversations/{contact}", "Done"):
        assert told in shown


async def test_a_refusal_says_why(team: Team) -> None:
    await blocked(team.workspace)
    await team.workspace.play(team.workspace.command("undo_merge", merge_id=str(uuid4()), **by("lee", "manager")))

    shown = (await team.owner.get("audit", outcome="refused")).text

    assert "Undo a merge" in shown
    assert "Refused" in shown
    assert "Ada Lovelace" not in shown


@pytest.mark.parametrize("scripted", [True, False])
async def test_filters_are_part_of_the_address(team: Team, *, scripted: bool) -> None:
    contact = await blocked(team.workspace)
    async with team.browser(team.manager, scripted=scripted) as page:
        await page.goto(team.console.url + team.manager.at("audit"))
        rows = page.locator("#log tbody tr")
        everything = await rows.count()

        await page.get_by_label("About (id)").fill(contact)
        await page.get_by_role("button", name="Filter").click()
        await expect(rows).to_have_count(1)
        assert contact in page.url
        await page.get_by_label("What").select_option("comment")
        if not scripted:
            await page.get_by_role("button", name="Filter").click()
        await expect(page.locator("#log")).to_contain_text("No command fits.")
        await page.get_by_role("link", name="Show all").click()

        await expect(rows).to_have_count(everything)
        await page.get_by_role("link", name="kim").click()
        await expect(rows).to_have_count(1)


async def test_the_log_is_read_page_by_page_with_its_filter(team: Team) -> None:
    await blocked(team.workspace)
    await team.workspace.play_together(
        *(team.workspace.command("add_tag", contact_id=str(uuid4()), tag=f"t{n}", **by("kim")) for n in range(60))
    )
    first = (await team.owner.get("audit", command="add_tag")).text
    following = first.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    second = (await team.owner.pages.get(following)).text
    assert [shown.count(">Add a tag</td>") for shown in (first, second)] == [50, 10]


async def test_what_people_wrote_is_text(team: Team) -> None:
    evil = {"id": "<b>kim</b>\u202e", "role": "owner", "module": "settings"}
    await team.workspace.play(
        team.workspace.command("define_company", company_id="<i>acme</i>", name="Acme", actor=evil),
        team.workspace.command("delete_contacts", contact_ids=[str(uuid4()) for _ in range(9)], expected_count=9),
    )
    async with team.browser(team.owner) as page:
        await page.goto(team.console.url + team.owner.at("audit"))
        await expect(page.locator("#log")).to_contain_text("<i>acme</i>")
        assert not await page.locator("main :is(i, #log b)").count()
        await looked_at(page, "audit")
        await page.goto(team.console.url + team.owner.at("audit?actor=nobody"))
        await looked_at(page, "audit-nothing")


async def test_nobody_else_sees_it(team: Team) -> None:
    assert (await team.outsider.pages.get(team.owner.at("audit"))).status_code == 404
    assert (await team.owner.pages.get(team.owner.at("audit?cursor=x"))).status_code == 404
