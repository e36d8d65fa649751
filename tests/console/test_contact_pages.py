"""Contacts in the console: what owners and managers see and change, with and without the script."""

import csv
from io import StringIO
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from playwright.async_api import Page, expect

from tests.acceptance.scenes import phone
from tests.acceptance.stage import PHONE, Json, Workspace
from tests.console.looking import looked_at
from tests.console.running import Member, Team
from workers.rules import contact_sheet

HOSTILE: Final = "<script>alert(1)</script><img src=x onerror=alert(1)>\u202egpj.exe"
SCRIPTED: Final = pytest.mark.parametrize("scripted", [True, False], ids=["script", "no script"])


def named(workspace: Workspace, name: str, address: str = PHONE, **fields: Any) -> Json:
    return workspace.message(address=address, sender={"address": address, "name": name}, **fields)


async def met(team: Team, name: str = "Ana", address: str = PHONE) -> UUID:
    """Somebody who has written."""
    await team.workspace.play(named(team.workspace, name, address))
    return await team.workspace.contact_id(address)


async def overview(team: Team, contact_id: UUID) -> Json:
    return await team.workspace.row("contact_overview", contact_id=contact_id)


async def go(page: Page, team: Team, member: Member, path: str) -> None:
    await page.goto(team.console.url + member.at(path))


def told(page: Page) -> Any:
    return expect(page.locator("#notices .notice"))


@SCRIPTED
async def test_fields_are_edited_and_an_emptied_one_shows_the_channels_value(team: Team, scripted: bool) -> None:  # noqa: FBT001
    ana = await met(team)
    async with team.browser(team.owner, scripted=scripted) as page:
        await go(page, team, team.owner, f"contacts/{ana}")
        await page.get_by_label("First name").fill("Anabel")
        await page.get_by_label("Country").fill("gb")
        await page.locator("form.fields button").click()
        await told(page).to_contain_text("Saved.")
        edited = await overview(team, ana)
        await page.get_by_label("First name").fill("")
        await page.locator("form.fields button").click()
        await expect(page.get_by_label("First name")).to_have_value("Ana")

    assert (edited["first_name"], edited["country"]) == ("Anabel", "GB")
    assert (await overview(team, ana))["first_name"] == "Ana"


@SCRIPTED
async def test_what_does_not_fit_is_told_beside_its_field_and_what_was_typed_stays(team: Team, scripted: bool) -> None:  # noqa: FBT001
    ana = await met(team)
    async with team.browser(team.manager, scripted=scripted) as page:
        await go(page, team, team.manager, f"contacts/{ana}")
        await page.get_by_label("Last name").fill("Souza")
        await page.get_by_label("Phone").fill("12")
        await page.get_by_label("E-mail").fill("nobody")
        await page.locator("form.fields button").click()

        await expect(page.locator("#field-phone-error")).to_contain_text("Write a telephone number")
        await expect(page.locator("#field-email-error")).to_contain_text("Write one e-mail address")
        assert await page.get_by_label("Last name").input_value() == "Souza"
        assert await page.get_by_label("Phone").input_value() == "12"
        assert await page.get_by_label("Phone").get_attribute("aria-invalid") == "true"
        await page.get_by_label("Phone").fill("+44 20 7946 0958")
        await page.get_by_label("E-mail").fill("ana@example.com")
        await page.locator("form.fields button").click()
        await told(page).to_contain_text("Saved.")

    row = await overview(team, ana)
    assert (row["last_name"], row["phone"], row["email"]) == ("Souza", "+442079460958", "ana@example.com")


async def test_two_people_edit_two_fields_of_one_contact(team: Team) -> None:
    ana = await met(team)
    # Both forms were opened when neither name was written.
    was = {"act": "edit", "was.first_name": '["Ana"]', "was.last_name": "[]", "first_name": "Ana", "last_name": ""}

    await team.owner.post(f"contacts/{ana}", **(was | {"first_name": "Anabel"}))
    await team.manager.post(f"contacts/{ana}", **(was | {"last_name": "Souza"}))

    row = await overview(team, ana)
    assert (row["first_name"], row["last_name"]) == ("Anabel", "Souza")


