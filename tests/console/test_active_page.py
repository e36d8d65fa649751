"""Active contacts: a cycle in figures, sentences and days; who counts and why; the export; closing by an owner."""

import csv
import re
from datetime import UTC, datetime, timedelta
from io import StringIO
from uuid import uuid4

import pytest
from playwright.async_api import expect

from tests.acceptance.scenes import at, phone
from tests.acceptance.stage import Workspace
from tests.console.looking import looked_at
from tests.console.running import Team

# A partition that stands still. Workers forget partitions that Kafka does not have, so the row must stay.
STANDING = """
    INSERT INTO sluice_core.input_ends VALUES ('messages.inbound', 99, 5, now());
    CREATE FUNCTION sluice_core.kept() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER kept BEFORE DELETE ON sluice_core.input_ends FOR EACH ROW WHEN (old.partition = 99)
        EXECUTE FUNCTION sluice_core.kept();
"""
GONE = "DROP FUNCTION sluice_core.kept CASCADE; DELETE FROM sluice_core.input_ends WHERE partition = 99"


async def active(workspace: Workspace, count: int = 3) -> None:
    """People who write now."""
    await workspace.play_together(*(workspace.message("hello", address=phone(n)) for n in range(count)))


async def test_the_present_cycle_is_told_in_figures_and_sentences(team: Team) -> None:
    await active(team.workspace)
    await team.workspace.play(team.workspace.command("configure_workspace", set={"mac_limit": 3}))

    async def bounded() -> bool:
        return (await team.workspace.rows("mac_bounds"))[0]["at_most"] is not None

    await team.workspace.stage.until(bounded, "nobody has read the ends of the topics")

    shown = (await team.agent.get("active")).text

    assert "<dd>3</dd>" in shown
    assert re.search(r"(Exactly 3|At least 3 and at most) ", shown)
    assert "The cycle runs for another" in shown
    assert "100 % of the limit of 3 are used: the alert of 100 % was given." in shown
    assert "<svg" in shown
    assert " style=" not in shown


async def test_a_workspace_without_messages_has_no_cycle_yet(team: Team) -> None:
    assert "There is no cycle yet" in (await team.owner.get("active")).text


@pytest.mark.parametrize("scripted", [True, False])
async def test_another_cycle_is_chosen_and_each_contact_is_explained(team: Team, *, scripted: bool) -> None:
    await team.workspace.stay_open()
    before = datetime.now(UTC) - timedelta(days=40)
    await team.workspace.play(team.workspace.message("once", address=phone(1), at=before))
    await active(team.workspace, 1)
    async with team.browser(team.manager, scripted=scripted) as page:
        await page.goto(team.console.url + team.manager.at("active"))
        choice = page.locator("#choose-cycle")
        value = await choice.locator("option", has_text="· 1").last.get_attribute("value")
        await choice.select_option(value)
        if not scripted:
            await page.get_by_role("button", name="Show").click()

        await expect(page.locator(".figures")).to_contain_text("1")
        await page.locator("table a.whole").last.click()

        await expect(page.locator("main")).to_contain_text("Counted, by the message of")
        await expect(page.locator("main")).to_contain_text("It is the proof", ignore_case=True)
        await page.get_by_role("link", name=re.compile("Cycle from")).click()
        await expect(page.locator("#choose-cycle")).to_have_value(value or "")


async def test_a_contact_that_does_not_count_is_explained_as_well(team: Team) -> None:
    await team.workspace.stay_open()
    before = datetime.now(UTC) - timedelta(days=40)
    await team.workspace.play(team.workspace.message("once", address=phone(1), at=before))
    contact = await team.workspace.contact_id(phone(1))

    shown = (await team.agent.get(f"active/{contact}")).text

    assert "Does not count" in shown
    assert "Not counted: none of its messages lies in this cycle." in shown


async def test_the_chart_has_a_table_beside_it_with_the_same_counts(team: Team) -> None:
    await active(team.workspace, 2)
    async with team.browser(team.agent) as page:
        await page.goto(team.console.url + team.agent.at("active"))
        today = datetime.now(UTC).day

        await page.get_by_text("The same as a table").click()

        row = page.locator("details tbody tr").nth(today - 1)
        await expect(row.locator("td").first).to_have_text("2")
        label = await page.locator("svg.chart").get_attribute("aria-labelledby")
        assert [await page.locator(f"#{id_}").count() for id_ in (label or "").split()] == [1, 1]


