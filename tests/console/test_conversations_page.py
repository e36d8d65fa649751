"""Conversations: folders, one conversation, and what a person does in it."""

from datetime import timedelta
from typing import Final

import pytest
from playwright.async_api import Page, expect

from tests.acceptance.scenes import at, give, hold, join_company, phone, protect, run
from tests.acceptance.stage import PHONE, WHATSAPP, Json, Workspace, now
from tests.console.looking import looked_at
from tests.console.running import Member, Team

HOSTILE: Final = "<b>bold</b> <script>alert(1)</script> \u202egpj.exe\u202c \U0001f468\u200d\U0001f469 " + "y" * 10_000


async def conversation(workspace: Workspace, *written: str) -> str:
    """The path of a conversation with the usual person."""
    await workspace.play(*(workspace.message(text or "Hello", at=at(n)) for n, text in enumerate(written or ("",))))
    await workspace.stage.published()
    return f"conversations/{await workspace.contact_id()}"


async def open_page(page: Page, team: Team, member: Member, path: str) -> None:
    await page.goto(team.console.url + member.at(path))


async def overview(workspace: Workspace) -> Json:
    return await workspace.row("contact_overview")


async def test_folders_have_counts_and_the_newest_on_top(team: Team) -> None:
    workspace = team.workspace
    people = [phone(n) for n in range(4)]
    await workspace.play(*(workspace.message(address=one, at=at(n)) for n, one in enumerate(people)))
    ids = [str(await workspace.contact_id(one)) for one in people]
    name = team.agent.person.name
    await workspace.play(
        workspace.command("assign_conversation", contact_id=ids[0], assignee=name),
        workspace.command("close_conversation", contact_id=ids[1]),
        workspace.command("snooze_conversation", contact_id=ids[2], until=now() + timedelta(hours=3)),
        workspace.command("block_contact", contact_id=ids[3]),
    )
    await workspace.stage.published()
    async with team.browser(team.agent, scripted=False) as page:
        await open_page(page, team, team.agent, "conversations")
        tabs = await page.locator("#folders a").all_inner_texts()
        shown = {}
        for folder in ("open", "mine", "snoozed", "closed", "blocked"):
            await open_page(page, team, team.agent, f"conversations?folder={folder}")
            shown[folder] = [str(await row.get_attribute("href")) for row in await page.locator("#list .row").all()]

    assert tabs == ["Open 1", "Mine 1", "Snoozed 1", "Closed 1", "Blocked 1"]
    for folder, contact in zip(("open", "mine", "closed", "snoozed", "blocked"), [ids[0], *ids], strict=True):
        assert [contact in href for href in shown[folder]] == [True], folder


async def test_the_list_shows_how_the_last_message_begins(team: Team) -> None:
    await conversation(team.workspace, "The first one", f"{HOSTILE} the last one")

    async with team.browser(team.agent, scripted=False) as page:
        await open_page(page, team, team.agent, "conversations")
        shown = await page.locator("#list .row").inner_text()

    assert HOSTILE[:80] in shown
    assert "The first one" not in shown
    assert "the last one" not in shown


async def test_attaching_to_what_protects_is_asked_first_and_can_be_taken_back(team: Team) -> None:
    workspace = team.workspace
    path = await conversation(workspace)
    await workspace.play(
        workspace.command("define_status", name="vip", protected=True),
        workspace.command("create_profile", profile_id="p-1", name="Ada"),
        workspace.command("set_profile_status", profile_id="p-1", status="vip"),
    )

    asked = await team.agent.post(path, do="attach", profile_id="p-1")
    before = (await overview(workspace))["profile_id"]
    done = await team.agent.post(path, do="attach", profile_id="p-1", sure="1")
    after = (await overview(workspace))["profile_id"]
    shown = await team.agent.pages.get(done.headers["location"])
    await team.agent.post(path, do="detach")

    assert (asked.status_code, "1 contact becomes protected" in asked.text) == (200, True)
    assert (before, done.status_code, after) == (None, 303, "p-1")
    assert 'name="do" value="detach"' in shown.text
    assert (await overview(workspace))["profile_id"] is None


