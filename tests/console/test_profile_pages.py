"""Profiles in the console: fields, protection, notes, contacts, moments; and what describes them."""

import re
from typing import Any, Final
from urllib.parse import quote, unquote
from uuid import UUID, uuid4

import pytest
from playwright.async_api import Page, expect

from tests.acceptance.scenes import phone, protect
from tests.acceptance.stage import PHONE, Json
from tests.console.looking import looked_at
from tests.console.running import Member, Team

HOSTILE: Final = "</textarea><script>alert(1)</script>\u202egpj.exe"
SCRIPTED: Final = pytest.mark.parametrize("scripted", [True, False], ids=["script", "no script"])


async def known(team: Team, **fields: Any) -> UUID:
    """A profile `p-1` named Souza Ltda, with Ana attached."""
    w = team.workspace
    await w.play(
        w.message(sender={"address": PHONE, "name": "Ana"}),
        w.command("create_profile", profile_id="p-1", **({"name": "Souza Ltda"} | fields)),
    )
    ana = await w.contact_id()
    await w.play(w.command("attach_contact", contact_id=str(ana), profile_id="p-1"))
    return ana


async def overview(team: Team, profile_id: str = "p-1") -> Json:
    return await team.workspace.row("profile_overview", profile_id=profile_id)


async def go(page: Page, team: Team, member: Member, path: str) -> None:
    await page.goto(team.console.url + member.at(path))


def told(page: Page) -> Any:
    return expect(page.locator("#notices .notice"))


@SCRIPTED
async def test_a_profile_is_made_and_its_fields_are_edited(team: Team, scripted: bool) -> None:  # noqa: FBT001
    await team.workspace.play(team.workspace.command("define_field", scope="profile", name="seats", type="number"))
    async with team.browser(team.agent, scripted=scripted) as page:
        await go(page, team, team.agent, "profiles/new")
        await page.get_by_label("Name").fill("Souza Ltda")
        await page.get_by_role("button", name="Make the profile").click()
        await told(page).to_contain_text("Profile made.")
        await page.get_by_label("seats").fill("many")
        await page.locator("form.fields button").click()
        await expect(page.locator(".error")).to_contain_text("Write a number, such as 12.5.")
        await page.get_by_label("seats").fill("12")
        await page.locator("form.fields button").click()
        await told(page).to_contain_text("Saved.")

    [row] = await team.workspace.rows("profile_overview")
    assert (row["name"], row["fields"]) == ("Souza Ltda", {"seats": 12})


async def test_the_same_form_sent_twice_makes_one_profile(team: Team) -> None:
    once = str(uuid4())

    answers = [await team.agent.post("profiles/new", once=once, name="Souza Ltda") for _ in range(2)]

    assert len({answer.headers["location"] for answer in answers}) == 1
    assert len(await team.workspace.rows("profile_overview")) == 1


@SCRIPTED
async def test_a_status_that_protects_is_set_after_its_impact_was_shown(team: Team, scripted: bool) -> None:  # noqa: FBT001
    await known(team)
    await team.workspace.play(team.workspace.command("define_status", name="vip", protected=True))
    async with team.browser(team.agent, scripted=scripted) as page:
        await go(page, team, team.agent, "profiles/p-1")
        await page.locator("#status").select_option("vip")
        await page.locator("form:has(#status) button").click()
        await expect(page.get_by_role("dialog")).to_contain_text("1 contact becomes protected")
        assert (await overview(team))["status"] is None
        await page.get_by_role("button", name="Protect").click()
        await told(page).to_contain_text("Status set.")
        await expect(page.locator("#profile")).to_contain_text("Status vip protects this profile.")

    assert (await overview(team))["protected"] is True


async def test_companies_that_the_form_does_not_show_stay(team: Team) -> None:
    await known(team)
    w = team.workspace
    await w.play(*(w.command("define_company", company_id=one, name=one) for one in ("a", "b", "c")))
    await w.play(w.command("set_profile_companies", profile_id="p-1", company_ids=["a", "b"]))

    await team.agent.post("profiles/p-1", act="companies", shown=["b", "c"], company=["c"])

    assert (await overview(team))["companies"] == ["a", "c"]


@SCRIPTED
async def test_notes_are_written_changed_and_deleted_after_a_question(team: Team, scripted: bool) -> None:  # noqa: FBT001
    await known(team)
    async with team.browser(team.agent, scripted=scripted) as page:
        await go(page, team, team.agent, "profiles/p-1")
        await page.get_by_label("New note").fill("first line\nsecond line")
        await page.get_by_role("button", name="Add the note").click()
        await told(page).to_contain_text("Note added.")
        await page.locator(".note summary").click()
        await page.locator(".note textarea").fill("changed")
        await page.locator(".note").get_by_role("button", name="Save").click()
        await told(page).to_contain_text("Note changed.")
        [note] = (await overview(team))["notes"]
        await page.locator(".note summary").click()
        await page.get_by_role("button", name="Delete the note").click()
        await expect(page.get_by_role("dialog")).to_contain_text("Delete this note?")
        await page.get_by_role("button", name="Delete the note").click()
        await told(page).to_contain_text("Note deleted.")

    assert (note["text"], note["edited_by"]) == ("changed", team.agent.person.name)
    assert (await overview(team))["notes"] == []


