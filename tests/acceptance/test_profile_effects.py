"""Contract section 2, profiles and notes; section 7, pages and search: read in topics and views."""

from typing import Any

from tests.acceptance.scenes import at, by, give, phone, whatsapp
from tests.acceptance.stage import PHONE, Workspace

P1 = {"profile_id": "p-1"}


async def make(workspace: Workspace, *addresses: str, **fields: Any) -> None:
    """A profile p-1 with these people, who have written."""
    await workspace.play_together(*(workspace.message(f"from {a}", address=a, at=at(0)) for a in addresses))
    await give(workspace, "create_profile", **P1, name="Ada", issued_at=at(1), **fields)
    for address in addresses:
        await give(workspace, "attach_contact", **P1, identity=whatsapp(address), issued_at=at(1))


async def test_rule_2_update_profile_renames_by_the_later_write(workspace: Workspace) -> None:
    await make(workspace)
    renamed = {"fields": ["name"]}
    assert await give(workspace, "update_profile", **P1, set={"name": "Babbage"}, issued_at=at(9)) == renamed
    assert await give(workspace, "update_profile", **P1, set={"name": "Late"}, issued_at=at(5)) == {}
    assert (await workspace.row("profile_overview"))["name"] == "Babbage"
    unknown = await give(workspace, "update_profile", profile_id="p-9", set={"name": "x"})
    assert unknown == "not_found"
    assert await give(workspace, "update_profile", **P1, set={}) == "invalid"


async def test_rule_2_notes_are_added_edited_and_deleted(workspace: Workspace) -> None:
    await make(workspace)
    added = await give(workspace, "add_note", **P1, text="Prefers letters", issued_at=at(2), **by("anna"))
    assert isinstance(added, dict)
    note = P1 | added
    assert await give(workspace, "edit_note", **note, text="Prefers calls", issued_at=at(4), **by("ben")) == added
    assert await give(workspace, "edit_note", **note, text="Too old", issued_at=at(3)) == {}
    [shown] = (await workspace.row("profile_overview"))["notes"]
    assert shown == {
        "note_id": added["note_id"],
        "text": "Prefers calls",
        "created_by": "anna",
        "created_at": shown["created_at"],
        "edited_by": "ben",
        "edited_at": shown["edited_at"],
    }
    assert await give(workspace, "delete_note", **note) == added
    assert await give(workspace, "delete_note", **note) == {}
    assert await give(workspace, "edit_note", **note, text="Back") == "not_found"
    assert (await workspace.row("profile_overview"))["notes"] == []


async def test_rule_2_delete_profile_detaches_its_contacts_and_keeps_them(workspace: Workspace) -> None:
    people = (phone(1), phone(2))
    await make(workspace, *people)
    assert await give(workspace, "delete_profile", **P1, **by("anna")) == "not_permitted"
    assert await give(workspace, "delete_profile", **P1) == P1 | {"contacts_detached": 2}
    assert await give(workspace, "delete_profile", **P1) == {}
    assert await give(workspace, "update_profile", **P1, set={"name": "Back"}, issued_at=at(1)) == "not_found"
    assert await give(workspace, "attach_contact", **P1, identity=whatsapp(phone(1))) == "not_found"

    assert await workspace.rows("profile_overview") == []
    assert [row["profile_id"] for row in await workspace.rows("contact_list")] == [None, None]
    assert len(await workspace.rows("conversation_messages")) == 2
    newest = {fact["contact_id"]: fact["profile_id"] for fact in await workspace.values("contacts.changes")}
    assert list(newest.values()) == [None, None]


async def test_rule_7_pages_show_the_timeline_of_all_contacts_of_a_profile(workspace: Workspace) -> None:
    await make(workspace, phone(1), phone(2))
    await workspace.play_together(
        *(workspace.message(f"{n}", address=phone(1 + n % 2), at=at(10 + n)) for n in range(7)),
        workspace.message("a stranger", at=at(12)),
    )
    pool = workspace.stage.pool
    page = "SELECT * FROM sluice.profile_page($1, 'p-1', $2, $3, 4)"
    first = await pool.fetch(page, workspace.id, None, None)
    second = await pool.fetch(page, workspace.id, first[-1]["event_time"], first[-1]["message_id"])
    assert [row["content"]["text"] for row in first + second][:7] == ["6", "5", "4", "3", "2", "1", "0"]
    shown = [(row["event_time"], row["message_id"]) for row in await workspace.rows("profile_moments")]
    assert [(row["event_time"], row["message_id"]) for row in first + second] == sorted(shown, reverse=True)[:8]
    contact_id = first[0]["contact_id"]
    one = await pool.fetch("SELECT * FROM sluice.conversation_page($1, $2, NULL, NULL, 2)", workspace.id, contact_id)
    assert [(row["content"]["text"], row["kind"], row["status"]) for row in one] == [
        ("6", "message", "received"),
        ("4", "message", "received"),
    ]


async def test_rule_7_profiles_and_contacts_are_found(workspace: Workspace) -> None:
    await workspace.play(workspace.message(sender={"address": PHONE, "name": "Ada Lovelace"}))
    await make(workspace)
    pool = workspace.stage.pool
    found = await pool.fetch("SELECT * FROM sluice.search_profiles($1, 'ADA', 10)", workspace.id)
    assert [row["profile_id"] for row in found] == ["p-1"]
    for query in ("lovelace", PHONE):
        rows = await pool.fetch("SELECT * FROM sluice.search_contacts($1, $2, 10)", workspace.id, query)
        assert [dict(row) for row in rows] == await workspace.rows("contact_list")
