"""Contract section 6: which runs continue, which steps are granted, and what engines hear."""

from typing import Any, Final
from uuid import uuid4

from tests.acceptance.scenes import (
    at,
    become,
    controls,
    hold,
    moment,
    once,
    pass_time,
    phone,
    protect,
    run,
    standing,
    whatsapp,
)
from tests.acceptance.stage import PHONE, WHATSAPP, Json, Workspace

CONTROL: Final = {"workspace_id", "run_id", "control", "step_id", "outcome", "reason", "contact_id", "at", "revision"}
CONTACT_STEPS: Final = (
    "send_message",
    "ask_question",
    "open_conversation",
    "close_conversation",
    "snooze_conversation",
)
OTHER_STEPS: Final = ("assign", "add_tag", "comment", "http_request", "branch", "wait", "other")


def start(workspace: Workspace, run_id: str, minutes: float, trigger: str = "automatic", **fields: Any) -> Json:
    return workspace.event("run_started", run_id, at=at(minutes), trigger=trigger, **fields)


def step(workspace: Workspace, run_id: str, minutes: float, action: str = "add_tag", step_id: str = "1") -> Json:
    return workspace.event("step_requested", run_id, at=at(minutes), action=action, step_id=step_id)


def block(workspace: Workspace, minutes: float, address: str = PHONE) -> Json:
    return workspace.command("block_contact", identity=whatsapp(address), at=at(minutes))


def unblock(workspace: Workspace, minutes: float) -> Json:
    return workspace.command("unblock_contact", identity=WHATSAPP, at=at(minutes))


async def fact(workspace: Workspace, run_id: str, control: str) -> Json:
    """The only fact of a kind that a run's engine was told."""
    [found] = once(await workspace.outputs("workflows.control"), run_id=run_id, control=control)
    assert found.keys() == CONTROL
    return found


# --- alive when a block begins


async def test_rule_6_a_run_that_is_alive_when_a_block_begins_is_halted(workspace: Workspace) -> None:
    blocked = block(workspace, 5)
    await workspace.play(workspace.message(at=at(0)), start(workspace, "r-1", 1), step(workspace, "r-1", 2), blocked)
    contact_id = await workspace.contact_id()

    assert await workspace.row("workflow_runs") == {
        "workspace_id": workspace.id,
        "run_id": "r-1",
        "workflow_id": "welcome",
        "contact_id": contact_id,
        "trigger": "automatic",
        "state": "halted",
        "reason": "contact_blocked",
    }
    assert (await workspace.result(blocked))["changed"]["runs_halted"] == 1
    granted, halted = [await fact(workspace, "r-1", control) for control in ("step_granted", "run_halted")]
    assert (halted["workspace_id"], halted["contact_id"]) == (workspace.id, str(contact_id))
    assert (halted["reason"], halted["step_id"], halted["outcome"]) == ("contact_blocked", None, None)
    assert moment(halted["at"]) == at(5)
    assert halted["revision"] > granted["revision"]


async def test_rule_6_shortcuts_that_run_are_halted_by_a_block_as_well(workspace: Workspace) -> None:
    await workspace.play(workspace.message(at=at(0)), start(workspace, "r-1", 1, "shortcut"), block(workspace, 5))

    assert await run(workspace, "r-1") == ("halted", "contact_blocked")


async def test_rule_6_a_run_that_finished_before_the_block_stays_finished(workspace: Workspace) -> None:
    finish = workspace.event("run_finished", "r-1", at=at(4))
    await workspace.play(workspace.message(at=at(0)), start(workspace, "r-1", 1), finish, block(workspace, 5))
    assert await run(workspace, "r-1") == ("finished", None)

    await workspace.play(block(workspace, 3))
    assert await run(workspace, "r-1") == ("halted", "contact_blocked")


async def test_rule_6_a_late_block_tells_run_halted_even_if_steps_were_granted(workspace: Workspace) -> None:
    await workspace.play(
        workspace.message(at=at(0)),
        start(workspace, "r-1", 1),
        step(workspace, "r-1", 10, "send_message"),
        block(workspace, 5),
        step(workspace, "r-1", 4, step_id="2"),
    )

    assert await controls(workspace, "r-1") == [("step_granted", None, "1"), ("run_halted", "contact_blocked", None)]


# --- started inside a block


async def test_rule_6_an_automatic_run_started_inside_is_refused(workspace: Workspace) -> None:
    await workspace.play(block(workspace, 5), unblock(workspace, 9))
    await workspace.play_together(*(start(workspace, f"r-{minutes}", minutes) for minutes in (4, 5, 8, 9)))

    states = {minutes: await run(workspace, f"r-{minutes}") for minutes in (4, 5, 8, 9)}
    assert states == {
        4: ("halted", "contact_blocked"),
        5: ("refused", "contact_blocked"),  # exactly at the block's begin is inside
        8: ("refused", "contact_blocked"),
        9: ("running", None),
    }
    assert await controls(workspace, "r-5") == [("run_refused", "contact_blocked", None)]