@SCRIPTED
async def test_contacts_are_detached_with_one_click_undone_and_attached(team: Team, scripted: bool) -> None:  # noqa: FBT001
    ana = await known(team)
    w = team.workspace
    await w.play(w.message(address=phone(1), sender={"address": phone(1), "name": "Bo"}))
    async with team.browser(team.agent, scripted=scripted) as page:
        await go(page, team, team.agent, "profiles/p-1")
        await page.get_by_role("button", name="Detach").click()
        await told(page).to_contain_text("Detached.")
        assert (await w.row("contact_overview", contact_id=ana))["profile_id"] is None
        await page.get_by_role("button", name="Undo").click()
        await told(page).to_contain_text("Attached.")
        assert (await w.row("contact_overview", contact_id=ana))["profile_id"] == "p-1"
        await page.get_by_label("Find a contact to attach").fill("Bo")
        await page.get_by_label("Find a contact to attach").press("Enter")
        await page.get_by_role("button", name="Attach", exact=True).click()
        await told(page).to_contain_text("Attached.")
        await expect(page.locator("#contacts tbody tr")).to_have_count(2)


@SCRIPTED
async def test_a_deleted_profile_lets_its_contacts_stay(team: Team, scripted: bool) -> None:  # noqa: FBT001
    ana = await known(team)
    async with team.browser(team.manager, scripted=scripted) as page:
        await go(page, team, team.manager, "profiles/p-1")
        await page.get_by_role("button", name="Delete…").click()
        await expect(page.get_by_role("dialog")).to_contain_text("1 contact is detached and stays.")
        await page.get_by_role("button", name="Delete the profile").click()
        await told(page).to_contain_text("Profile deleted. Its contacts stay.")

    assert await team.workspace.rows("profile_overview") == []
    assert (await team.workspace.row("contact_overview", contact_id=ana))["profile_id"] is None


async def test_an_agent_deletes_no_profile(team: Team) -> None:
    await known(team)

    shown = await team.agent.get("profiles/p-1")
    given = await team.agent.post("profiles/p-1", act="delete", sure="1")

    assert "Delete…" not in shown.text
    assert given.status_code == 403
    assert await overview(team)


async def test_moments_of_all_contacts_and_channels_and_their_attachments_are_gathered(team: Team) -> None:
    await known(team)
    w = team.workspace
    files = [{"kind": "file", "url": "https://files.example/offer.pdf", "name": "offer.pdf", "size": 2048}]
    await w.play(
        w.message(address="bo@example.com", channel="email", content={"type": "text", "html": "<p>By <b>mail</b></p>"}),
        w.message(content={"type": "file", "attachments": files}),
    )
    bo = await w.contact_id("bo@example.com")
    await w.play(w.command("attach_contact", contact_id=str(bo), profile_id="p-1"))

    moments = await team.agent.get("profiles/p-1", view="moments")
    gathered = await team.agent.get("profiles/p-1", view="attachments")

    for shown in ("hello", "By mail", "WhatsApp", "E-mail", "offer.pdf"):
        assert shown in moments.text
    assert 'href="https://files.example/offer.pdf"' in gathered.text
    assert "By mail" not in gathered.text


async def test_statuses_companies_and_fields_are_defined_and_protect_after_their_impact(team: Team) -> None:
    await known(team)
    w, at = team.workspace, "profiles/settings"
    await team.owner.post(at, act="status", name="vip")
    await team.owner.post(at, act="company", company_id="acme", name="Acme")
    await team.owner.post(at, act="field", scope="profile", name="plan", type="list", options="a\r\nb")
    await team.agent.post("profiles/p-1", act="companies", shown=["acme"], company=["acme"])

    asked = await team.owner.post(at, act="protect_company", company_id="acme", name="Acme")
    before = (await overview(team))["protected"]
    done = await team.owner.post(at, act="protect_company", company_id="acme", name="Acme", sure="1")
    twice = await team.owner.post(at, act="status", name="vip", protected="1")
    shown = await team.owner.get(at)
    wrong = await team.owner.post(at, act="field", scope="profile", name="empty", type="list", options="")

    assert "1 contact becomes protected" in asked.text
    assert (before, (await overview(team))["protected"], done.status_code) == (False, True, 303)
    assert "This status exists already." in twice.text
    assert [row["options"] for row in await w.rows("field_definitions")] == [["a", "b"]]
    assert "Stop protecting" in shown.text
    assert "options: expected 1 to 500 texts" in wrong.text.replace("`", "")


