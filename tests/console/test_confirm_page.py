"""The queue of held sends: what it shows, and that one word of a person decides."""

import asyncio
from datetime import timedelta
from typing import Any, Final

import pytest
from playwright.async_api import Page, expect

from tests.acceptance.scenes import at, give, hold, join_company, pass_time, phone, protect, standing
from tests.acceptance.stage import Json, Workspace, now
from tests.console.looking import looked_at
from tests.console.running import Member, Team

HOSTILE: Final = (
    "<script>alert(1)</script><img src=x onerror=alert(1)> \u202egpj.exe\u202c "
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 " + "x" * 10_000
)


async def held(workspace: Workspace, count: int, **fields: Any) -> list[Json]:
    """Sends to people of one protected profile, the oldest first."""
    people = [phone(n) for n in range(count)]
    await protect(workspace, *people)
    sends = [
        workspace.send(to={"contact_id": str(await workspace.contact_id(address))}, at=at(10 + n), **fields)
        for n, address in enumerate(people)
    ]
    await workspace.play(*sends)
    return sends


def text(written: str) -> Json:
    return {"type": "text", "text": written}


async def open_queue(page: Page, team: Team, member: Member, path: str = "confirm") -> None:
    await page.goto(team.console.url + member.at(path))


async def test_the_queue_shows_whom_what_why_who_and_until_when(team: Team) -> None:
    send = await hold(team.workspace, content=text("Our offer, signed."), requested_by={"id": "kim", "role": "manager"})
    await join_company(team.workspace, "Acme")

    shown = (await team.agent.get(f"confirm/{send['send_id']}")).text

    for told in ("Our offer, signed.", "kim", "(<bdi>manager</bdi>)", "WhatsApp", "in 2 days", "Expires"):
        assert told in shown
    assert "Held: status <bdi>vip</bdi> protects this profile." in shown
    assert "Confirming holds it once more, for what came since:" in shown
    assert "company <bdi>Acme</bdi> protects this profile" in shown


async def test_keys_answer_one_hold_after_the_other(team: Team) -> None:
    first, second = await held(team.workspace, 2)
    async with team.browser(team.agent) as page:
        await open_queue(page, team, team.agent)

        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await expect(page.locator("#hold form.answers")).to_be_visible()
        await page.keyboard.press("c")
        await expect(page.locator("#notices .notice")).to_contain_text("Confirmed.")
        await expect(page).to_have_url(team.console.url + team.agent.at(f"confirm/{second['send_id']}"))
        await page.keyboard.press("r")
        await expect(page.locator("#notices .notice")).to_contain_text("Rejected.")

        await expect(page.locator("#hold")).to_contain_text("Nothing waits for you.")
    assert (await standing(team.workspace, first))[0] == "dispatched"
    assert (await standing(team.workspace, second))[0] == "rejected"


async def test_a_key_that_is_held_down_answers_one_hold(team: Team) -> None:
    sends = await held(team.workspace, 3)
    async with team.browser(team.agent) as page:
        await open_queue(page, team, team.agent, f"confirm/{sends[0]['send_id']}")
        await page.keyboard.down("c")
        await expect(page.locator("#notices .notice")).to_contain_text("Confirmed.")
        for _ in range(5):
            await page.keyboard.down("c")  # as a keyboard repeats it
        await page.keyboard.up("c")
        await expect(page.locator("#queue .row")).to_have_count(2)
        await page.keyboard.press("r")
        await expect(page.locator("#queue .row")).to_have_count(1)

    assert [(await standing(team.workspace, send))[0] for send in sends] == ["dispatched", "rejected", "held"]