async def test_each_type_of_custom_field_is_edited(team: Team) -> None:
    kinds = {"t": "text", "n": "number", "c": "checkbox", "d": "date", "h": "time", "u": "url", "e": "email"}
    defined = [team.workspace.command("define_field", scope="contact", name=k, type=v) for k, v in kinds.items()]
    colours = ["red", "blue", "green"]
    a_list = team.workspace.command("define_field", scope="contact", name="l", type="list", options=colours)
    await team.workspace.play(*defined, a_list)
    ana = await met(team)
    typed = {"t": "two\r\nlines", "n": "12.5", "c": "false", "d": "2026-03-01", "h": "09:30", "u": "https://x.example/"}
    typed |= {"e": "a@example.com"}
    fields: dict[str, Any] = {f"custom.{name}": value for name, value in typed.items()}
    fields |= {"custom.l": ["red", "green"]} | {f"was.custom.{name}": "[]" for name in (*kinds, "l")}

    await team.owner.post(f"contacts/{ana}", act="edit", **fields)
    wrong = await team.owner.post(f"contacts/{ana}", act="edit", **{"custom.n": "many", "was.custom.n": '["12.5"]'})

    assert (await overview(team, ana))["custom"] == {
        "t": "two\nlines",
        "n": 12.5,
        "c": False,
        "d": "2026-03-01",
        "h": "09:30",
        "u": "https://x.example/",
        "e": "a@example.com",
        "l": ["red", "green"],
    }
    assert "Write a number, such as 12.5." in wrong.text


@SCRIPTED
async def test_tags_are_added_and_removed_and_the_notice_takes_it_back(team: Team, scripted: bool) -> None:  # noqa: FBT001
    ana = await met(team)
    async with team.browser(team.owner, scripted=scripted) as page:
        await go(page, team, team.owner, f"contacts/{ana}")
        await page.locator("#new-tag").fill("vip & more")
        await page.get_by_role("button", name="Add").click()
        await told(page).to_contain_text("Tag vip & more added.")
        await page.get_by_role("button", name="Remove the tag vip & more").click()
        await told(page).to_contain_text("removed")
        assert (await overview(team, ana))["tags"] == []
        await page.get_by_role("button", name="Undo").click()
        await told(page).to_contain_text("added")

        await go(page, team, team.owner, "contacts?tag=vip %26 more")
        await expect(page.locator("#list tbody tr")).to_have_count(1)
    assert (await overview(team, ana))["tags"] == ["vip & more"]


@SCRIPTED
async def test_a_channel_is_removed_after_a_question(team: Team, scripted: bool) -> None:  # noqa: FBT001
    ana = await met(team)
    async with team.browser(team.owner, scripted=scripted) as page:
        await go(page, team, team.owner, f"contacts/{ana}")
        await page.get_by_role("button", name="Remove…").click()
        await expect(page.get_by_role("dialog")).to_contain_text(f"Remove {PHONE}?")
        assert await team.workspace.rows("contact_channels", contact_id=ana, state="active")
        await page.get_by_role("button", name="Remove the channel").click()
        await told(page).to_contain_text(f"{PHONE} removed.")

    assert not await team.workspace.rows("contact_channels", contact_id=ana, state="active")


@SCRIPTED
async def test_a_contact_is_made_once_and_a_known_address_leads_to_who_has_it(team: Team, scripted: bool) -> None:  # noqa: FBT001
    async with team.browser(team.manager, scripted=scripted) as page:
        for name, words in (("Bo", "Contact made."), ("Other", "belongs to this contact already")):
            await go(page, team, team.manager, "contacts/new")
            await page.get_by_label("Number, e-mail address or id").fill("+447700900123")
            await page.get_by_label("First name").fill(name)
            await page.get_by_label("Tags, with commas between them").fill("new, from the fair")
            await page.get_by_role("button", name="Make the contact").click()
            await told(page).to_contain_text(words)

    [row] = await team.workspace.rows("contact_overview")
    assert (row["first_name"], row["phone"], row["tags"]) == ("Bo", "+447700900123", ["from the fair", "new"])


async def test_search_finds_by_a_part_of_the_name_and_by_the_whole_address(team: Team) -> None:
    await met(team, "Ana Souza")
    await met(team, "Bo Lindqvist", phone(1))

    by_name = await team.owner.get("contacts", q="lindq")
    by_address = await team.owner.get("contacts", q=PHONE)
    nobody = await team.owner.get("contacts", q="nobody has this name")

    assert ("Bo Lindqvist" in by_name.text, "Ana Souza" in by_name.text) == (True, False)
    assert ("Bo Lindqvist" in by_address.text, "Ana Souza" in by_address.text) == (False, True)
    assert "No contact fits" in nobody.text