async def test_companies_have_their_names(team: Team) -> None:
    workspace = team.workspace
    path = await conversation(workspace)
    await workspace.play(
        workspace.command("create_profile", profile_id="p-1", name="Ada"),
        workspace.command("attach_contact", identity=WHATSAPP, profile_id="p-1"),
        workspace.command("define_company", company_id="c-71", name="Souza Ltda"),
        workspace.command("set_profile_companies", profile_id="p-1", company_ids=["c-71"]),
    )

    for shown in (await team.agent.get(f"{path}?side=profile"), await team.agent.get("profiles")):
        assert "Souza Ltda" in shown.text
        assert "c-71" not in shown.text


async def test_a_search_finds_contacts(team: Team) -> None:
    await conversation(team.workspace)
    name = (await overview(team.workspace))["display_name"]

    found = (await team.agent.get("conversations", q=name)).text
    nothing = (await team.agent.get("conversations", q="nobody at all")).text

    assert str(await team.workspace.contact_id()) in found
    assert "No contact is found by this." in nothing


async def test_messages_are_shown_with_what_they_carry(team: Team) -> None:
    files = [
        {"kind": "image", "url": "https://files.example/photo.jpg", "size": 482_133, "name": "photo.jpg"},
        {"kind": "file", "url": "javascript:alert(1)", "name": "run.me"},
    ]
    mail = {"type": "text", "subject": "Re: offer", "html": "<p>Hello <b>there</b></p><script>alert(1)</script>"}
    path = await conversation(team.workspace, "First", "Second")
    await team.workspace.play(
        team.workspace.message(content={"type": "image", "attachments": files}, at=at(5)),
        team.workspace.message(content=mail, at=at(6)),
        team.workspace.message("From the phone", kind="echo", at=at(7)),
        team.workspace.command("comment", identity=WHATSAPP, text="For us only", at=at(8)),
    )
    async with team.browser(team.agent) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await open_page(page, team, team.agent, path)
        shown = await page.locator("#talk .bubble").all_inner_texts()

        firsts = [told.split("\n")[0] for told in shown]
        assert firsts == [*("First", "Second", "photo.jpg", "Re: offer", "From the phone", "For us only")]
        assert "Image, 482.1 kB" in shown[2]
        assert "Hello there" in shown[3]
        assert "alert" not in shown[3]
        assert "Sent from the provider's app" in shown[4]
        link = page.get_by_role("link", name="photo.jpg")
        assert await link.get_attribute("rel") == "noopener noreferrer"
        assert not await page.get_by_role("link", name="run.me").count()
        assert not [url for url in asked if "files.example" in url]


async def test_older_messages_are_a_link_away_and_the_newest_is_in_view(team: Team) -> None:
    await team.workspace.play_together(*(team.workspace.message(f"number {n}", at=at(n)) for n in range(70)))
    path = f"conversations/{await team.workspace.contact_id()}"
    async with team.browser(team.agent, scripted=False) as page:
        await open_page(page, team, team.agent, path)
        await expect(page.locator("#talk").get_by_text("number 69")).to_be_in_viewport()
        assert await page.locator("#talk .bubble").count() == 50

        await page.get_by_role("link", name="Older messages").click()
        await expect(page.locator("#talk").get_by_text("number 19")).to_be_in_viewport()
        assert await page.locator("#talk .bubble").count() == 20
        await page.get_by_role("link", name="Newest messages").click()
        await expect(page.locator("#talk").get_by_text("number 69")).to_be_in_viewport()


@pytest.mark.parametrize("scripted", [True, False])
async def test_close_open_assign_and_comment(team: Team, *, scripted: bool) -> None:
    path = await conversation(team.workspace)
    notice = "#notices .notice"
    async with team.browser(team.agent, scripted=scripted) as page:
        await open_page(page, team, team.agent, path)
        await page.get_by_role("button", name="Close", exact=True).first.click()
        await expect(page.locator(notice)).to_contain_text("Closed.")
        assert (await overview(team.workspace))["conversation_status"] == "closed"

        await page.get_by_role("button", name="Open", exact=True).click()
        await expect(page.locator(notice)).to_contain_text("Opened.")
        assert (await overview(team.workspace))["conversation_status"] == "open"

        await page.get_by_label("Assignee").select_option(team.agent.person.name)
        await page.get_by_role("button", name="Assign").click()
        await expect(page.locator(notice)).to_contain_text(f"Assigned to {team.agent.person.name}.")
        assert (await overview(team.workspace))["assignee"] == team.agent.person.name

        await page.get_by_label("Write a message").fill("Only for us")
        await page.get_by_role("button", name="Comment").click()
        await expect(page.locator(notice)).to_contain_text("The comment is kept.")
        await expect(page.locator(".bubble.comment")).to_contain_text("Only for us")
        await expect(page.get_by_label("Write a message")).to_have_value("")