async def test_one_hold_is_answered_without_the_script(team: Team) -> None:
    first, second = await held(team.workspace, 2)
    async with team.browser(team.agent, scripted=False) as page:
        await open_queue(page, team, team.agent)

        await page.locator("#queue .row").first.click()
        await page.get_by_role("button", name="Reject").click()
        await expect(page.locator("#notices .notice")).to_contain_text("Rejected.")
        await page.get_by_role("button", name="Confirm and send").click()
        await expect(page.locator("#notices .notice")).to_contain_text("Confirmed.")
    assert (await standing(team.workspace, first))[0] == "rejected"
    assert (await standing(team.workspace, second))[0] == "dispatched"


@pytest.mark.parametrize("scripted", [True, False])
async def test_a_group_is_answered_after_its_figures(team: Team, *, scripted: bool) -> None:
    sends = await held(team.workspace, 3, group_id="spring")
    await team.workspace.play(team.workspace.message("STOP", address=phone(2)))
    async with team.browser(team.owner, scripted=scripted) as page:
        await open_queue(page, team, team.owner, f"confirm/{sends[0]['send_id']}")
        await expect(page.locator(".bar")).to_contain_text("3 of the group spring wait.")
        assert not await page.locator("dialog#confirm-group").count()

        await page.get_by_text("Confirm all…").click()

        question = page.locator("dialog#confirm-group")
        await expect(question).to_contain_text("2 are sent now.")
        await expect(question).to_contain_text("1 is refused.")
        await question.get_by_role("button", name="Confirm 3 sends").click()
        await expect(page.locator("#notices .notice")).to_contain_text("2 sent, 1 refused.")
    assert [(await standing(team.workspace, send))[0] for send in sends] == ["dispatched", "dispatched", "refused"]


async def test_of_two_people_the_second_is_told_who_was_first(team: Team) -> None:
    send = await hold(team.workspace)
    path = f"confirm/{send['send_id']}"
    async with team.browser(team.manager) as hers, team.browser(team.agent, scripted=False) as his:
        await open_queue(hers, team, team.manager, path)
        await open_queue(his, team, team.agent, path)

        await hers.keyboard.press("r")
        await expect(hers.locator("#notices .notice")).to_contain_text("Rejected.")
        await his.get_by_role("button", name="Confirm and send").click()

        told = his.locator("#notices .notice.failed")
        await expect(told).to_contain_text(f"Somebody else was first. {team.manager.person.name} rejected it")
    assert (await standing(team.workspace, send))[0] == "rejected"


async def test_of_two_at_once_one_wins_and_both_are_told(team: Team) -> None:
    send = await hold(team.workspace)
    path = f"confirm/{send['send_id']}"

    answers = await asyncio.gather(team.manager.post(path, answer="confirm"), team.agent.post(path, answer="reject"))
    told = [(await member.get("confirm")).text for member in (team.manager, team.agent)]

    assert [answer.status_code for answer in answers] == [303, 303]
    status = (await standing(team.workspace, send))[0]
    won = 0 if status == "dispatched" else 1
    assert "notice done" in told[won]
    assert "Somebody else was first." in told[1 - won]


async def test_what_waits_no_more_says_what_became_of_it(team: Team) -> None:
    rejected, confirmed = await held(team.workspace, 2)
    await team.manager.post(f"confirm/{rejected['send_id']}", answer="reject")
    await team.owner.post(f"confirm/{confirmed['send_id']}", answer="confirm")

    shown = [(await team.agent.get(f"confirm/{send['send_id']}")).text for send in (rejected, confirmed)]

    assert f"{team.manager.person.name} rejected it" in shown[0]
    assert f"{team.owner.person.name} confirmed it" in shown[1]


async def test_a_block_meanwhile_cancels_and_the_page_says_so(team: Team) -> None:
    send = await hold(team.workspace)
    await give(team.workspace, "block_contact", contact_id=str(await team.workspace.contact_id()))

    answer = await team.agent.post(f"confirm/{send['send_id']}", answer="confirm")
    shown = (await team.agent.get(answer.headers["location"].partition(team.workspace.id + "/")[2])).text

    assert "Somebody else was first. It was cancelled" in shown
    assert "The contact is blocked" in shown


