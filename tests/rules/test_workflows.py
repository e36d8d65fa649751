"""Contract 6: what a run may do, and what its engine hears."""

from collections.abc import Iterable, Sequence
from uuid import UUID

import pytest

from schemas.workflow_events import Trigger
from tests.workers.records import at, uuid_of
from workers.rules.blocks import Interval
from workers.rules.workflow_families import Families, RunEvent
from workers.rules.workflows import CONTACT_STEPS, ContactGone, Run

ANN = uuid_of("ann")


def run(
    name: str = "r",
    minute: float = 0,
    trigger: Trigger = "automatic",
    contact: UUID | None = ANN,
    parent: str | None = None,
) -> Run:
    return Run("acme", name, "welcome", contact, trigger, at(minute), parent)


def families(*intervals: tuple[float, float | None], runs: Iterable[Run] = ()) -> Families:
    blocks = tuple(Interval(at(a), None if b is None else at(b)) for a, b in intervals)
    return Families(runs, {("acme", ANN): blocks})


def said(tellings: Sequence[RunEvent]) -> list[tuple[str, str, str | None]]:
    return [(t.run[1], t.event.control, t.event.reason) for t in tellings]


def verdict(known: Families, name: str = "r") -> tuple[str, str | None]:
    return known.runs["acme", name].verdict[:2]


GRANTED = [("r", "step_granted", None)]
HALTED = [("r", "run_halted", "contact_blocked")]
REFUSED = [("r", "run_refused", "contact_blocked")]
ENDED_BY_STEP = [("r", "run_halted", "blocked_contact_step")]


@pytest.mark.parametrize(("minute", "expected"), [(9, HALTED), (10, REFUSED), (19, REFUSED), (20, [])])
def test_an_automatic_run_is_refused_inside_a_block_half_open(
    minute: int, expected: list[tuple[str, str, str | None]]
) -> None:
    assert said(families((10, 20)).start(run(minute=minute))) == expected


@pytest.mark.parametrize("action", sorted(CONTACT_STEPS))
def test_a_shortcut_inside_a_block_lives_until_its_first_step_towards_the_contact(action: str) -> None:
    known = families((10, 20))
    assert said(known.start(run(minute=12, trigger="shortcut"))) == []
    assert said(known.request(("acme", "r"), "1", "add_tag", at(13))) == GRANTED
    [ended] = known.request(("acme", "r"), "2", action, at(14))
    assert said([ended]) == ENDED_BY_STEP
    assert (ended.event.step_id, ended.event.at, ended.stops) == ("2", at(14), True)


def test_a_shortcut_inside_a_block_may_reach_the_contact_after_it() -> None:
    known = families((10, 20))
    known.start(run(minute=12, trigger="shortcut"))
    assert said(known.request(("acme", "r"), "1", "send_message", at(20))) == GRANTED


def test_a_step_dated_before_the_start_counts_as_at_the_start() -> None:
    known = families((10, 20))
    known.start(run(minute=12, trigger="shortcut"))
    [ended] = known.request(("acme", "r"), "1", "send_message", at(5))
    assert (said([ended]), ended.event.at) == (ENDED_BY_STEP, at(12))


def test_after_the_end_was_told_the_same_fact_is_the_answer_to_every_step() -> None:
    known = families((10, 20))
    [refusal] = known.start(run(minute=12))
    again = known.request(("acme", "r"), "1", "add_tag", at(30))
    assert [t.event for t in again] == [refusal.event]
    assert [t.stops for t in again] == [False]
    assert [t.event for t in known.start(run(minute=12))] == [refusal.event]


def test_a_repeated_step_is_judged_again() -> None:
    known = families()
    known.start(run())
    assert said(known.request(("acme", "r"), "1", "send_message", at(1))) == GRANTED
    assert said(known.request(("acme", "r"), "1", "send_message", at(1))) == GRANTED


def test_a_step_of_an_unknown_run_is_refused_and_leaves_nothing() -> None:
    known = families()
    assert said(known.request(("acme", "r"), "1", "send_message", at(1))) == [("r", "run_refused", "unknown_run")]
    assert known.finish(("acme", "r"), at(1), "done") == []
    assert known.started() == known.changed() == []


def test_the_first_start_of_an_id_stays() -> None:
    known = families((10, 20))
    known.start(run(minute=0))
    assert said(known.start(run(minute=12))) == HALTED
    assert verdict(known) == ("halted", "contact_blocked")


def test_an_unknown_contact_is_refused() -> None:
    assert said(families().start(run(contact=None))) == [("r", "run_refused", "unknown_contact")]