async def test_blocked_contacts_stand_apart(team: Team) -> None:
    ana = await met(team, "Ana Souza")
    await team.workspace.play(team.workspace.command("block_contact", contact_id=str(ana)))

    listed, blocked = await team.owner.get("contacts"), await team.owner.get("contacts", blocked="1")
    one = await team.owner.get(f"contacts/{ana}")

    assert ("Ana Souza" in listed.text, "Ana Souza" in blocked.text) == (False, True)
    assert "Blocked" in one.text
    assert "olga" in one.text


async def test_paging_walks_hundreds_of_contacts_once(team: Team) -> None:
    made = [
        team.workspace.command("create_contact", identity={"channel": "telegram", "address": str(10_000 + n)})
        for n in range(250)
    ]
    await team.workspace.play_together(*made)
    seen: list[str] = []
    async with team.browser(team.owner) as page:
        await go(page, team, team.owner, "contacts")
        while True:
            seen += await page.locator("#list tbody input").evaluate_all("boxes => boxes.map((box) => box.value)")
            if not await page.get_by_role("link", name="More").count():
                break
            await page.get_by_role("link", name="More").click()
            await page.wait_for_load_state("load")

    assert len(seen) == len(set(seen)) == 250


async def test_hostile_texts_are_shown_as_text(team: Team) -> None:
    ana = await met(team, HOSTILE)
    await team.workspace.play(team.workspace.command("add_tag", contact_id=str(ana), tag=HOSTILE))
    async with team.browser(team.owner) as page:
        for path in ("contacts", f"contacts/{ana}", f"contacts/merge?survivor={ana}", f"contacts/delete?contact={ana}"):
            await go(page, team, team.owner, path)
            assert HOSTILE in await page.locator("main").inner_text(), path
            assert await page.locator("main img, main script").count() == 0


async def test_the_list_is_used_by_keyboard_alone(team: Team) -> None:
    await met(team, "Ana")
    bo = await met(team, "Bo", phone(1))
    async with team.browser(team.owner) as page:
        await go(page, team, team.owner, "contacts")
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(team.console.url + team.owner.at(f"contacts/{bo}"))
        await page.keyboard.press("/")
        await page.keyboard.type("Ana")
        await page.keyboard.press("Enter")
        await expect(page.locator("#list tbody tr")).to_have_count(1)


@SCRIPTED
async def test_a_selection_is_deleted_with_the_count_typed(team: Team, scripted: bool) -> None:  # noqa: FBT001
    ana, bo = await met(team, "Ana"), await met(team, "Bo", phone(1))
    async with team.browser(team.owner, scripted=scripted) as page:
        await go(page, team, team.owner, "contacts")
        await page.get_by_label("Choose Ana").check()
        await page.get_by_role("button", name="Delete the chosen ones…").click()
        await expect(page.get_by_role("dialog")).to_contain_text("Delete 1 contact?")
        await expect(page.get_by_role("dialog")).to_contain_text("1 message is erased.")
        await page.get_by_label("Type 1 to confirm").fill("2")
        await page.get_by_role("button", name="Delete 1 contact").click()
        await expect(page.get_by_role("alert")).to_contain_text("The number of contacts differs")
        await page.get_by_label("Type 1 to confirm").fill("1")
        await page.get_by_role("button", name="Delete 1 contact").click()
        await told(page).to_contain_text("1 contact deleted.")

        async def finished() -> bool:
            return bool(await team.workspace.rows("deletions", done=1)) and not await team.workspace.rows(
                "deletions", finished_at=None
            )

        await team.workspace.stage.until(finished, "the deletion does not finish")
        if not scripted:
            await page.reload()
        await expect(page.locator("#deletions")).to_contain_text("Finished")

    assert await team.workspace.rows("contact_overview", contact_id=ana) == []
    assert (await overview(team, bo))["display_name"] == "Bo"


async def test_all_contacts_are_deleted_with_the_count_typed(team: Team) -> None:
    await met(team, "Ana")
    await met(team, "Bo", phone(1))

    asked = await team.owner.get("contacts/delete", all="1")
    differs = await team.owner.post("contacts/delete", all="1", expected_count="1")
    no_number = await team.owner.post("contacts/delete", all="1", expected_count="both")
    done = await team.owner.post("contacts/delete", all="1", expected_count="2")

    assert "Delete all contacts: 2?" in asked.text
    assert "The number of contacts differs" in differs.text
    assert "Type the number of contacts." in no_number.text
    assert done.status_code == 303
    assert await team.workspace.rows("contact_overview") == []


