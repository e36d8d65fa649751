"""What operators see and do: partitions, pending work, and dead letters: shown, read again, replayed, dismissed."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from playwright.async_api import expect

from tests.console.looking import looked_at
from tests.console.running import Team

HOSTILE = b'{"text": "<script>alert(1)</script>\\u202e", "x": "\xe2\x80\xae\x00"'


async def bad(team: Team, *values: bytes, topic: str = "messages.inbound") -> Sequence[int]:
    """Dead letters with these values, in this order; their ids."""
    key = f"{team.workspace.id}:x".encode()
    await team.workspace.stage.publish(topic, *((key, value) for value in values), headers=[("trace", b"<u>1</u>")])
    await team.workspace.stage.applied()
    rows = await team.workspace.stage.pool.fetch(
        "SELECT id FROM sluice_core.dead_letters WHERE key = $1 ORDER BY id", key
    )
    return [row["id"] for row in rows]


async def status(team: Team, letter: int) -> str:
    row: Any = await team.workspace.stage.pool.fetchrow("SELECT status FROM sluice.dead_letters WHERE id = $1", letter)
    return str(row["status"])


def operations(team: Team, path: str = "", **query: str) -> str:
    return f"/operations{path}?{urlencode({'workspace': team.workspace.id, **query})}"


async def test_operators_see_partitions_and_what_is_to_be_done(team: Team) -> None:
    await team.workspace.play(team.workspace.message())

    shown = (await team.operator.pages.get(operations(team))).text

    assert "messages.inbound" in shown
    assert "Working" in shown
    assert "Parked receipts" in shown
    assert f"/w/{team.workspace.id}/confirm" in shown


BEHIND = """
    INSERT INTO sluice_core.progress (
        topic, partition, consumer_group, generation, next_offset, watermark, lease,
        owner, owner_version, owner_since, backend_pid, backend_start
    )
    SELECT 'a.test', 77, 'g-inbound', 1, 5, now() - interval '90 seconds', gen_random_uuid(),
        'far-away/4711/inbound', '9.9.9', now() - interval '2 hours', pid, backend_start
    FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' LIMIT 1