async def test_who_may_define_is_who_is_offered_it(team: Team) -> None:
    await team.workspace.play(team.workspace.command("define_company", company_id="acme", name="Acme"))
    restricted = await team.console.member(f"kim-{uuid4()}", "manager", [team.workspace.id], ["settings"])

    pages = {m.person.role: (await m.get("profiles/settings")).text for m in (team.agent, restricted, team.owner)}
    given = [await m.post("profiles/settings", act="status", name="vip") for m in (team.agent, restricted)]
    protected = await restricted.post(
        "profiles/settings", act="protect_company", company_id="acme", name="Acme", sure="1"
    )

    assert ["New status" in page for page in pages.values()] == [False, False, True]
    assert ["Protect…" in page for page in pages.values()] == [False, True, True]
    assert [answer.status_code for answer in given] == [403, 403]
    assert protected.status_code == 303


@pytest.mark.parametrize("profile_id", ["a/b", "settings", "new", "..", "ä ö?&#%", HOSTILE])
async def test_any_id_has_a_page(team: Team, profile_id: str) -> None:
    await team.workspace.play(team.workspace.command("create_profile", profile_id=profile_id, name="Souza Ltda"))
    async with team.browser(team.agent) as page:
        await go(page, team, team.agent, "profiles")
        await page.get_by_role("link", name="Souza Ltda").click()
        await expect(page.locator("h1")).to_contain_text("Souza Ltda")
        await page.get_by_label("New note").fill("noted")
        await page.get_by_role("button", name="Add the note").click()
        await told(page).to_contain_text("Note added.")
    assert (await overview(team, profile_id))["notes"][0]["text"] == "noted"


async def test_hostile_texts_are_shown_as_text(team: Team) -> None:
    await known(team, name=HOSTILE)
    w = team.workspace
    await w.play(
        w.command("add_note", profile_id="p-1", text=HOSTILE),
        w.command("define_status", name=HOSTILE, protected=True),
        w.command("define_company", company_id=HOSTILE, name=HOSTILE),
        w.command("set_profile_status", profile_id="p-1", status=HOSTILE),
        w.message(HOSTILE),
    )
    async with team.browser(team.owner) as page:
        for path in ("profiles", "profiles/p-1", "profiles/p-1?view=moments", "profiles/settings"):
            await go(page, team, team.owner, path)
            assert HOSTILE in await page.locator("main").inner_text(), path
            assert await page.locator("main script").count() == 0


async def test_search_and_an_unknown_profile(team: Team) -> None:
    await known(team)

    found, none = await team.agent.get("profiles", q="souza"), await team.agent.get("profiles", q="nobody")
    missing = await team.agent.get(f"profiles/{quote('p/2', safe='')}")
    of_another = await team.outsider.pages.get(team.owner.at("profiles/p-1"))

    assert "Souza Ltda" in found.text
    assert "No profile has this in its name." in none.text
    assert (missing.status_code, of_another.status_code) == (404, 404)


async def test_pages_of_profiles_are_looked_at(team: Team) -> None:
    async with team.browser(team.owner) as page:
        await go(page, team, team.owner, "profiles")
        await looked_at(page, "profiles-empty")
        await protect(team.workspace)
        w = team.workspace
        await w.play(
            w.command("add_note", profile_id="p-vip", text="x" * 600),
            w.command("define_company", company_id="acme", name="A" * 200),
            w.command("define_field", scope="profile", name="plan", type="list", options=["a", "b"]),
        )
        for name, path in {
            "profiles": "profiles",
            "profile": "profiles/p-vip?attach=x",
            "profile-moments": "profiles/p-vip?view=moments",
            "profile-attachments": "profiles/p-vip?view=attachments",
            "profile-new": "profiles/new",
            "profile-settings": "profiles/settings",
        }.items():
            await go(page, team, team.owner, path)
            await looked_at(page, name)
        await go(page, team, team.owner, "profiles/settings")
        await page.get_by_role("button", name="Protect…").first.click()
        await expect(page.get_by_role("dialog")).to_be_visible()
        await looked_at(page, "protect")


async def test_companies_are_shown_page_by_page(team: Team) -> None:
    made = [
        team.workspace.command("define_company", company_id=f"company-{n:03}", name=f"Number {n}") for n in range(60)
    ]
    await team.workspace.play_together(*made)
    first = (await team.owner.get("profiles/settings")).text
    link = re.search(r'profiles/settings\?cursor=([^"&]+)"', first)
    assert link is not None
    second = (await team.owner.get("profiles/settings", cursor=unquote(link[1]))).text

    pages = [set(re.findall(r"company-\d{3}", shown)) for shown in (first, second)]
    assert [len(page) for page in pages] == [50, 10]
    assert not pages[0] & pages[1]