async def test_the_export_is_the_sheet_of_the_command_line_without_formulas_and_audited(team: Team) -> None:
    await met(team, "=HYPERLINK(1)")
    await met(team, "Bo", phone(1))

    sheet = await team.manager.post("contacts/export")
    lines = list(csv.DictReader(StringIO(sheet.text)))

    assert sheet.headers["content-type"] == "text/csv; charset=utf-8"
    assert sheet.headers["content-disposition"].startswith("attachment")
    assert list(lines[0]) == contact_sheet.head(())
    assert {line["display_name"] for line in lines} == {"'=HYPERLINK(1)", "Bo"}
    [audited] = await team.workspace.rows("audit_log", command="export_contacts")
    assert (audited["actor"], audited["outcome"]) == (team.manager.person.name, "done")


@SCRIPTED
async def test_the_export_is_downloaded(team: Team, scripted: bool) -> None:  # noqa: FBT001
    await met(team)
    async with team.browser(team.owner, scripted=scripted) as page:
        await go(page, team, team.owner, "contacts")
        async with page.expect_download() as downloading:
            await page.get_by_role("button", name="Export CSV").click()
        assert (await downloading.value).suggested_filename.endswith(".csv")


async def test_a_restricted_manager_neither_deletes_nor_exports(team: Team) -> None:
    ana = await met(team)
    restricted = await team.console.member(
        f"kim-{uuid4()}", "manager", [team.workspace.id], ["contact_deletion", "data_export"]
    )

    listed, one = await restricted.get("contacts"), await restricted.get(f"contacts/{ana}")
    refused = [
        await restricted.get("contacts/delete", contact=str(ana)),
        await restricted.post("contacts/delete", contact=str(ana), expected_count="1"),
        await restricted.post("contacts/export"),
    ]

    assert "Export CSV" not in listed.text
    assert "contacts/delete" not in listed.text + one.text
    assert [answer.status_code for answer in refused] == [403] * 3
    assert (await overview(team, ana))["contact_id"] == ana


async def test_for_an_agent_there_are_no_contacts(team: Team) -> None:
    ana = await met(team)
    paths = ("contacts", "contacts/new", f"contacts/{ana}", "contacts/merge", "contacts/merges", "contacts/suggestions")

    shown = [await team.agent.get(path) for path in (*paths, "contacts/delete", "contacts/deletions")]
    given = [await team.agent.post(path) for path in (f"contacts/{ana}", "contacts/merge", "contacts/export")]

    assert {answer.status_code for answer in shown + given} == {404}
    assert 'href="' + team.agent.at("contacts") not in (await team.agent.get("profiles")).text


async def test_pages_of_contacts_are_looked_at(team: Team) -> None:
    async with team.browser(team.owner) as page:
        await go(page, team, team.owner, "contacts")
        await looked_at(page, "contacts-empty")
        await team.workspace.play(
            team.workspace.command("define_field", scope="contact", name="plan", type="list", options=["a", "b"]),
            team.workspace.command("define_field", scope="contact", name="newsletter", type="checkbox"),
        )
        ana = await met(team, "Ana Souza")
        await met(team, "B" * 500, phone(1))
        await team.workspace.play(
            *(team.workspace.command("add_tag", contact_id=str(ana), tag=f"tag {n}") for n in range(5)),
            team.workspace.command(
                "update_contact", identity={"channel": "whatsapp", "address": phone(1)}, set={"phone": PHONE}
            ),
        )
        await team.workspace.stage.published()
        for name, path in {
            "contacts": "contacts",
            "contact": f"contacts/{ana}",
            "contact-new": "contacts/new",
            "suggestions": "contacts/suggestions",
            "delete": f"contacts/delete?contact={ana}",
            "deletions": "contacts/deletions",
        }.items():
            await go(page, team, team.owner, path)
            await looked_at(page, name)
        await go(page, team, team.owner, f"contacts/{ana}")
        await page.get_by_label("Phone").fill("12")
        await page.locator("form.fields button").click()
        await expect(page.locator("#field-phone-error")).to_be_visible()
        await looked_at(page, "contact-broken")