@pytest.mark.parametrize("scripted", [True, False])
async def test_snooze_for_an_hour(team: Team, *, scripted: bool) -> None:
    path = await conversation(team.workspace)
    async with team.browser(team.agent, scripted=scripted) as page:
        await open_page(page, team, team.agent, path)
        await page.get_by_text("Snooze…").click()
        await page.get_by_role("button", name="Snooze", exact=True).click()
        await expect(page.locator("#notices .notice")).to_contain_text("Snoozed until")

    assert (await overview(team.workspace))["conversation_status"] == "snoozed"
    await team.workspace.stage.published()
    until = (await team.workspace.row("inbox"))["snoozed_until"]
    assert timedelta(minutes=50) < until - now() < timedelta(minutes=61)


async def test_a_time_that_is_past_or_none_snoozes_nothing(team: Team) -> None:
    path = await conversation(team.workspace)
    for typed in ("2001-01-01T10:00", "tomorrow", "", "9999-12-31T23:59"):
        await team.agent.post(path, do="snooze", until="typed", typed=typed)
        told = (await team.agent.get(path)).text
        assert "notice failed" in told, typed
    assert (await overview(team.workspace))["conversation_status"] == "open"


@pytest.mark.parametrize("scripted", [True, False])
async def test_a_block_tells_before_and_after_what_it_does(team: Team, *, scripted: bool) -> None:
    send = await hold(team.workspace)
    await team.workspace.play(
        team.workspace.event("run_started", "r-1", at=at(20)), team.workspace.event("run_started", "r-2", at=at(21))
    )
    path = await conversation(team.workspace)
    async with team.browser(team.agent, scripted=scripted) as page:
        await open_page(page, team, team.agent, path)
        await page.get_by_text("Block…").click()
        question = page.locator("dialog#block")
        await expect(question).to_contain_text("2 running workflows stop.")
        await expect(question).to_contain_text("1 held send is cancelled.")
        await question.get_by_label("Note").fill("abuse")
        await question.get_by_role("button", name="Block and stop 2 workflows").click()

        notice = page.locator("#notices .notice")
        await expect(notice).to_contain_text("Blocked. 2 workflows stopped. 1 held send cancelled.")
        off = page.locator("#off")
        await expect(off).to_contain_text(f"Blocked by {team.agent.person.name}")
        await expect(off).to_contain_text("from ")
        for name in ("Open", "Send"):
            button = page.get_by_role("button", name=name, exact=True)
            await expect(button).to_be_disabled()
            await expect(button).to_have_attribute("title", "Not possible while the contact is blocked")

        await page.get_by_text("Unblock…").click()
        await page.locator("dialog#unblock").get_by_role("button", name="Unblock").click()
        await expect(notice).to_contain_text("Unblocked.")
    assert (await run(team.workspace, "r-1"))[0] == "halted"
    assert (await overview(team.workspace))["blocked"] is False
    assert send["send_id"]


async def test_a_mistaken_block_can_give_its_messages_back(team: Team) -> None:
    path = await conversation(team.workspace)
    await give(team.workspace, "block_contact", identity=WHATSAPP, at=at(30))
    await team.workspace.play(team.workspace.message("dropped", at=at(31)))
    assert "1 message was dropped" in (await team.agent.get(path)).text
    assert 'name="release"' not in (await team.agent.get(path, ask="unblock")).text
    assert 'name="release"' in (await team.manager.get(path, ask="unblock")).text

    assert (await team.agent.post(f"{path}/unblock", release="1")).status_code == 403
    assert (await overview(team.workspace))["blocked"] is True
    await team.manager.post(f"{path}/unblock", release="1")
    await team.workspace.stage.published()
    shown = (await team.manager.get(path)).text

    assert "come back" in shown
    assert ">dropped</p>" in shown


async def test_a_message_that_bypassed_a_block_is_marked(team: Team) -> None:
    path = await conversation(team.workspace)
    await give(team.workspace, "block_contact", identity=WHATSAPP, at=at(30))
    await team.workspace.play(team.workspace.message("sorry", kind="echo", at=at(31)))

    assert "Sent although blocked" in (await team.agent.get(path)).text