async def test_rule_6_it_is_refused_even_if_it_ran_until_the_block_was_learned(workspace: Workspace) -> None:
    blocked = block(workspace, 5)
    await workspace.play(workspace.message(at=at(0)), start(workspace, "r-1", 6), step(workspace, "r-1", 7), blocked)

    assert await run(workspace, "r-1") == ("refused", "contact_blocked")
    assert await controls(workspace, "r-1") == [
        ("step_granted", None, "1"),
        ("run_refused", "contact_blocked", None),
    ]


async def test_rule_6_a_shortcut_started_inside_lives_until_its_first_step_that_reaches_the_contact(
    workspace: Workspace,
) -> None:
    await workspace.play(block(workspace, 5))
    await workspace.play_together(*(start(workspace, action, 6, "shortcut") for action in CONTACT_STEPS))
    assert {await run(workspace, action) for action in CONTACT_STEPS} == {("running", None)}
    await workspace.play_together(
        *(step(workspace, action, 7, other, other) for action in CONTACT_STEPS for other in OTHER_STEPS)
    )
    await workspace.play_together(*(step(workspace, action, 8, action, "last") for action in CONTACT_STEPS))

    for action in CONTACT_STEPS:
        assert await run(workspace, action) == ("halted", "blocked_contact_step")
        *granted, end = await controls(workspace, action)
        assert granted == [("step_granted", None, other) for other in OTHER_STEPS]
        assert end == ("run_halted", "blocked_contact_step", "last")
        assert moment((await fact(workspace, action, "run_halted"))["at"]) == at(8)


async def test_rule_6_a_shortcut_may_reach_the_contact_once_the_block_is_over(workspace: Workspace) -> None:
    await workspace.play(
        block(workspace, 5),
        start(workspace, "r-1", 6, "shortcut"),
        unblock(workspace, 8),
        step(workspace, "r-1", 8, "send_message"),
    )

    assert await controls(workspace, "r-1") == [("step_granted", None, "1")]


async def test_rule_6_a_step_dated_before_the_start_counts_as_at_the_start(workspace: Workspace) -> None:
    await workspace.play(
        block(workspace, 5),
        start(workspace, "r-1", 6, "shortcut"),
        step(workspace, "r-1", 3, "send_message"),
    )

    assert await run(workspace, "r-1") == ("halted", "blocked_contact_step")
    assert moment((await fact(workspace, "r-1", "run_halted"))["at"]) == at(6)


# --- what engines are told


async def test_rule_6_once_it_is_out_nothing_is_granted(workspace: Workspace) -> None:
    await workspace.play(block(workspace, 1), start(workspace, "r-1", 5), unblock(workspace, 3))
    await workspace.play(step(workspace, "r-1", 6), start(workspace, "r-2", 6), step(workspace, "r-2", 7))
    assert await controls(workspace, "r-1") == [("run_refused", "contact_blocked", None)]

    await workspace.play(block(workspace, 8), unblock(workspace, 9), step(workspace, "r-2", 10, step_id="2"))
    assert await controls(workspace, "r-2") == [("step_granted", None, "1"), ("run_halted", "contact_blocked", None)]
    _, halted, answer = (out for out in await workspace.outputs("workflows.control") if out.value["run_id"] == "r-2")
    assert (answer.raw, answer.head["ce_id"]) == (halted.raw, halted.head["ce_id"])


async def test_rule_6_a_step_of_an_unknown_run_is_refused(workspace: Workspace) -> None:
    await workspace.play(step(workspace, "r-1", 5))

    assert await controls(workspace, "r-1") == [("run_refused", "unknown_run", "1")]
    assert await workspace.rows("workflow_runs") == []


async def test_rule_6_a_run_of_an_unknown_contact_is_refused(workspace: Workspace) -> None:
    nobody = {"identity": None, "contact_id": str(uuid4())}
    await workspace.play_together(start(workspace, "r-1", 1), start(workspace, "r-2", 1, "shortcut", **nobody))

    for run_id in ("r-1", "r-2"):
        assert await run(workspace, run_id) == ("refused", "unknown_contact")
        assert await controls(workspace, run_id) == [("run_refused", "unknown_contact", None)]


async def test_rule_6_the_first_start_of_an_id_stays(workspace: Workspace) -> None:
    await workspace.play_together(workspace.message(at=at(0)), workspace.message(address=phone(1), at=at(0)))
    other = {"identity": whatsapp(phone(1)), "workflow_id": "farewell"}
    await workspace.play(start(workspace, "r-1", 2), start(workspace, "r-1", 1, "shortcut", **other))

    row = await workspace.row("workflow_runs")
    assert (row["workflow_id"], row["trigger"]) == ("welcome", "automatic")
    assert row["contact_id"] == await workspace.contact_id()


# --- parents and children


