"""Contract section 2, merge_contacts, undo_merge and remove_channel: their effects, in topics and views."""

from tests.acceptance.scenes import at, by, give, phone, run, whatsapp
from tests.acceptance.stage import PHONE, Workspace

OTHER = phone(1)


async def two(workspace: Workspace) -> tuple[str, str]:
    """Two contacts who wrote a message each."""
    await workspace.play_together(
        workspace.message("from ana", at=at(0)), workspace.message("from ben", address=OTHER, at=at(1))
    )
    ana, ben = [await workspace.contact_id(address=address) for address in (PHONE, OTHER)]
    return str(ana), str(ben)


async def active_then(workspace: Workspace) -> int:
    """The count of the cycle of the messages. Another cycle may have begun since."""
    rows = await workspace.rows("mac_counts")
    active: int = min(rows, key=lambda row: row["cycle_start"])["active_contacts"]
    return active


async def test_rule_2_merge_contacts_makes_one_of_two(workspace: Workspace) -> None:
    ana, ben = await two(workspace)
    await workspace.play(workspace.event("run_started", "r-1", at=at(2), identity=whatsapp(OTHER)))
    merge = workspace.command("merge_contacts", survivor_id=ana, loser_id=ben, issued_at=at(5))
    await workspace.play(merge)

    row = await workspace.row("contact_overview")
    assert (str(row["contact_id"]), row["phone"]) == (ana, PHONE)
    assert len(await workspace.rows("conversation_messages", contact_id=row["contact_id"])) == 2
    assert await run(workspace, "r-1") == ("halted", "contact_merged")
    history = await workspace.row("merge_history")
    assert [str(history[name]) for name in ("merge_id", "survivor_id", "loser_id")] == [merge["command_id"], ana, ben]
    assert (history["undone_at"], await active_then(workspace)) == (None, 1)


async def test_rule_2_undo_merge_parts_them_again(workspace: Workspace) -> None:
    ana, ben = await two(workspace)
    merge = workspace.command("merge_contacts", survivor_id=ana, loser_id=ben, issued_at=at(5))
    await workspace.play(merge, workspace.message("later", address=OTHER, at=at(6)))
    assert len(await workspace.rows("conversation_messages")) == 3
    changed = await give(workspace, "undo_merge", merge_id=merge["command_id"], issued_at=at(7))

    assert changed == {"merge_id": merge["command_id"]}
    assert {str(row["contact_id"]) for row in await workspace.rows("contact_overview")} == {ana, ben}
    of_ben = [row for row in await workspace.rows("conversation_messages") if str(row["contact_id"]) == ben]
    assert len(of_ben) == 2
    assert await active_then(workspace) == 2
    again = {"merge_id": merge["command_id"], "issued_at": at(8)}
    assert await give(workspace, "undo_merge", **again) == "already_final"


async def test_rule_2_merge_contacts_is_refused_with_a_blocked_contact(workspace: Workspace) -> None:
    ana, ben = await two(workspace)
    await give(workspace, "block_contact", contact_id=ben, issued_at=at(3))
    both = {"survivor_id": ana, "loser_id": ben, "issued_at": at(5)}

    assert await give(workspace, "merge_contacts", **both) == "contact_blocked"
    assert await give(workspace, "merge_contacts", **both | {"loser_id": ana}) == "same_contact"
    assert await give(workspace, "merge_contacts", **both | by("anna")) == "not_permitted"
    assert len(await workspace.rows("contact_overview")) == 2


async def test_rule_2_a_removed_address_that_writes_again_is_a_new_contact(workspace: Workspace) -> None:
    await workspace.play(workspace.message("one", at=at(0)))
    first = (await workspace.row("contact_overview"))["contact_id"]
    asked = {"identity": whatsapp(PHONE), "issued_at": at(5)}
    assert await give(workspace, "remove_channel", **asked | by("anna")) == "not_permitted"
    assert await give(workspace, "remove_channel", **asked | by("max", "manager", "contacts")) == {
        "contact_id": str(first)
    }
    await workspace.play(workspace.message("two", at=at(6)), workspace.message("before", at=at(4)))

    texts = {row["content"]["text"]: row["contact_id"] for row in await workspace.rows("conversation_messages")}
    assert (texts["one"], texts["before"]) == (first, first)
    assert texts["two"] != first