"""
GONE = (
    "DELETE FROM sluice_core.progress WHERE topic = 'a.test'; DELETE FROM sluice_core.input_ends WHERE topic = 'a.test'"
)


async def test_operators_see_workers_and_how_far_behind_they_are(team: Team) -> None:
    pool, pages = team.workspace.stage.pool, [""]
    await pool.execute(BEHIND)

    async def shows_lag() -> bool:
        # The billing worker deletes ends of partitions that Kafka does not have.
        await pool.execute("INSERT INTO sluice_core.input_ends VALUES ('a.test', 77, 47, now()) ON CONFLICT DO NOTHING")
        pages[0] = (await team.operator.pages.get(operations(team))).text
        return '<td class="num">42</td>' in pages[0]

    try:
        await team.workspace.stage.until(shows_lag, "the page does not show the lag")
    finally:
        await pool.execute(GONE)

    [row] = [row for row in pages[0].split("<tr>") if "a.test" in row and '<td class="num">42</td>' in row]
    assert any(f'<td class="num">{seconds}</td>' in row for seconds in range(90, 120))
    [worker] = [row for row in pages[0].split("<tr>") if "far-away" in row and "4711" in row and "9.9.9" in row]
    assert "inbound" in worker


async def test_only_operators_see_them(team: Team) -> None:
    [letter] = await bad(team, b"{")
    for path in ("", "/dead-letters", f"/dead-letters/{letter}"):
        for member in (team.owner, team.manager, team.agent, team.outsider):
            assert (await member.pages.get(operations(team, path))).status_code == 404
        assert (await team.operator.pages.get(operations(team, path))).status_code == 200
    form = {"csrf": team.owner.csrf, "act": "dismiss", "letter": str(letter)}
    assert (await team.owner.pages.post(operations(team, "/dead-letters"), data=form)).status_code == 404
    assert await status(team, letter) == "new"
    for path in ("/dead-letters/0", "/dead-letters/x", f"/dead-letters/{2**70}"):
        assert (await team.operator.pages.get(operations(team, path))).status_code == 404


async def test_a_letter_is_shown_byte_for_byte_and_read_again(team: Team) -> None:
    text, binary = await bad(team, HOSTILE, b"\xff\x00<b>bold</b>")
    async with team.browser(team.operator) as page:
        await page.goto(team.console.url + operations(team, f"/dead-letters/{text}"))
        value = page.locator("pre.raw").last
        await expect(value).to_contain_text("<script>alert(1)</script>")
        await expect(value).to_contain_text("\\u202e\\u0000")
        await expect(page.locator("main")).to_contain_text("It would be a dead letter again:")
        await expect(page.locator("main")).to_contain_text("<u>1</u>")
        await looked_at(page, "dead-letter-text")
        await page.goto(team.console.url + operations(team, f"/dead-letters/{binary}"))
        await expect(page.locator("pre.raw").last).to_contain_text("ff 00 3c 62 3e")
        await looked_at(page, "dead-letter-binary")
        assert not await page.locator("main :is(script, b.bold, u)").count()


@pytest.mark.parametrize("scripted", [True, False])
async def test_chosen_letters_are_dismissed(team: Team, *, scripted: bool) -> None:
    first, second, third = await bad(team, b"{", b"[", b"]")
    async with team.browser(team.operator, scripted=scripted) as page:
        await page.goto(team.console.url + operations(team, "/dead-letters"))
        for letter in (first, third):
            await page.get_by_label(f"Dead letter {letter}", exact=True).check()

        await page.get_by_role("button", name="Dismiss the chosen ones").click()

        await expect(page.locator(".notice.done")).to_contain_text("2 dead letters were dismissed.")
        await expect(page.get_by_label(f"Dead letter {first}", exact=True)).to_have_count(0)
    assert [await status(team, letter) for letter in (first, second, third)] == ["dismissed", "new", "dismissed"]


async def test_what_is_readable_by_now_is_replayed_and_applied(team: Team) -> None:
    message = team.workspace.message("late but there")
    [letter] = await bad(team, b"{")
    await team.workspace.stage.pool.execute(
        "UPDATE sluice_core.dead_letters SET value = $2 WHERE id = $1", letter, msgspec.json.encode(message)
    )
    async with team.browser(team.operator) as page:
        await page.goto(team.console.url + operations(team, f"/dead-letters/{letter}"))
        await expect(page.locator("main")).to_contain_text("It would be understood.")

        await page.get_by_role("button", name="Replay").click()

        await expect(page.locator(".notice.done")).to_contain_text("1 record was produced again.")
    assert await status(team, letter) == "replayed"

    async def applied() -> bool:
        return bool(await team.workspace.rows("conversation_messages"))

    await team.workspace.stage.until(applied, "the replayed record is not applied")


async def test_what_is_not_kept_cannot_be_replayed_and_says_so(team: Team) -> None:
    [letter] = await bad(team, b"{")
    await team.workspace.stage.pool.execute(
        "UPDATE sluice_core.dead_letters SET key = NULL, value = NULL, headers = NULL, erased_at = now() WHERE id = $1",
        letter,
    )
    shown = (await team.operator.pages.get(operations(team, f"/dead-letters/{letter}"))).text
    assert "its content was erased" in shown
    assert 'value="replay"' not in shown

    form = {"csrf": team.operator.csrf, "act": "replay", "letter": str(letter)}
    assert (await team.operator.pages.post(operations(team, "/dead-letters"), data=form)).status_code == 303
    told = (await team.operator.pages.get(operations(team, "/dead-letters"))).text
    assert "1 stayed as it was: impossible: its content was erased." in told
    for wrong in ({"act": "burn"}, {"letter": "x"}):
        answer = await team.operator.pages.post(operations(team, "/dead-letters"), data=form | wrong)
        assert answer.status_code in (400, 404)


async def test_letters_are_filtered_and_read_page_by_page(team: Team) -> None:
    ids = await bad(team, *[b"{" for _ in range(60)])
    first = (await team.operator.pages.get(operations(team, "/dead-letters", topic="messages.inbound"))).text
    following = first.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    second = (await team.operator.pages.get(following)).text
    shown = [letter for letter in ids if f'value="{letter}"' in first or f'value="{letter}"' in second]
    assert shown == list(ids)
    others = (await team.operator.pages.get(operations(team, "/dead-letters", topic="messages.receipts"))).text
    assert f'value="{ids[-1]}"' not in others


async def test_their_pages_are_fit_to_look_at(team: Team) -> None:
    await bad(team, HOSTILE, *[b"{" for _ in range(5)])
    async with team.browser(team.operator) as page:
        for path, what in (("", "operations"), ("/dead-letters", "letters")):
            await page.goto(team.console.url + operations(team, path))
            await looked_at(page, what)
        await page.goto(team.console.url + operations(team, "/dead-letters", error="no such error"))
        await expect(page.locator("main")).to_contain_text("No dead letter fits.")
        await looked_at(page, "letters-none")