async def test_who_asked_may_reject_but_not_confirm_where_two_must(team: Team) -> None:
    await team.workspace.play(team.workspace.command("configure_workspace", set={"two_person_confirm": True}))
    own = {"id": team.agent.person.name, "role": "agent"}
    send = await hold(team.workspace, requested_by=own)
    async with team.browser(team.agent) as page:
        await open_queue(page, team, team.agent, f"confirm/{send['send_id']}")

        await expect(page.locator("#does")).to_contain_text("Another person must confirm it")
        await expect(page.get_by_role("button", name="Confirm and send")).to_be_disabled()
        await page.keyboard.press("c")
        await page.keyboard.press("r")
        await expect(page.locator("#notices .notice")).to_contain_text("Rejected.")
    assert (await standing(team.workspace, send))[0] == "rejected"


async def test_a_reason_that_came_since_holds_once_more_and_stays_open(team: Team) -> None:
    send = await hold(team.workspace)
    await join_company(team.workspace, "Acme")

    answer = await team.agent.post(f"confirm/{send['send_id']}", answer="confirm")

    assert answer.headers["location"].endswith(f"/confirm/{send['send_id']}")
    shown = (await team.agent.get(f"confirm/{send['send_id']}")).text
    assert "held once more" in shown
    assert "Confirming sends it now." in shown


async def test_an_expired_hold_is_not_offered_for_confirmation(team: Team) -> None:
    send = await hold(team.workspace)
    await pass_time(team.workspace, send, "expires_at")

    shown = (await team.agent.get(f"confirm/{send['send_id']}")).text

    assert "expired" in shown
    assert "disabled" in shown or "This send does not wait any more." in shown


async def test_hostile_texts_are_text_in_every_look(team: Team) -> None:
    sender = {"name": "<b>\u202eRemetente</b> " + "n" * 400}
    await team.workspace.play(team.workspace.message(sender=sender | {"address": phone(0)}, at=at(1)))
    [send, _] = await held(team.workspace, 2, content=text(HOSTILE))
    async with team.browser(team.owner) as page:
        await open_queue(page, team, team.owner, f"confirm/{send['send_id']}")

        assert HOSTILE in (await page.locator("#hold .quoted").text_content() or "")
        assert not await page.locator("#hold .quoted *").count()
        await looked_at(page, "confirm-hostile")


async def test_the_empty_queue_and_a_full_one_look_right(team: Team) -> None:
    async with team.browser(team.agent) as page:
        await open_queue(page, team, team.agent)
        await expect(page.locator("#queue")).to_contain_text("Nothing waits.")
        await looked_at(page, "confirm-empty")

        sends = await held(team.workspace, 6, group_id="spring", content=text("Our spring catalogue is here."))
        await open_queue(page, team, team.agent, f"confirm/{sends[1]['send_id']}?ask=confirm-group")
        await looked_at(page, "confirm-question")
        await open_queue(page, team, team.agent, f"confirm/{sends[1]['send_id']}")
        await looked_at(page, "confirm")


async def test_a_long_queue_is_read_page_by_page(team: Team) -> None:
    people = [phone(n) for n in range(60)]
    await protect(team.workspace, *people)
    sends = [
        team.workspace.send(
            to={"contact_id": str(await team.workspace.contact_id(address))}, at=now() - timedelta(minutes=1)
        )
        for address in people
    ]
    await team.workspace.play_together(*sends)
    async with team.browser(team.agent, scripted=False) as page:
        await open_queue(page, team, team.agent)
        first = await page.locator("#queue .row").count()
        await expect(page.locator("#queue .row").first).to_contain_text("+4915187650")  # who has no name has a number
        await page.get_by_role("link", name="More").click()
        rest = await page.locator("#queue .row").count()

        assert (first, rest) == (50, 10)
        await page.locator("#queue .row").first.click()
        assert await page.locator("#queue .row").count() == 10
        await page.get_by_role("button", name="Reject").click()
        assert await page.locator("#queue .row").count() == 9
