"""Everything that can happen to sends, in any order: nothing raises, and what is stored keeps the contract's rules."""

import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec
import pytest
from asyncpg import Pool

from tests.store.storing import seal, turn
from tests.workers.asking import ask, by_phone
from tests.workers.erasing import erase
from tests.workers.records import WORKSPACE, at, batch, message, record, uuid_of
from tests.workers.sending import receipt, request
from tests.workers.stepping import steps
from tests.workers.test_recount_steps import finish, is_right
from workers.app import commands_worker as commands
from workers.errors import RetryBatch
from workers.messages import worker as inbound
from workers.rules.attempts import MOST_IN_ALL, MOST_THAT_COUNT, best, standing
from workers.rules.holds import RELEASED
from workers.sends import jobs, worker
from workers.sends.early_receipts import Overlooked
from workers.services.job_runner import Unfinished
from workers.workflows import worker as workflows

PEOPLE: Final = 4
DAY: Final = 24 * 60
ENDED: Final = ("refused", "rejected", "expired", "cancelled")
SENDS: Final = "SELECT * FROM sends"
ATTEMPTS: Final = "SELECT * FROM send_attempts"
EVENTS: Final = 120
SEEDS: Final = (0, 1)  # the first deletes contacts


def number(n: int) -> str:
    return f"+4915112345{n:03}"