@pytest.mark.parametrize(("finish", "state"), [(9, "finished"), (10, "finished"), (11, "halted")])
def test_a_block_halts_what_had_not_finished_when_it_began(finish: int, state: str) -> None:
    known = families(runs=[run()])
    known.finish(("acme", "r"), at(finish), "done")
    blocked = families((10, None), runs=known.runs.values())
    blocked.rejudge([("acme", "r")])
    assert verdict(blocked)[0] == state


def test_a_step_dated_after_the_finish_is_not_granted() -> None:
    known = families(runs=[run()])
    known.finish(("acme", "r"), at(5), "done")
    assert said(known.request(("acme", "r"), "1", "add_tag", at(5))) == GRANTED
    assert said(known.request(("acme", "r"), "2", "add_tag", at(6))) == [("r", "run_refused", "run_finished")]
    assert verdict(known) == ("finished", None)


def test_a_child_inherits_the_trigger_and_halts_with_its_parent() -> None:
    known = families((10, 20))
    known.start(run(minute=11, trigger="shortcut"))
    assert said(known.start(run("child", 12, "automatic", parent="r"))) == []
    assert known.runs["acme", "child"].trigger == "shortcut"
    tellings = known.request(("acme", "r"), "1", "ask_question", at(13))
    assert sorted(said(tellings)) == [("child", "run_halted", "blocked_contact_step"), *ENDED_BY_STEP]
    late = known.start(run("later", 14, "shortcut", parent="child"))
    assert said(late) == [("later", "run_refused", "blocked_contact_step")]


def test_a_child_that_had_finished_stays_finished_when_its_parent_halts() -> None:
    known = families((10, 20))
    known.start(run(minute=11, trigger="shortcut"))
    known.start(run("child", 12, parent="r"))
    known.finish(("acme", "child"), at(13), "done")
    assert said(known.request(("acme", "r"), "1", "ask_question", at(13))) == ENDED_BY_STEP
    assert verdict(known, "child") == ("finished", None)


def test_with_an_unknown_parent_a_run_is_judged_alone_until_the_parent_is_known() -> None:
    known = families((10, 20))
    assert said(known.start(run("child", 12, "shortcut", parent="r"))) == []
    tellings = known.start(run(minute=11, trigger="automatic"))
    assert sorted(said(tellings)) == [("child", "run_refused", "contact_blocked"), *REFUSED]


def test_parents_in_a_circle_are_judged_and_end() -> None:
    known = families((10, None), runs=[run("a", parent="b"), run("b", parent="a"), run("c", parent="c")])
    tellings = known.rejudge([("acme", name) for name in "abc"])
    assert sorted(said(tellings)) == [(name, "run_halted", "contact_blocked") for name in "abc"]


def test_a_block_learned_late_is_told_although_steps_were_granted() -> None:
    known = families(runs=[run()])
    assert said(known.request(("acme", "r"), "1", "send_message", at(15))) == GRANTED
    blocked = families((10, None), runs=known.runs.values())
    [ended] = blocked.rejudge([("acme", "r")])
    assert (said([ended]), ended.event.at) == (HALTED, at(10))
    assert blocked.rejudge([("acme", "r")]) == []


def test_a_run_that_ran_until_the_block_was_learned_is_refused_all_the_same() -> None:
    known = families(runs=[run(minute=12)])
    known.request(("acme", "r"), "1", "send_message", at(15))
    assert said(families((10, None), runs=known.runs.values()).rejudge([("acme", "r")])) == REFUSED


def test_what_was_told_stays_told_when_an_unblock_comes_late() -> None:
    known = families((10, None))
    known.start(run(minute=12))
    freed = families((10, 11), runs=known.runs.values())
    assert freed.rejudge([("acme", "r")]) == []
    assert verdict(freed) == ("running", None)
    assert said(freed.request(("acme", "r"), "1", "add_tag", at(13))) == REFUSED


def test_a_contact_that_goes_away_halts_what_runs_and_nothing_else() -> None:
    known = families(runs=[run(), run("done")])
    known.finish(("acme", "done"), at(1), "done")
    cut = ContactGone(at(5), "contact_merged")
    assert said(known.cut([("acme", "r"), ("acme", "done")], cut)) == [("r", "run_halted", "contact_merged")]
    gone = Families(known.runs.values(), {})
    assert gone.rejudge([("acme", "r"), ("acme", "done")]) == []
    assert said(gone.request(("acme", "r"), "1", "wait", at(6))) == [("r", "run_halted", "contact_merged")]
