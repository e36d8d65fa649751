"""The table of a send's states is what the code does: no more, no less."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any, Final, get_args

import pytest
from msgspec import Raw
from msgspec.structs import replace

from schemas.receipts import DeliveryReceipt, ReceiptError, ReceiptStatus
from tests.workers.records import WORKSPACE, at, uuid_of
from tools import send_states as page
from workers.rules import send_states
from workers.rules.attempts import Settlement, settle
from workers.rules.results import Done
from workers.rules.send_states import EVENTS, STATES, TRANSITIONS, ImpossibleTransitionError, SendEvent, State, after
from workers.rules.sends import Dispatch, Hold, Refuse, SendVerdict
from workers.rules.workspace import Policies
from workers.sends import accounts, transitions
from workers.sends.accounts import AttemptChange, SendAccount
from workers.sends.arrivals import ReceiptArrival
from workers.sends.events import NO_INPUT, SendCause
from workers.sends.receipts import forward
from workers.sends.transitions import SendTransitions
from workers.store.sends import Send

STEPS: Final = 20_000
POLICIES: Final = Policies()
CAUSE: Final = SendCause("test", NO_INPUT)
HOLD: Final = Hold(("status_protected",), ("k",))
VERDICTS: Final[tuple[SendVerdict, ...]] = (Dispatch(), Dispatch(), HOLD, Refuse("opted_out"))
RECEIVED: Final[tuple[ReceiptStatus, ...]] = (*get_args(ReceiptStatus), "failed", "ambiguous")
ENDING: Final[tuple[SendEvent, ...]] = ("block", "deletion")


class Walk:
    """Sends that anything happens to, one after the other, in memory. `seen`: every transition."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)  # noqa: S311 - nothing secret
        self.seen: set[tuple[State, SendEvent, State]] = set()
        self.now = at(0)
        self.made = SendTransitions(self.now)
        self._start()

    def step(self) -> None:
        """One event, or another send."""
        possible = list(self._possible())
        if not possible or self.dice.random() < (0.5 if self.account.send.status in ("delivered", "read") else 0.02):
            self._start()
        else:
            self._do(self.dice.choice(possible))

    def _start(self) -> None:
        """Half of the sends have an attempt already that was never claimed, and another one that followed it."""
        self.account, self.ended = SendAccount(_send(self.now), {}), False
        if self.dice.random() < 0.5:
            self._do(lambda: self.made.decide(self.account.send, Dispatch(), "request", CAUSE, POLICIES))
            self._do(lambda: self._deny(HOLD))
            self._do(lambda: self._confirm(Dispatch()))

    def _do(self, event: Callable[[], Any]) -> None:
        before = self.account.send
        event()
        self.account.send = self.made.sends.get(self.account.send.key, self.account.send)
        self.account.attempts |= {number: a for (_, number), a in self.made.attempts.items()}
        live = [a for a in self.account.attempts.values() if a.status == "dispatched" and a.claimed_at is not None]
        assert len(live) <= 1
        self.ended = self.ended or before.status in send_states.ENDED
        if self.account.send.status == "dispatched" != before.status:
            assert not self.ended
        self.now += timedelta(minutes=1)
        self.made = SendTransitions(self.now)

    def _possible(self) -> Iterator[Callable[[], Any]]:
        send, attempts, made = self.account.send, self.account.attempts, self.made
        verdict = self.dice.choice(VERDICTS)
        match send.status:
            case "requested":
                yield partial(made.decide, send, verdict, "request", CAUSE, POLICIES)
            case "held":
                yield partial(self._confirm, verdict)
                yield partial(made.end, send, "rejected", "reject", CAUSE)
                yield partial(made.end, send, "expired", "expiry", CAUSE)
                yield partial(made.end, send, "refused", "halt", CAUSE)
                yield partial(made.end, send, "cancelled", self.dice.choice(ENDING), CAUSE)
            case "dispatched":
                yield self._run_out
                if attempts[send.attempt].claimed_at is None:
                    yield self._claim
                    yield partial(self._deny, verdict)
            case "failed" if send.retry_at is not None:
                yield partial(made.decide, send, verdict, "retry", CAUSE, POLICIES)
            case "ambiguous":
                yield self._settle
        if attempts:
            yield partial(self._receive, self.dice.choice(list(attempts)), self.dice.choice(RECEIVED))

    def _confirm(self, verdict: SendVerdict) -> None:
        match verdict:
            case Dispatch():
                self.made.release(self.account.send, CAUSE, self.now, POLICIES)
            case Hold():
                self.made.hold_again(self.account.send, verdict, CAUSE, self.now, POLICIES)
            case Refuse(reason):
                self.made.end(self.account.send, "refused", "confirm", CAUSE, reason)

    def _claim(self) -> None:
        number = self.account.send.attempt
        self.account.attempts[number] = replace(self.account.attempts[number], claimed_at=self.now)

    def _deny(self, verdict: SendVerdict) -> None:
        if isinstance(verdict, Dispatch):
            self.made.dispatch_again(self.account.send, CAUSE, POLICIES)
            self.seen.add(("dispatched", "denied claim", "dispatched"))
        else:
            self.made.decide(self.account.send, verdict, "denied claim", CAUSE, POLICIES)

    def _run_out(self) -> None:
        accounts.run_out_of_time(self.account, CAUSE, self.made)

    def _settle(self) -> None:
        word: Settlement = self.dice.choice(get_args(Settlement))
        statuses = {number: a.status for number, a in self.account.attempts.items()}
        if isinstance(settle(self.account.send.status, statuses, word), Done):
            self.ended = self.ended and word != "retry"
            for number in [n for n, status in statuses.items() if status == "ambiguous"]:
                self._receive(number, "sent" if word == "sent" else "failed", word)
            state = send_states.state_of(
                self.account.send.status, another_follows=self.account.send.retry_at is not None
            )
            assert state == {"sent": "sent", "failed": "failed", "retry": "retrying"}[word]

    def _receive(self, number: int, status: ReceiptStatus, word: Settlement | None = None) -> None:
        permanent = word == "failed" if word is not None else self.dice.random() < 0.5
        said = DeliveryReceipt(
            workspace_id=WORKSPACE,
            channel_id="c",
            send_id=self.account.send.send_id,
            status=status,
            at=self.now,
            error=ReceiptError(code="e", permanent=permanent),
        )
        arrival = ReceiptArrival(said, self.now, CAUSE, word)
        before, known = self.account.send, self.account.attempts[number]
        accounts.put(self.account, forward(known, arrival), self.made)
        accounts.show(self.account, AttemptChange(before, known, arrival.event, CAUSE, self.now), self.made)
        if before.status in send_states.IDLE and (known.status, status) == ("dispatched", "ambiguous"):
            assert self.account.send.status == "ambiguous"  # a confirmation would send it twice