async def test_rule_6_halting_a_parent_halts_its_known_children(workspace: Workspace) -> None:
    await workspace.play_together(workspace.message(at=at(0)), workspace.message(address=phone(1), at=at(0)))
    child: Json = {"parent_run_id": "r-1", "identity": whatsapp(phone(1))}
    grandchild: Json = {"parent_run_id": "r-2", "identity": whatsapp(phone(1))}
    await workspace.play(start(workspace, "r-1", 1), start(workspace, "r-2", 2, **child))
    await workspace.play(start(workspace, "r-3", 3, **grandchild), block(workspace, 5))

    assert [await run(workspace, r) for r in ("r-1", "r-2", "r-3")] == [("halted", "contact_blocked")] * 3
    assert await controls(workspace, "r-3") == [("run_halted", "contact_blocked", None)]


async def test_rule_6_a_child_inherits_its_parents_trigger(workspace: Workspace) -> None:
    await workspace.play(
        block(workspace, 5),
        start(workspace, "r-1", 6, "shortcut"),
        start(workspace, "r-2", 7, "automatic", parent_run_id="r-1"),
        step(workspace, "r-2", 8),
    )

    assert (await workspace.row("workflow_runs", run_id="r-2"))["trigger"] == "shortcut"
    assert await controls(workspace, "r-2") == [("step_granted", None, "1")]


# --- sends of runs


async def held_steps(workspace: Workspace, *steps: str) -> list[Json]:
    """Held sends that steps of run r-1 wait for, one each."""
    await protect(workspace)
    await workspace.play(start(workspace, "r-1", 1, "shortcut"))
    workflow: Json = {"source": "workflow", "run_id": "r-1"}
    sends = [workspace.send(at=at(10), step_id=step_id, **workflow) for step_id in steps]
    await workspace.play_together(*sends)
    assert len(await workspace.rows("held_sends")) == len(steps)
    return sends


async def test_rule_6_a_halted_runs_undispatched_sends_are_refused(workspace: Workspace) -> None:
    # Blocked after the send was asked for: what ends the run is the parent, whose contact is somebody else.
    await workspace.play(workspace.message(address=phone(1), at=at(0)))
    await workspace.play(start(workspace, "r-0", 0, identity=whatsapp(phone(1))))
    await protect(workspace)
    await workspace.play(start(workspace, "r-1", 1, parent_run_id="r-0"))
    send = await hold(workspace, source="workflow", run_id="r-1", step_id="7")
    await workspace.play(block(workspace, 20, phone(1)))

    assert await standing(workspace, send) == ("refused", "run_halted", 0)
    assert await run(workspace, "r-1") == ("halted", "contact_blocked")


async def test_rule_6_a_step_whose_send_is_held_waits_and_is_told_the_outcome(workspace: Workspace) -> None:
    sent, rejected, refused, expired = await held_steps(workspace, "1", "2", "3", "4")
    assert await controls(workspace, "r-1") == []
    answers = ((sent, "confirm_send"), (rejected, "reject_send"))
    await workspace.play(*(workspace.command(name, send_id=send["send_id"]) for send, name in answers))
    await pass_time(workspace, expired, "expires_at")
    await become(workspace, expired, "expired")
    await workspace.play(workspace.message("STOP", at=at(11)))
    await workspace.play(workspace.command("confirm_send", send_id=refused["send_id"]))

    facts = once(await workspace.outputs("workflows.control"), run_id="r-1", control="step_resolved")
    assert {f["step_id"]: (f["outcome"], f["reason"]) for f in facts} == {
        "1": ("sent", None),
        "2": ("rejected", None),
        "3": ("refused", "opted_out"),
        "4": ("expired", None),
    }
    assert {fact["contact_id"] for fact in facts} == {str(await workspace.contact_id())}
    assert len({fact["revision"] for fact in facts}) == 1

    # Once nothing follows a failure it is told, and taken back when a receipt shows that the send went.
    failed = workspace.receipt(sent, "failed", error={"code": "gone", "permanent": True})
    await workspace.play(failed, failed, workspace.receipt(sent, "read"))
    told = once(await workspace.outputs("workflows.control"), step_id="1", control="step_resolved")
    assert [(f["outcome"], f["reason"]) for f in told] == [("sent", None), ("failed", "gone"), ("sent", None)]


async def test_rule_6_a_block_cancels_the_hold_of_a_step_and_ends_the_run(workspace: Workspace) -> None:
    [send] = await held_steps(workspace, "7")
    blocked = block(workspace, 20)
    await workspace.play(blocked)

    assert await standing(workspace, send) == ("cancelled", "contact_blocked", 0)
    counts = {"runs_halted": 1, "holds_cancelled": 1, "messages_revised": 0}
    assert (await workspace.result(blocked))["changed"] == counts
    assert (await fact(workspace, "r-1", "step_resolved"))["outcome"] == "cancelled"
    assert (await controls(workspace, "r-1"))[-1] == ("run_halted", "contact_blocked", None)
