"""Merging in the console: two contacts beside each other, a choice for each field, and Undo right in the notice."""

from datetime import timedelta
from uuid import UUID

import pytest
from playwright.async_api import expect

from tests.acceptance.scenes import phone, whatsapp
from tests.acceptance.stage import PHONE, now
from tests.console.looking import looked_at
from tests.console.running import Team

SCRIPTED = pytest.mark.parametrize("scripted", [True, False], ids=["script", "no script"])


async def two(team: Team) -> tuple[UUID, UUID]:
    """Ana, who has a last name, and Anna, who has a language; both count in the open month."""
    w = team.workspace
    for name, address in (("Ana", PHONE), ("Anna", phone(1))):
        await w.play(w.message(address=address, sender={"address": address, "name": name}))
    ana, anna = await w.contact_id(), await w.contact_id(phone(1))
    await w.play(
        w.command("update_contact", contact_id=str(ana), set={"last_name": "Souza"}),
        w.command("update_contact", contact_id=str(anna), set={"language": "pt-BR"}),
        w.event("run_started", "run-1", identity=whatsapp(phone(1))),
        w.event("run_started", "run-2", identity=whatsapp(phone(1))),
    )
    return ana, anna


@SCRIPTED
async def test_a_merge_says_what_it_touches_takes_the_choices_and_is_undone_from_its_notice(
    team: Team,
    scripted: bool,  # noqa: FBT001
) -> None:
    ana, anna = await two(team)
    async with team.browser(team.manager, scripted=scripted) as page:
        await page.goto(team.console.url + team.manager.at(f"contacts/merge?survivor={ana}&loser={anna}"))
        await expect(page.locator(".alert")).to_contain_text("2 workflows of the contact that goes stop.")
        await expect(page.locator(".alert")).to_contain_text("The open month counts 1 active contact less.")
        assert await page.locator('[name="choice.last_name"][value=survivor]').is_checked()
        assert await page.locator('[name="choice.language"][value=loser]').is_checked()
        await page.locator('[name="choice.display_name"][value=loser]').check()
        await page.get_by_role("button", name="Merge").click()
        await expect(page.locator("#notices .notice")).to_contain_text("Merged. 2 workflows stopped.")
        merged = await team.workspace.row("contact_overview")
        old = await team.manager.get(f"contacts/{anna}")
        await page.get_by_role("button", name="Undo").click()
        await expect(page.locator("#notices .notice")).to_contain_text("The merge is taken back.")

    assert (merged["display_name"], merged["last_name"], merged["language"]) == ("Anna", "Souza", "pt-BR")
    assert (old.status_code, old.headers["location"]) == (308, team.manager.at(f"contacts/{ana}"))
    assert len(await team.workspace.rows("contact_overview")) == 2


async def test_the_same_form_sent_twice_merges_once(team: Team) -> None:
    ana, anna = await two(team)
    form = {"once": "6a1f9a7e-7d51-4c1e-9a0c-3f2f30f5a001", "survivor": str(ana), "loser": str(anna)}

    answers = [await team.owner.post("contacts/merge", **form) for _ in range(2)]

    assert [one.status_code for one in answers] == [303, 303]
    assert len(await team.workspace.rows("merge_history")) == 1


async def test_a_blocked_contact_cannot_be_merged(team: Team) -> None:
    ana, anna = await two(team)
    await team.workspace.play(team.workspace.command("block_contact", contact_id=str(anna)))

    shown = await team.owner.get("contacts/merge", survivor=str(ana), loser=str(anna))
    given = await team.owner.post("contacts/merge", survivor=str(ana), loser=str(anna))

    assert "One of them is blocked. Unblock it first." in shown.text
    assert "disabled" in shown.text
    assert "The contact is blocked." in given.text
    assert await team.workspace.rows("merge_history") == []


async def test_the_list_of_merges_undoes_in_time_and_says_why_not_else(team: Team) -> None:
    ana, anna = await two(team)
    old = team.workspace.command(
        "merge_contacts", survivor_id=str(ana), loser_id=str(anna), at=now() - timedelta(hours=30)
    )
    await team.workspace.play(old)

    shown = await team.owner.get("contacts/merges")
    given = await team.owner.post("contacts/merges", merge_id=old["command_id"])
    told = await team.owner.pages.get(given.headers["location"])

    assert "Too late: 24 hours are over" in shown.text
    assert ">Undo<" not in shown.text
    assert "It is too late to take this merge back." in told.text


async def test_the_other_contact_is_found_by_search_or_by_what_they_share(team: Team) -> None:
    ana, anna = await two(team)
    await team.workspace.play(team.workspace.command("update_contact", contact_id=str(ana), set={"phone": phone(1)}))
    await team.workspace.stage.published()

    suggested = await team.owner.get("contacts/suggestions")
    shown = await team.owner.get(f"contacts/{ana}")
    likely = await team.owner.get("contacts/merge", survivor=str(ana))
    found = await team.owner.get("contacts/merge", survivor=str(ana), q="Anna")

    assert phone(1) in suggested.text
    assert "contacts/merge?survivor=" in suggested.text
    assert "has the same number" in shown.text
    for page in (likely, found):
        assert f"loser={anna}" in page.text


async def test_pages_of_merges_are_looked_at(team: Team) -> None:
    ana, anna = await two(team)
    async with team.browser(team.owner) as page:
        for name, path in {
            "merge": f"contacts/merge?survivor={ana}&loser={anna}",
            "merge-with": f"contacts/merge?survivor={ana}&q=Ann",
            "merges-empty": "contacts/merges",
        }.items():
            await page.goto(team.console.url + team.owner.at(path))
            await looked_at(page, name)
        await team.owner.post("contacts/merge", survivor=str(ana), loser=str(anna))
        await page.goto(team.console.url + team.owner.at("contacts/merges"))
        await looked_at(page, "merges")