def _send(now: datetime) -> Send:
    return Send(
        workspace_id=WORKSPACE,
        send_id=uuid_of(str(now)),
        group_id=None,
        contact_id=uuid_of("contact"),
        channel="sms",
        channel_id="c",
        scope="",
        lookup="+49",
        address="+49",
        understood=True,
        content=Raw(b'{"type":"text","text":"x"}'),
        source="workflow",
        run_id="r",
        step_id="s",
        requested_by="ann",
        requested_role="agent",
        requested_at=now,
        traceparent=None,
        status="requested",
        applied_at=now,
        updated_at=now,
    )


def test_whatever_happens_to_a_send_the_table_knows_it_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    walk = Walk(seed=7)

    def require(state: State, event: SendEvent, to: State) -> None:
        send_states.require(state, event, to)
        walk.seen.add((state, event, to))

    monkeypatch.setattr(transitions, "require", require)
    for _ in range(STEPS):
        walk.step()

    known = {(row.state, row.event, row.to) for row in TRANSITIONS}
    assert {row for row in walk.seen if row[0] != row[2]} == {row for row in known if row[0] != row[2]}
    assert {row for row in known if row[0] == row[2]} <= walk.seen
    assert {row.event for row in TRANSITIONS} == set(EVENTS)


def test_what_the_table_does_not_know_is_an_error() -> None:
    for state in STATES:
        for event in EVENTS:
            for to in {*STATES} - after(state, event) - {state}:
                with pytest.raises(ImpossibleTransitionError):
                    send_states.require(state, event, to)


def test_the_page_shows_the_table() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.written(text) == text, "run: python -m tools.send_states"