@pytest.mark.parametrize("scripted", [True, False])
async def test_attach_by_typing_a_name_then_detach_and_undo(team: Team, *, scripted: bool) -> None:
    await give(team.workspace, "create_profile", profile_id="p-1", name="Acme Trading")
    path = await conversation(team.workspace)
    notice = "#notices .notice"
    async with team.browser(team.agent, scripted=scripted) as page:
        await open_page(page, team, team.agent, path)
        await page.get_by_text("Attach…").click()
        await page.get_by_label("Name of the profile").fill("acme tr")
        if not scripted:
            await page.get_by_role("button", name="Find").click()
        await page.get_by_role("button", name="Acme Trading").click()
        await expect(page.locator(notice)).to_contain_text("Attached to the profile.")
        assert (await overview(team.workspace))["profile_id"] == "p-1"

        await page.get_by_role("button", name="Detach").click()
        await expect(page.locator(notice)).to_contain_text("Detached from the profile.")
        assert (await overview(team.workspace))["profile_id"] is None
        await page.get_by_role("button", name="Undo").click()
        await expect(page.locator(notice)).to_contain_text("Attached to the profile.")
    assert (await overview(team.workspace))["profile_id"] == "p-1"


async def test_attach_makes_a_profile_that_does_not_exist(team: Team) -> None:
    path = await conversation(team.workspace)

    await team.agent.post(path, do="attach", name="Brand new")

    assert "Attached to the new profile Brand new." in (await team.agent.get(path)).text


@pytest.mark.parametrize("scripted", [True, False])
async def test_a_message_leaves(team: Team, *, scripted: bool) -> None:
    path = await conversation(team.workspace)
    async with team.browser(team.agent, scripted=scripted) as page:
        await open_page(page, team, team.agent, path)
        await page.get_by_label("Write a message").fill("With pleasure")
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(page.locator("#notices .notice")).to_contain_text("On its way by WhatsApp.")
        await expect(page.locator(".bubble.out")).to_contain_text("With pleasure")

    [send] = await team.workspace.rows("sends")
    assert send["status"] == "dispatched"


async def test_the_alert_of_a_protected_profile_before_and_after(team: Team) -> None:
    await protect(team.workspace)
    await join_company(team.workspace, "Acme")
    path = await conversation(team.workspace)
    async with team.browser(team.agent) as page:
        await open_page(page, team, team.agent, path)
        alert = page.locator(".compose .alert")
        await expect(alert).to_contain_text("status vip protects this profile")
        await expect(alert).to_contain_text("company Acme protects this profile")

        await page.get_by_label("Write a message").fill("An offer")
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(page.locator("#notices .notice")).to_contain_text("Held until somebody confirms it.")
        await expect(page.locator(".bubble.waiting")).to_contain_text("An offer")

        await page.get_by_label("Write a message").fill("Another offer")
        await page.get_by_role("button", name="Send and confirm").click()
        await expect(page.locator("#notices .notice")).to_contain_text("On its way by WhatsApp.")
        await looked_at(page, "conversation-protected")
    assert sorted(row["status"] for row in await team.workspace.rows("sends")) == ["dispatched", "held"]


async def test_where_two_must_confirm_nobody_sends_and_confirms(team: Team) -> None:
    await protect(team.workspace)
    await team.workspace.play(team.workspace.command("configure_workspace", set={"two_person_confirm": True}))
    path = await conversation(team.workspace)

    shown = (await team.agent.get(path)).text
    channel = (await team.workspace.row("channels"))["channel_id"]
    tried = await team.agent.post(f"{path}/messages", text="x", route=channel, **{"as": "confirmed"})

    assert "Send and confirm" not in shown
    assert tried.status_code == 403
    assert await team.workspace.rows("sends") == []


async def test_a_refusal_keeps_the_typed_text(team: Team) -> None:
    path = await conversation(team.workspace)
    async with team.browser(team.agent) as page:
        await open_page(page, team, team.agent, path)
        await page.get_by_label("Write a message").fill("Precious words")
        await team.workspace.play(team.workspace.message("STOP"))

        await page.get_by_role("button", name="Send", exact=True).click()

        await expect(page.locator("#notices .notice")).to_contain_text("The contact opted out at this address.")
        await expect(page.get_by_label("Write a message")).to_have_value("Precious words")


