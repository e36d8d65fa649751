"""Runs, blocks, merges and their ends in any order: at once and in steps it ends the same."""

import random
from typing import Any
from uuid import UUID

import pytest

from tests.support.databases import Databases
from tests.workers.asking import ask, give, results
from tests.workers.records import at, uuid_of
from tests.workers.runs import RUNS, apply, finish, meet, rows, start, step
from tests.workers.stepping import at_most, steps
from workers.store.pool import pool_of

BY_RULE = """
    SELECT r.run_id, n.trigger, n.state, n.reason
    FROM workflow_runs r CROSS JOIN LATERAL sluice_core.run_by_rule(r.workspace_id, r.run_id) AS n ORDER BY r.run_id
"""


@pytest.mark.parametrize("seed", [0, 8, 14, 18, 19])
async def test_at_once_and_in_steps_it_ends_the_same(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    async def ending() -> tuple[list[tuple[Any, ...]], dict[int, Any]]:
        """The runs, and what the commands changed that found no step of an earlier one left to do."""
        told: dict[int, Any] = {}
        merges: list[UUID] = []
        dice = random.Random(seed)  # noqa: S311 - repeatable
        async with databases.migrated() as url, pool_of(url, name="test") as pool:
            contacts = [(await meet(pool, f"+491511234567{n}"))[1] for n in range(2)]
            for number in range(30):
                minutes, choice, contact = dice.randint(1, 500), dice.randint(0, 12), contacts[dice.randint(0, 1)]
                some = f"r{dice.randint(0, number)}"
                given: dict[str, Any] = {"contact_id": contact, "command_id": uuid_of(f"{number}")}
                match choice:
                    case 0 | 1:
                        name = ("block_contact", "unblock_contact")[choice]
                        [[left]] = await rows(pool, "SELECT count(*) FROM pending_work")
                        changed = await results(pool, ask(name, minutes=minutes, timestamp=at(1000), **given))
                        if left == 0:
                            told[number] = changed
                    case 2:
                        await steps(pool, dice.randint(0, 3))
                    case 3 | 4:
                        action = dice.choice(["send_message", "add_tag"])
                        await apply(pool, step(some, minutes, action, step_id=str(number)))
                    case 5:
                        await apply(pool, finish(some, minutes))
                    case 6:
                        both: dict[str, Any] = {"survivor_id": contact, "loser_id": contacts[contact == contacts[0]]}
                        await give(pool, ask("merge_contacts", minutes=minutes, command_id=given["command_id"], **both))
                        merges.append(given["command_id"])
                    case 7 if merges:
                        await give(pool, ask("undo_merge", minutes=minutes, merge_id=str(merges[-1])))
                    case _:
                        trigger, above = dice.choice(["automatic", "shortcut"]), dice.choice([some, None])
                        begun = {"contact_id": str(contact), "parent_run_id": above if number else None}
                        names = (f"r{number}", f"r{number}.1", f"r{number}.2")
                        await apply(pool, *(start(run, minutes, trigger, **begun) for run in names))
            await steps(pool, 1000)
            ended = await rows(pool, RUNS.replace("sluice.", "sluice_core."))
            assert ended == await rows(pool, BY_RULE)
            return ended, told

    at_once, told_at_once = await ending()
    at_most(monkeypatch, 2)
    in_steps, told = await ending()
    assert in_steps == at_once
    assert told == {number: told_at_once[number] for number in told}
