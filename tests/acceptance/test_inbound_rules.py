"""The rules for inbound messages, one by one: records in, views and topics out."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec

from schemas.ids import message_id
from tests.acceptance.stage import PHONE, WHATSAPP, Json, Workspace, at

INSTANT = timedelta(microseconds=1)


async def shown(workspace: Workspace, **equal: Any) -> list[str]:
    """The texts in conversations, oldest first."""
    rows = sorted(await workspace.rows("conversation_messages", **equal), key=lambda row: row["event_time"])
    return [row["content"]["text"] for row in rows]


async def dropped_at(workspace: Workspace) -> list[datetime]:
    """The event times in the drop ledger."""
    return sorted(row["event_time"] for row in await workspace.rows("drop_ledger"))


def blocked(workspace: Workspace, begin: float, end: float) -> list[Json]:
    """A block of the usual identity, and its end; in minutes."""
    return [
        workspace.command("block_contact", identity=WHATSAPP, at=at(begin)),
        workspace.command("unblock_contact", identity=WHATSAPP, at=at(end)),
    ]


async def test_rule_3_1_a_message_inside_a_block_interval_is_dropped(workspace: Workspace) -> None:
    moments = {
        "just before": at(10) - INSTANT,
        "at the begin": at(10),
        "inside": at(15),
        "just before the end": at(20) - INSTANT,
        "at the end": at(20),
    }
    await workspace.play(*blocked(workspace, 10, 20), *(workspace.message(t, at=m) for t, m in moments.items()))

    assert await shown(workspace) == ["just before", "at the end"]
    inside = [moments[text] for text in ("at the begin", "inside", "just before the end")]
    assert await dropped_at(workspace) == inside
    assert {row["reason"] for row in await workspace.rows("drop_ledger")} == {"contact_blocked"}
    assert len(await workspace.outputs("messages.accepted")) == 2
    assert sorted(v["event_time"] for v in await workspace.values("messages.dropped")) == [
        m.isoformat().replace("+00:00", "Z") for m in inside
    ]


async def test_rule_3_1_a_dropped_message_leaves_a_ledger_row_and_changes_nothing_else(workspace: Workspace) -> None:
    secret = f"secret-{uuid4()}"
    profile = workspace.command("create_profile", profile_id="p1", name="Ana")
    attach = workspace.command("attach_contact", profile_id="p1", identity=WHATSAPP)
    await workspace.play(workspace.message("hello", at=at(0)), profile, attach, *blocked(workspace, 10, 20))
    before = await workspace.row("contact_overview")
    content: Json = {"type": "image", "text": secret, "subject": secret, "html": secret}
    content["attachments"] = [{"kind": "image", "url": f"https://cdn.example.org/{secret}", "name": secret}]
    sender = {"address": PHONE, "name": secret, "avatar_url": secret}
    await workspace.play(workspace.message(at=at(15), content=content, sender=sender, extra={"note": secret}))

    assert len(await workspace.rows("drop_ledger")) == 1
    assert await workspace.row("contact_overview") == before
    assert before["conversation_status"] == "closed"
    assert [out for out in await workspace.stage.everything() if secret.encode() in (out.raw or b"")] == []
    views = await workspace.stage.pool.fetch("SELECT viewname FROM pg_views WHERE schemaname = 'sluice'")
    for (view,) in views:
        query = f"SELECT count(*) FROM sluice.{view} AS row WHERE row::text LIKE '%' || $1 || '%'"  # noqa: S608
        assert await workspace.stage.pool.fetchval(query, secret) == 0, view


async def test_rule_3_1_content_is_kept_for_the_quarantine_and_a_ledger_row_goes_with_acceptance(
    workspace: Workspace,
) -> None:
    block, _ = blocked(workspace, 10, 20)
    await workspace.play(block, workspace.message("mistaken", at=at(15)))
    assert await dropped_at(workspace) == [at(15)]

    unblock = workspace.command("unblock_contact", identity=WHATSAPP, at=at(30))
    release = workspace.command("release_dropped", identity=WHATSAPP, **{"from": at(0), "to": at(60)})
    await workspace.play(unblock, release)

    assert (await workspace.result(release))["changed"] == {"messages_revised": 1}
    assert await shown(workspace) == ["mistaken"]
    assert await dropped_at(workspace) == []


async def test_rule_3_1_a_quarantine_of_no_days_erases_at_once(workspace: Workspace) -> None:
    settings = workspace.command("configure_workspace", set={"quarantine_days": 0})
    block, _ = blocked(workspace, 10, 20)
    await workspace.play(settings, block, workspace.message("gone", at=at(15)))

    before_it = workspace.command("unblock_contact", identity=WHATSAPP, at=at(12))
    release = workspace.command("release_dropped", identity=WHATSAPP, **{"from": at(0), "to": at(60)})
    await workspace.play(before_it, release)

    assert (await workspace.result(release))["changed"] == {}
    assert await shown(workspace) == []
    assert await dropped_at(workspace) == [at(15)]


async def test_rule_3_2_a_block_that_arrives_late_revises_what_it_covers(workspace: Workspace) -> None:
    early, covered = workspace.message("early", at=at(5)), workspace.message("covered", at=at(15))
    block, _ = blocked(workspace, 10, 20)
    await workspace.play(early, covered, block)

    assert (await workspace.result(block))["changed"]["messages_revised"] == 1
    assert await shown(workspace) == ["early"]
    assert await dropped_at(workspace) == [at(15)]
    assert [v["content"]["text"] for v in await workspace.values("messages.accepted")] == ["early", "covered"]
    assert await workspace.outputs("messages.dropped") == []
    [revised] = await workspace.values("messages.revised")
    told = {name: revised[name] for name in ("from", "to", "reason", "revision")}
    assert told == {"from": "accepted", "to": "dropped", "reason": "late_block", "revision": 2}
    assert "content" not in revised


async def test_rule_3_2_an_unblock_that_arrives_late_revises_what_was_dropped(workspace: Workspace) -> None:
    block, unblock = blocked(workspace, 10, 20)
    await workspace.play(block, workspace.message("inside", at=at(15)), workspace.message("after", at=at(25)), unblock)

    assert await shown(workspace) == ["after"]
    assert await dropped_at(workspace) == [at(15)]
    [revised] = await workspace.values("messages.revised")
    told = {name: revised[name] for name in ("from", "to", "reason", "revision")}
    assert told == {"from": "dropped", "to": "accepted", "reason": "late_unblock", "revision": 2}
    assert revised["content"]["text"] == "after"
    assert (await workspace.row("contact_overview"))["conversation_status"] == "open"


async def test_rule_3_2_the_order_of_arrival_changes_nothing(workspace: Workspace) -> None:
    orders = [(0, 1, 2, 3, 4, 5, 6, 7, 8), (8, 7, 6, 5, 4, 3, 2, 1, 0), (4, 0, 8, 6, 2, 1, 7, 3, 5)]
    worlds = []
    for number, order in enumerate(orders):
        one = Workspace(workspace.stage, f"{workspace.id}-{number}")
        await one.stay_open()
        facts = [
            *blocked(one, 10, 20),
            one.message("STOP", at=at(12)),
            one.message("back", at=at(22), sender={"address": PHONE, "name": "Ana"}),
            one.message("start", at=at(24)),
            one.message("from the phone", at=at(14), kind="echo"),
            one.event("run_started", "r1", at=at(5)),
            one.event("run_started", "r2", at=at(15)),
            *blocked(one, 30, 40)[:1],
        ]
        await one.play(one.message("introduction", at=at(0)))
        await one.play(*(facts[n] for n in order))
        worlds.append(await _world(one))
    assert worlds[0] == worlds[1] == worlds[2]
    assert worlds[0]["shown"] == ["introduction", "from the phone", "back", "start"]
    assert worlds[0]["runs"] == {"r1": "halted", "r2": "refused"}


async def _world(workspace: Workspace) -> Json:
    contact = await workspace.row("contact_overview")
    names = ("active_contacts", "adjustments", "cycle_start")
    return {
        "shown": await shown(workspace),
        "bypassed": await shown(workspace, bypassed_block=True),
        "dropped": await dropped_at(workspace),
        "status": contact["conversation_status"],
        "name": contact["display_name"],
        "opted_out": (await workspace.row("contact_channels"))["opted_out"],
        "blocked_at": (await workspace.row("blocked_contacts"))["blocked_at"],
        "runs": {row["run_id"]: row["state"] for row in await workspace.rows("workflow_runs")},
        "mac": sorted(tuple(row[name] for name in names) for row in await workspace.rows("mac_counts")),
    }


async def test_rule_3_2_of_two_writes_to_one_value_the_later_by_time_wins(workspace: Workspace) -> None:
    profiles = [workspace.command("create_profile", profile_id=id_, name=id_) for id_ in ("old", "new")]
    later = workspace.command("attach_contact", identity=WHATSAPP, profile_id="new", at=at(20))
    earlier = workspace.command("attach_contact", identity=WHATSAPP, profile_id="old", at=at(10))
    await workspace.play(workspace.message(at=at(0)), *profiles, later, earlier)

    assert (await workspace.row("contact_overview"))["profile_id"] == "new"
    assert (await workspace.result(earlier))["outcome"] == "done"


async def test_rule_3_2_what_a_person_released_is_never_judged_anew(workspace: Workspace) -> None:
    await workspace.play(*blocked(workspace, 10, 20), workspace.message("released", at=at(15)))
    id_ = (await workspace.row("drop_ledger"))["message_id"]
    release = workspace.command("release_dropped", identity=WHATSAPP, message_ids=[str(id_)])
    await workspace.play(release, *blocked(workspace, 5, 9), *blocked(workspace, 14, 16))

    assert await shown(workspace) == ["released"]
    assert [value["reason"] for value in await workspace.values("messages.revised")] == ["released"]


async def test_rule_3_3_a_message_is_applied_once_however_often_it_comes(workspace: Workspace) -> None:
    await workspace.stay_open()
    hello = workspace.message("hello", at=at(0))
    await workspace.play_together(hello, hello)
    await workspace.play(hello | {"received_at": at(3)}, hello)
    elsewhere = [(f"key {n}".encode(), msgspec.json.encode(hello)) for n in range(8)]  # on every partition
    await workspace.stage.publish("messages.inbound", *elsewhere)
    await workspace.stage.applied()

    assert await shown(workspace) == ["hello"]
    assert len({out.head["ce_id"] for out in await workspace.outputs("messages.accepted")}) == 1
    assert await workspace.rows("message_conflicts") == []
    [count] = await workspace.rows("mac_counts", cycle_start=at(0).replace(day=1, hour=0))
    assert count["active_contacts"] + count["adjustments"] == 1


async def test_rule_3_3_the_same_id_with_other_content_is_a_conflict_and_the_first_stays(workspace: Workspace) -> None:
    first = workspace.message("first", at=at(0))
    other = first | {"content": {"type": "text", "text": "other"}}
    await workspace.play(first, other, other)

    assert await shown(workspace) == ["first"]
    conflict = await workspace.row("message_conflicts")
    id_ = message_id(workspace.id, first["channel_id"], "in", first["provider_message_id"])
    assert (conflict["message_id"], conflict["times"]) == (id_, 2)
    assert len(await workspace.outputs("messages.accepted")) == 1


async def test_rule_3_3_another_channel_or_direction_makes_the_same_id_another_message(workspace: Workspace) -> None:
    hello = workspace.message("in", at=at(0))
    echo = hello | {"kind": "echo", "content": {"type": "text", "text": "out"}}
    elsewhere = hello | {"channel_id": "whatsapp-two", "content": {"type": "text", "text": "elsewhere"}}
    await workspace.play(hello, echo, elsewhere)

    assert sorted(await shown(workspace)) == ["elsewhere", "in", "out"]
    assert await workspace.rows("message_conflicts") == []
    ids = {row["message_id"] for row in await workspace.rows("conversation_messages")}
    name = hello["provider_message_id"]
    assert ids == {
        message_id(workspace.id, "whatsapp-main", "in", name),
        message_id(workspace.id, "whatsapp-main", "out", name),
        message_id(workspace.id, "whatsapp-two", "in", name),
    }


async def test_rule_3_5_an_accepted_message_is_shown_told_counted_and_opens(workspace: Workspace) -> None:
    await workspace.stay_open()
    profile = workspace.command("create_profile", profile_id="p1", name="Ana")
    attach = workspace.command("attach_contact", identity=WHATSAPP, profile_id="p1")
    await workspace.play(workspace.message("hello", at=at(0), kind="reaction"), profile, attach)
    assert (await workspace.row("contact_overview"))["conversation_status"] == "closed"
    await workspace.play(workspace.message("hello again", at=at(1)))

    assert (await workspace.row("contact_overview"))["conversation_status"] == "open"
    assert await shown(workspace) == ["hello", "hello again"]
    moments = await workspace.rows("profile_moments", profile_id="p1")
    assert sorted(row["content"]["text"] for row in moments) == ["hello", "hello again"]
    accepted = await workspace.values("messages.accepted")
    assert [(v["content"]["text"], v["profile_id"]) for v in accepted] == [("hello", None), ("hello again", "p1")]
    assert len(await workspace.rows("mac_contacts")) == 1


async def test_rule_3_5_only_a_message_later_than_the_closing_opens(workspace: Workspace) -> None:
    await workspace.play(workspace.message("hello", at=at(0)), *blocked(workspace, 10, 20))
    await workspace.play(workspace.message("a straggler", at=at(9)))
    assert (await workspace.row("contact_overview"))["conversation_status"] == "closed"

    await workspace.play(workspace.message("afterwards", at=at(20)))
    assert (await workspace.row("contact_overview"))["conversation_status"] == "open"


async def test_rule_3_5_reactions_echoes_and_sends_open_nothing(workspace: Workspace) -> None:
    reaction = workspace.message(at=at(0), address="+4915100000001", kind="reaction")
    echo = workspace.message(at=at(0), address="+4915100000002", kind="echo")
    send = workspace.send(to={"address": "+4915100000003"}, at=at(0))
    await workspace.play(reaction, echo, send, workspace.receipt(send, "delivered", at=at(1)))

    contacts = await workspace.rows("contact_overview")
    assert [contact["conversation_status"] for contact in contacts] == ["closed"] * 3


async def test_rule_3_6_an_echo_is_outbound_and_unblocks_nothing(workspace: Workspace) -> None:
    block, _ = blocked(workspace, 10, 20)
    before, inside = (workspace.message(text, at=at(m), kind="echo") for text, m in (("before", 5), ("inside", 15)))
    await workspace.play(workspace.message("hello", at=at(0)), before, block, inside)

    rows = {row["content"]["text"]: row for row in await workspace.rows("conversation_messages")}
    told = {text: (row["direction"], row["bypassed_block"]) for text, row in rows.items()}
    assert told == {"hello": ("in", False), "before": ("out", False), "inside": ("out", True)}
    assert {v["direction"] for v in await workspace.values("messages.accepted")} == {"in", "out"}
    assert (await workspace.row("contact_overview"))["blocked"]


async def test_rule_3_6_an_echo_follows_the_block_history(workspace: Workspace) -> None:
    await workspace.stay_open()
    echo = workspace.message("from the phone", at=at(15), kind="echo")
    await workspace.play(echo)
    assert len(await workspace.rows("mac_contacts")) == 1

    block, unblock = blocked(workspace, 10, 12)
    await workspace.play(block)
    assert (await workspace.row("conversation_messages"))["bypassed_block"]
    assert await workspace.rows("mac_contacts") == []

    await workspace.play(unblock)
    assert not (await workspace.row("conversation_messages"))["bypassed_block"]
    assert len(await workspace.rows("mac_contacts")) == 1
    assert await workspace.rows("drop_ledger") == []
