"""Every state of a send meets every event, in PostgreSQL: what follows is what the table of states says."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from asyncpg import Pool

from tests.workers.asking import ask, by_phone, give
from tests.workers.records import WORKSPACE, at, batch, message, uuid_of
from tests.workers.sending import (
    ORIGIN,
    PERMANENT,
    TEMPORARY,
    answer,
    claim,
    confirm,
    receipt,
    reject,
    repeat,
    request,
    rows,
    send,
    transact,
)
from workers.messages import worker as inbound
from workers.rules.send_states import RECEIPTS, SETTLEMENTS, SendEvent, State, after, state_of
from workers.sends import cancelling, jobs

# A request is decided, and a released send dispatched, in one transaction: nothing meets these two states.
MET: Final[tuple[State, ...]] = (
    *("held", "dispatched", "retrying", "ambiguous", "sent", "delivered", "read", "failed"),
    *("refused", "rejected", "expired", "cancelled"),
)
FAILED: Final[tuple[State, ...]] = ("retrying", "failed")
"""With a first attempt that was never claimed, and a second one that failed."""
ONCE_HELD: Final[tuple[State, ...]] = ("held", "rejected", "expired", "cancelled", *FAILED)
BY_CLOCK: Final = "failed, receipt failed"
"""The only send that failed because nobody claimed it."""
Happens = Callable[[Pool, list[str]], Awaitable[object]]


def number(name: str) -> str:
    return f"+49151{uuid_of(name).int % 10**8:08}"


async def _sql(pool: Pool, change: str, names: list[str]) -> None:
    await pool.execute(f"UPDATE sends SET {change} WHERE send_id = ANY ($1)", [uuid_of(n) for n in names])  # noqa: S608


async def confirmed(pool: Pool, names: list[str]) -> None:
    await answer(pool, *(confirm(name, command=f"yes {name}") for name in names))


async def rejected(pool: Pool, names: list[str]) -> None:
    await answer(pool, *(reject(name, command=f"no {name}") for name in names))


async def expired(pool: Pool, names: list[str]) -> None:
    await _sql(pool, "expires_at = requested_at", names)
    await transact(pool, lambda tx: jobs.expire(tx, at(60)))


async def blocked(pool: Pool, names: list[str]) -> None:
    await give(pool, *(ask("block_contact", minutes=40, identity=by_phone(number(name))) for name in names))


async def deleted(pool: Pool, names: list[str]) -> None:
    of = "SELECT contact_id FROM identities WHERE lookup = ANY ($1)"
    ids = [contact for (contact,) in await rows(pool, of, [number(name) for name in names])]
    await give(pool, ask("delete_contacts", minutes=40, contact_ids=ids, expected_count=len(ids)))


async def halted(pool: Pool, names: list[str]) -> None:
    runs = {(WORKSPACE, f"run {name}"): ORIGIN for name in names}
    await transact(pool, lambda tx: cancelling.refuse_halted(tx, runs, at(60)))


async def denied(pool: Pool, names: list[str]) -> None:
    opted = "UPDATE identities SET opted_out = true WHERE lookup = ANY ($1) RETURNING 1"
    await rows(pool, opted, [number(name) for name in names])
    for name in names:
        assert (await claim(pool, name))[0] is False
    await repeat(pool, 20)  # before any retry is due


async def retried(pool: Pool, names: list[str]) -> None:
    await _sql(pool, "retry_at = requested_at + interval '10 min'", [n for n in names if n.startswith("retrying")])
    await repeat(pool, 20.2)


async def unclaimed(pool: Pool, names: list[str]) -> None:
    await _sql(pool, "claim_by = requested_at", names)
    await transact(pool, lambda tx: jobs.run_out(tx, at(60)))


async def unanswered(pool: Pool, names: list[str]) -> None:
    for name in names:
        await claim(pool, name)
    await unclaimed(pool, names)


async def requested(pool: Pool, names: list[str]) -> None:
    await send(pool, *(request(name, to=number(name), minutes=50) for name in names))


def received(status: str) -> Happens:
    async def happens(pool: Pool, names: list[str]) -> None:
        if status != "failed":
            await send(pool, *(receipt(status, name, minutes=50, attempt=1) for name in names))
            return
        said = {name: TEMPORARY if name == BY_CLOCK else PERMANENT for name in names}
        await send(pool, *(receipt(status, name, minutes=50, **said[name]) for name in names))

    return happens


def settled(as_: str) -> Happens:
    async def happens(pool: Pool, names: list[str]) -> None:
        words = [{"send_id": uuid_of(name), "as": as_} for name in names]
        await give(pool, *(ask("settle_send", minutes=50, **word) for word in words))  # type: ignore[arg-type]

    return happens


EVENTS: Final[Mapping[SendEvent, Happens]] = {
    "request": requested,
    "confirm": confirmed,
    "reject": rejected,
    "expiry": expired,
    "block": blocked,
    "deletion": deleted,
    "halt": halted,
    "denied claim": denied,
    "retry": retried,
    "no claim": unclaimed,
    "no receipt": unanswered,
    **{event: received(status) for status, event in RECEIPTS.items()},
    **{event: settled(as_) for as_, event in SETTLEMENTS.items()},
}


async def reach(pool: Pool, of: Mapping[State, list[str]]) -> None:
    """Sends in every state, by their names. Each has an attempt."""
    names = [name for state in MET for name in of[state]]
    held = [name for state in ONCE_HELD for name in of[state]]
    await transact(pool, lambda tx: inbound.apply(tx, batch(*(message(number(name)) for name in names))))
    await give(
        pool,
        ask("define_status", name="vip", protected=True),
        ask("create_profile", profile_id="vip", name="vip"),
        ask("set_profile_status", profile_id="vip", status="vip"),
    )
    await send(pool, *(request(n, to=number(n), source="workflow", run_id=f"run {n}", step_id="s") for n in names))
    await give(pool, *(ask("attach_contact", identity=by_phone(number(n)), profile_id="vip") for n in held))
    for name in held:
        assert await claim(pool, name) == (False, "status_protected")
    await denied(pool, of["refused"])
    await rejected(pool, of["rejected"])
    await expired(pool, of["expired"])
    await blocked(pool, of["cancelled"])
    for status in ("sent", "delivered", "read", "ambiguous"):
        await send(pool, *(receipt(status, name) for name in of[status]))
    await confirmed(pool, [name for state in FAILED for name in of[state]])
    said = {"failed": PERMANENT, "retrying": TEMPORARY}
    await unclaimed(pool, [BY_CLOCK])
    failures = [receipt("failed", n, **said[s]) for s in FAILED for n in of[s] if n != BY_CLOCK]
    await send(pool, *failures)


async def states(pool: Pool) -> dict[str, State]:
    """The state of each send, by its run."""
    found = await rows(pool, "SELECT run_id, status, retry_at IS NOT NULL FROM sends")
    return {run.removeprefix("run "): state_of(status, another_follows=again) for run, status, again in found}


async def test_every_state_meets_every_event(pool: Pool) -> None:
    named = {(state, event): f"{state}, {event}" for state in MET for event in EVENTS}
    await reach(pool, {state: [named[state, event] for event in EVENTS] for state in MET})
    before = await states(pool)
    assert before == {name: state for (state, _), name in named.items()}

    for event, happens in EVENTS.items():
        await happens(pool, [named[state, event] for state in MET])

    now = await states(pool)
    for (state, event), name in named.items():
        expected = after(state, event)
        assert now[name] in (expected or {state}) | _second(state, event), name
        assert (now[name] != state) == bool(expected - {state}), name


def _second(state: State, event: SendEvent) -> set[State]:
    """A confirmed hold is dispatched in the same transaction; a held send may stay held."""
    return {"dispatched"} if (state, event) == ("held", "confirm") else set()


async def test_a_send_that_had_ended_is_never_dispatched_again_though_a_receipt_shows_that_it_left(pool: Pool) -> None:
    ends: tuple[State, ...] = ("refused", "rejected", "expired", "cancelled")
    names = {(state, said): f"{state}, {said}" for state in ends for said in ("sent", "ambiguous")}
    of = {state: [names[state, said] for said in ("sent", "ambiguous")] for state in ends}
    await reach(pool, {state: of.get(state, []) for state in MET})
    await give(
        pool,
        ask("define_status", name="vip", protected=False),
        *(ask("unblock_contact", minutes=60, identity=by_phone(number(name))) for name in of["cancelled"]),
    )
    await _sql(pool, "run_id = NULL", list(names.values()))
    await pool.execute("UPDATE identities SET opted_out = false")
    await send(pool, *(receipt(said, name, minutes=70) for (_, said), name in names.items()))
    assert sorted(await rows(pool, "SELECT status FROM sends")) == [("ambiguous",)] * 4 + [("sent",)] * 4

    await send(pool, *(receipt("failed", name, minutes=71, **TEMPORARY) for name in names.values()))
    assert await rows(pool, "SELECT DISTINCT status, retry_at FROM sends") == [("failed", None)]
    assert await repeat(pool, 10**6) == []