async def test_the_export_has_who_counts_and_what_was_adjusted(team: Team) -> None:
    await active(team.workspace)
    [cycle] = [row for row in await team.workspace.rows("mac_counts") if row["active_contacts"]]
    start = cycle["cycle_start"]

    answer = await team.agent.get("active/export.csv", cycle=start.isoformat())

    assert answer.headers["content-disposition"] == f'attachment; filename="mac-{start:%Y-%m-%d}.csv"'
    rows = list(csv.DictReader(StringIO(answer.text)))
    assert {row["kind"] for row in rows} == {"contact"}
    counted = {str(row["contact_id"]) for row in await team.workspace.rows("mac_contacts")}
    assert {row["contact_id"] for row in rows} == counted
    assert (await team.agent.get("active/export.csv")).status_code == 404


async def test_a_late_message_is_an_adjustment_with_its_cause(team: Team) -> None:
    workspace = team.workspace
    await workspace.play(workspace.command("configure_workspace", set={"close_grace_hours": 0}, at=at(-1_000_000)))
    old = datetime.now(UTC) - timedelta(days=40)
    await workspace.play(
        workspace.message("once", address=phone(1), at=old), workspace.message("now", address=phone(2))
    )

    async def adjusted() -> bool:
        return bool(await workspace.rows("mac_adjustments"))

    await workspace.stage.until(adjusted, "the late message is no adjustment")
    [adjustment] = await workspace.rows("mac_adjustments")

    shown = (await team.owner.get("active", cycle=adjustment["cycle_start"].isoformat())).text

    assert "The figure is final: 0 contacts were active." in shown
    assert "+1" in shown
    assert "A message" in shown


async def test_only_an_owner_may_close_a_cycle(team: Team) -> None:
    await active(team.workspace, 1)
    [cycle] = await team.workspace.rows("mac_counts")
    fields = {"cycle_start": cycle["cycle_start"].isoformat(), "reason": "the partition is lost"}

    assert (await team.manager.post("active/close", **fields)).status_code == 403
    assert (await team.owner.post("active/close", **fields | {"reason": " "})).status_code == 400
    assert (await team.owner.post("active/close", **fields)).status_code == 303
    told = (await team.owner.get("active")).text
    assert "notice failed" in told  # it is not over yet
    assert "Close the cycle now" not in told


async def test_addresses_of_nothing_do_not_exist(team: Team) -> None:
    await active(team.workspace, 1)
    for path in (
        "active?cycle=x",
        "active?cycle=2001-01-01T00:00:00Z",
        f"active/{uuid4()}",
        "active/x",
        "active?cursor=x",
    ):
        assert (await team.owner.pages.get(team.owner.at(path))).status_code == 404, path
        assert (await team.outsider.pages.get(team.owner.at(path))).status_code == 404, path


async def test_its_pages_are_fit_to_look_at(team: Team) -> None:
    async with team.browser(team.owner) as page:
        await page.goto(team.console.url + team.owner.at("active"))
        await looked_at(page, "active-none")
        sender = {"address": phone(1), "name": "<i>\u202eevil</i>" + "y" * 200}
        await team.workspace.play(team.workspace.message("hello", address=phone(1), sender=sender))
        await active(team.workspace, 60)
        contact = await team.workspace.contact_id(phone(1))
        for path, what in (("active", "cycle"), (f"active/{contact}", "contact")):
            await page.goto(team.console.url + team.owner.at(path))
            await page.locator("summary").first.click() if what == "cycle" else None
            await looked_at(page, f"active-{what}")
        assert not await page.locator("main i").count()


async def test_an_owner_closes_a_cycle_that_a_partition_holds_open(team: Team) -> None:
    workspace, pool = team.workspace, team.workspace.stage.pool
    await pool.execute(STANDING)
    try:
        await workspace.play(workspace.command("configure_workspace", set={"close_grace_hours": 0}, at=at(-1_000_000)))
        old = datetime.now(UTC) - timedelta(days=40)
        await workspace.play(workspace.message("once", address=phone(1), at=old))
        [cycle] = [row for row in await workspace.rows("mac_counts") if row["cycle_start"] <= old < row["cycle_end"]]
        path = f"active?cycle={cycle['cycle_start']:%Y-%m-%dT%H:%M:%SZ}"
        assert "Close the cycle now" not in (await team.manager.pages.get(team.manager.at(path))).text
        async with team.browser(team.owner) as page:
            await page.goto(team.console.url + team.owner.at(path))
            await expect(page.locator(".told .bad")).to_contain_text("It is held open by messages.inbound/99")
            await looked_at(page, "active-held-open")
            await page.get_by_label("Reason").fill("the partition is lost")

            await page.get_by_role("button", name="Close the cycle now").click()

            await expect(page.locator(".notice.done")).to_contain_text("The cycle closes within seconds.")

        async def closed() -> bool:
            row = await workspace.row("mac_counts", cycle_start=cycle["cycle_start"])
            return bool(row["status"] == "closed")

        await workspace.stage.until(closed, "the cycle does not close")
    finally:
        await pool.execute(GONE)