class Life:
    """Sends of a workspace, and everything that happens to them."""

    def __init__(self, pool: Pool, seed: int) -> None:
        self.pool = pool
        self.dice = random.Random(seed)  # noqa: S311 - repeatable, and no secret
        self.minute = 10.0
        self.sends: list[str] = []
        self.to: dict[str, int] = {}
        self.merges: list[Any] = []
        self.ended: dict[Any, int] = {}
        self.by_hand: set[Any] = set()
        self.revisions: dict[str, int] = {}
        self.told: dict[str, str] = {}
        often = {
            "confirm_send": 6, "reject_send": 2, "settle_send": 4, "block_contact": 1, "unblock_contact": 3,
            "merge_contacts": 1, "undo_merge": 1, "attach_contact": 3, "detach_contact": 1, "define_status": 1,
            "remove_channel": 1, "configure": 1, "delete": 1,
        }  # fmt: skip
        self.kinds = {kind: many * self.dice.choice((0.1, 0.3, 1.0, 1.0, 3.0)) for kind, many in often.items()}
        if seed % 3:
            self.kinds["delete"] = 0
        self.window = self.dice.choice((2, 4, 10))
        self.deletes = seed % 3 == 0

    def some(self) -> str:
        return self.dice.choice(self.sends[-self.window :] or ["none"])

    def person(self) -> int:
        return self.dice.randrange(PEOPLE)

    def any_request(self) -> Any:
        d = self.dice
        if self.sends and d.random() < 0.1:
            return request(self.some(), to=number(self.person()), minutes=self.minute)
        name = f"s{len(self.sends)}"
        self.sends.append(name)
        who = self.to[name] = self.person()
        fields: dict[str, Any] = {"source": d.choice(("inbox", "broadcast", "workflow"))}
        if d.random() < 0.5:
            fields |= {"run_id": f"run{who}", "step_id": name}
        if d.random() < 0.4:
            fields["group_id"] = d.choice(("g1", "g2"))
        if d.random() < 0.2:
            fields["confirmation"] = {"confirmed_by": d.choice(("ann", "bob")), "confirmed_at": at(self.minute)}
        if d.random() < 0.05:
            fields["content"] = {"type": 7}
        return request(name, to=number(who), minutes=self.minute, **fields)

    def any_receipt(self) -> Any:
        d, name = self.dice, self.some()
        fields: dict[str, Any] = {"attempt": d.choice((None, None, None, 1, 1, 2, 3, 5))}
        status = d.choice(("sent", "sent", "delivered", "read", "failed", "failed", "failed", "ambiguous", "ambiguous"))
        if status == "failed" and d.random() < 0.9:
            fields["error"] = {"code": d.choice(("busy", "gone")), "permanent": d.random() < 0.2}
            if d.random() < 0.3:
                fields["error"]["retry_after_s"] = d.choice((1, 3600, 10**7))
        if d.random() < 0.4:
            of = name if d.random() < 0.8 else self.some()
            fields["provider_message_id"] = f"{of}.{d.choice((1, 1, 1, 2))}"
        if d.random() < 0.1:
            fields["channel_id"] = "whatsapp-two"
        if d.random() < 0.05:
            fields["contact_stopped"] = True
        by: str | None = name
        if "provider_message_id" in fields and d.random() < 0.3:
            by = None
        minutes = self.minute - d.choice((0, 0, 0, 5, 60 * 24 * 20))
        return receipt(status, by, minutes=minutes, **fields)

    def any_echo(self) -> Any:
        name, d = self.some(), self.dice
        who = self.to.get(name, 0) if d.random() < 0.9 else self.person()
        minutes = self.minute - d.choice((0, 5, 60 * 24 * 9))
        return message(
            number(who), kind="echo", minutes=max(0, minutes), provider_message_id=f"{name}.{d.choice((1, 1, 2))}",
            text=f"text of {name}" if d.random() < 0.7 else "else",
        )  # fmt: skip

    async def any_command(self) -> Any:  # noqa: PLR0911 - one for each kind
        d = self.dice
        who = by_phone(number(self.person()))
        back = self.minute - d.choice((0, 0, 0, 3, 30))
        kind = d.choices(list(self.kinds), list(self.kinds.values()))[0]
        match kind:
            case "confirm_send" | "reject_send":
                one: dict[str, Any] = {"send_id": uuid_of(self.some())}
                of = one if d.random() < 0.7 else {"group_id": d.choice(("g1", "g2"))}
                return ask(kind, minutes=back, actor=d.choice(("ann", "bob")), **of)
            case "settle_send":
                as_ = d.choice(("sent", "failed", "retry", "retry"))
                said: dict[str, Any] = {"send_id": uuid_of(self.some()), "as": as_}
                if as_ == "retry":
                    self.by_hand.add(said["send_id"])
                return ask(kind, minutes=back, **said)
            case "merge_contacts" | "delete":
                people = await self.pool.fetch("SELECT contact_id FROM sluice.contact_overview ORDER BY phone")
                if len(people) < 2:
                    return ask("add_tag", identity=who, tag="x")
                a, b = d.sample([r[0] for r in people], 2)
                if kind == "delete":
                    return ask("delete_contacts", minutes=back, contact_ids=[a], expected_count=1)
                self.merges.append(ask(kind, minutes=back, survivor_id=a, loser_id=b))
                return self.merges[-1]
            case "undo_merge" if self.merges:
                m = d.choice(self.merges[-3:])
                return ask(kind, minutes=back, merge_id=str(m.value.command_id))
            case "attach_contact":
                return ask(kind, minutes=back, identity=who, profile_id="vip")
            case "define_status":
                return ask(kind, minutes=back, name="vip", protected=d.random() < 0.6)
            case "configure":
                name, value = d.choice((
                    ("claim_ttl_hours", 1), ("claim_ttl_hours", 24), ("two_person_confirm", True),
                    ("two_person_confirm", False), ("hold_ttl_hours", 1), ("count_broadcasts", False),
                    ("mac_block_effect", "immediate"), ("anchor_day", 10),
                ))  # fmt: skip
                return ask("configure_workspace", minutes=back, set={name: value})
            case "undo_merge":
                return ask("add_tag", identity=who, tag="x")
            case _:
                return ask(kind, minutes=back, identity=who)

    def any_run(self) -> Any:
        d, who = self.dice, self.person()
        fields: dict[str, Any] = {"workspace_id": WORKSPACE, "at": at(self.minute), "run_id": f"run{who}"}
        match d.choice(("run_started", "run_started", "step_requested", "run_finished")):
            case "run_started":
                fields |= {
                    "event": "run_started", "workflow_id": "w", "identity": by_phone(number(who)),
                    "trigger": d.choice(("automatic", "shortcut")),
                }  # fmt: skip
            case "step_requested":
                fields |= {"event": "step_requested", "step_id": self.some(), "action": "send_message"}
            case _:
                fields |= {"event": "run_finished", "outcome": "completed"}
        return record("workflows.events", fields, timestamp=at(self.minute))

    async def applied(self, work: Any) -> Any:
        for _ in range(5):
            try:
                async with self.pool.acquire() as tx, tx.transaction():
                    return await work(tx)
            except RetryBatch:
                continue
        raise AssertionError("always tried again")

    async def happen(self) -> None:
        d = self.dice
        self.minute += d.choice((0, 0.1, 1, 1, 5, 20)) if d.random() < 0.97 else d.choice((70, DAY + 60))
        what = d.choice((
            *["outbound"] * 12, *["claim"] * 5, *["command"] * 10, *["inbound"] * 4, "run", *["repeat"] * 6, "expire",
            "run_out", "overlooked", "steps", "seal", "erase", "late",
        ))  # fmt: skip
        now = at(self.minute)
        outputs: Sequence[Any] = ()
        match what:
            case "outbound":
                some = [
                    self.any_receipt() if d.random() < 0.7 else self.any_request()
                    for _ in range(d.choice((1, 1, 2, 4)))
                ]
                outputs = await self.applied(lambda tx: worker.apply(tx, batch(*some, now=now)))
            case "claim":
                name = self.some()
                attempt = "SELECT attempt - $2 FROM sends WHERE send_id = $1"
                back = d.choice((0, 0, 0, 1))
                n = await self.pool.fetchval(attempt, uuid_of(name), back)
                if n:
                    got = await self.applied(
                        lambda tx: tx.fetchrow(
                            "SELECT * FROM sluice.claim_send($1, $2, $3)", WORKSPACE, uuid_of(name), n
                        )
                    )
            case "command":
                some = [await self.any_command() for _ in range(d.choice((1, 1, 2, 3)))]
                outputs = await self.applied(lambda tx: commands.apply(tx, batch(*some, now=now)))
            case "inbound":
                some = [self.any_echo() if d.random() < 0.7 else message(number(self.person()), minutes=self.minute)]
                outputs = await self.applied(lambda tx: inbound.apply(tx, batch(*some, now=now)))
            case "run":
                some = [self.any_run()]
                outputs = await self.applied(lambda tx: workflows.apply(tx, batch(*some, now=now)))
            case "repeat" | "expire" | "run_out":
                job = getattr(jobs, what)
                outputs = await self.applied(lambda tx: job(tx, now))
            case "late":
                job = d.choice((jobs.expire, jobs.run_out, jobs.repeat))
                late = now + timedelta(days=4)
                self.minute += 4 * DAY
                outputs = await self.applied(lambda tx: job(tx, late))
            case "overlooked":
                got = await self.applied(lambda tx: Overlooked().run(tx, now))
                self.events(got.events if isinstance(got, Unfinished) else got)
            case "steps":
                self.events(await steps(self.pool, 3))
            case "seal":
                await turn(self.pool)
                await seal(self.pool)
            case "erase" if self.deletes:
                self.events(await erase(self.pool))
        self.events([o.event for o in outputs])
        await self.check()

    def events(self, events: Sequence[Any]) -> None:
        for e in events:
            if e.topic == "sends.status":
                value = msgspec.json.decode(e.value)
                assert value["revision"] == self.revisions.get(value["send_id"], 0) + 1, value
                self.revisions[value["send_id"]] = value["revision"]
            if e.topic == "workflows.control":
                value = msgspec.json.decode(e.value)
                if value["control"] == "step_resolved":
                    assert self.told.get(value["step_id"]) != value["outcome"], value
                    self.told[value["step_id"]] = value["outcome"]

    async def check(self) -> None:
        sends = await self.pool.fetch(SENDS)
        attempts: defaultdict[Any, dict[int, Any]] = defaultdict(dict)
        for a in await self.pool.fetch(ATTEMPTS):
            attempts[a["send_id"]][a["attempt"]] = a
        for s in sends:
            of, id_ = attempts[s["send_id"]], s["send_id"]
            assert s["revision"] == self.revisions[str(id_)]
            assert s["attempt"] == max(of, default=0) <= MOST_IN_ALL, dict(s)
            assert sum(a["not_before"] is None for a in of.values()) <= MOST_THAT_COUNT, dict(s)
            assert s["status"] != "released"
            assert s["retry_at"] is None or s["status"] == "failed"
            assert s["recheck_at"] is None or s["status"] == "dispatched", dict(s)
            statuses = {n: a["status"] for n, a in of.items()}
            if s["status"] in RELEASED:
                stands = standing(statuses)
                assert s["status"] == stands[best(stands)], (dict(s), statuses)
                assert stands[s["best_attempt"]] == s["status"]
            live = [n for n, a in of.items() if a["claimed_at"] is not None and a["status"] == "dispatched"]
            assert len(live) <= 1, (dict(s), live)
            if s["status"] in ENDED:
                self.ended.setdefault(id_, s["attempt"])
                self.by_hand.discard(id_)
            if id_ in self.ended and id_ not in self.by_hand:
                assert s["attempt"] == self.ended[id_], ("dispatched after its end", dict(s), statuses)
            for a in of.values():
                if a["status"] in ("sent", "delivered", "read"):
                    assert s["accepted_at"] is not None
        twice = "SELECT send_id FROM messages WHERE send_id IS NOT NULL GROUP BY send_id HAVING count(*) > 1"
        assert await self.pool.fetch(twice) == []
        lost = """
            SELECT s.send_id FROM sends s JOIN living_contacts c USING (workspace_id, contact_id)
            WHERE s.accepted_at IS NOT NULL AND NOT EXISTS (SELECT FROM messages m
                WHERE (m.message_id, m.event_time, m.send_id) = (s.message_id, s.accepted_at, s.send_id))"""
        if not self.deletes:
            assert await self.pool.fetch(lost) == []

    async def rest(self) -> None:
        late = at(self.minute + 9 * DAY)
        for n in range(6):
            for job in (jobs.repeat, jobs.run_out, jobs.expire):
                out = await self.applied(lambda tx, job=job, n=n: job(tx, late + timedelta(days=9 * n)))
                self.events([o.event for o in out])
            self.events(await steps(self.pool, 1000))
            if self.deletes:
                self.events(await erase(self.pool))
        await self.check()
        alive = await self.pool.fetch(
            "SELECT send_id, status FROM sends WHERE status IN ('dispatched', 'held') OR retry_at IS NOT NULL"
        )
        assert alive == [], alive
        if not self.deletes:
            await finish(self.pool)
            await is_right(self.pool)


@pytest.mark.parametrize("seed", SEEDS)
async def test_anything_in_any_order(pool: Pool, seed: int) -> None:
    life = Life(pool, seed)
    setup = [
        ask("define_status", name="vip", protected=True),
        ask("create_profile", profile_id="vip", name="vip"),
        ask("set_profile_status", profile_id="vip", status="vip"),
    ]
    await life.applied(lambda tx: inbound.apply(tx, batch(*(message(number(n)) for n in range(PEOPLE)))))
    await life.applied(lambda tx: commands.apply(tx, batch(*setup)))
    for _ in range(EVENTS):
        await life.happen()
    await life.rest()