async def test_a_form_that_is_sent_twice_sends_once(team: Team) -> None:
    path = await conversation(team.workspace)
    channel = (await team.workspace.row("channels"))["channel_id"]
    fields = {"text": "once", "route": channel, "once": "5b2f6c1e-8a41-4c0e-9a57-0a4a3e1d7b11", "as": "message"}

    answers = [await team.agent.post(f"{path}/messages", **fields) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [303, 303]
    assert len(await team.workspace.rows("sends")) == 1


async def test_the_profile_stands_beside_the_conversation(team: Team) -> None:
    await protect(team.workspace)
    await give(team.workspace, "add_note", profile_id="p-vip", text="Prefers mornings")
    path = await conversation(team.workspace)
    async with team.browser(team.agent, scripted=False) as page:
        await open_page(page, team, team.agent, path)
        side = page.locator("#side")
        await side.get_by_role("link", name="Profile", exact=True).click()
        await expect(side).to_contain_text("Prefers mornings")
        await expect(side).to_contain_text("status vip protects this profile")

        await page.get_by_role("button", name="Close", exact=True).first.click()
        await expect(side).to_contain_text("Prefers mornings")
        await side.get_by_role("link", name="Contact", exact=True).click()
        await expect(side).to_contain_text("Assignee")


async def test_an_old_id_of_a_merged_contact_leads_to_the_survivor(team: Team) -> None:
    await team.workspace.play(team.workspace.message(), team.workspace.message(address=phone(1)))
    survivor, loser = [await team.workspace.contact_id(one) for one in (PHONE, phone(1))]
    await give(team.workspace, "merge_contacts", survivor_id=str(survivor), loser_id=str(loser))

    answer = await team.agent.get(f"conversations/{loser}")

    assert answer.status_code == 303
    assert answer.headers["location"].endswith(f"/conversations/{survivor}")


async def test_contacts_of_others_and_nonsense_do_not_exist(team: Team) -> None:
    path = await conversation(team.workspace)

    for missing in ("conversations/nonsense", "conversations?folder=secret", "conversations?cursor=x"):
        assert (await team.agent.get(missing)).status_code == 404, missing
    assert (await team.outsider.pages.get(team.agent.at(path))).status_code == 404


async def test_keys_alone_reach_a_conversation_and_its_actions(team: Team) -> None:
    await conversation(team.workspace)
    async with team.browser(team.agent) as page:
        await open_page(page, team, team.agent, "conversations")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await expect(page.locator("#about")).to_be_visible()
        await page.keyboard.press("/")
        await expect(page.locator("#q")).to_be_focused()
        await page.keyboard.press("Escape")
        for _ in range(60):
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement.textContent.trim()") == "Block…":
                break
        await page.keyboard.press("Enter")
        await expect(page.locator("dialog#block")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator("dialog#block")).not_to_be_visible()
        await page.get_by_label("Write a message").focus()
        await page.keyboard.type("typed c and r and j")
        await expect(page.get_by_label("Write a message")).to_have_value("typed c and r and j")


async def test_hostile_texts_are_text_in_every_look(team: Team) -> None:
    sender = {"address": PHONE, "name": "<h1>\u202eName</h1> " + "n" * 400}
    await team.workspace.play(
        team.workspace.message(HOSTILE, sender=sender, at=at(1)),
        team.workspace.command("add_tag", identity=WHATSAPP, tag="<i>" + "t" * 120),
        team.workspace.command("comment", identity=WHATSAPP, text=HOSTILE),
    )
    path = f"conversations/{await team.workspace.contact_id()}"
    async with team.browser(team.owner) as page:
        await open_page(page, team, team.owner, path)
        assert HOSTILE in (await page.locator("#talk").text_content() or "")
        await looked_at(page, "conversation-hostile")


async def test_each_state_looks_right(team: Team) -> None:
    async with team.browser(team.agent) as page:
        await open_page(page, team, team.agent, "conversations")
        await expect(page.locator("#list")).to_contain_text("No open conversation.")
        await looked_at(page, "conversations-empty")
        path = await conversation(team.workspace, *"abcdefgh")
        await give(team.workspace, "block_contact", identity=WHATSAPP)
        await open_page(page, team, team.agent, path)
        await looked_at(page, "conversation-blocked")
        for question in ("snooze", "attach", "unblock"):
            await open_page(page, team, team.agent, f"{path}?ask={question}&profile=a")
            await expect(page.locator(f"dialog#{question}")).to_be_visible()
            await looked_at(page, f"conversation-{question}")
