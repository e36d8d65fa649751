"""Makes an attempt: claim, call, receipt, in this order. Whatever crashes in between, nothing is sent twice."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final, Protocol, TypeVar

import structlog

from connectors.faults import ProviderFault, asked
from connectors.provider import Answer, Call, Channel, Mail, Outcome, Unsendable, not_taken, refused, unclear
from connectors.sender.database import Database
from connectors.sender.outcomes import Again, Tries, after, receipt_of
from connectors.sender.transport import Broken, NotConnected
from schemas.building import receipt_record
from schemas.outputs import SendDispatch
from workers.errors import SetupError
from workers.process import postgres
from workers.process import production as kafka
from workers.process.failure_deadline import FailureDeadline
from workers.process.metrics.of_senders import CALL_SECONDS, CALLS, DENIED, NO_ANSWER, PROVIDER_ANSWERS
from workers.process.production import Produced, Production

T = TypeVar("T")
EARLIER_LIFE_S: Final = 90.0
"""Beyond `timeout_s`: how long another sender that claimed an attempt may take for its receipt."""
_CLAIM_AGAIN_S: Final = 0.1
_SETTLE_AGAIN_S: Final = 1.0
_SETTLE_AGAIN_AT_MOST_S: Final = 20.0
"""An attempt without a receipt keeps back the offset of its partition: a receipt must be seen soon."""

log = structlog.get_logger()


class Transport(Protocol):
    """The way to a provider."""

    async def deliver(self, channel: Channel, call: Call | Mail) -> Answer:
        """The provider's answer, within the channel's `timeout_s`.

        Raises:
            NotConnected: nothing left.
            Broken, TimeoutError: the provider may have taken the message.
        """
        ...


Probe = Callable[[str], Awaitable[None]]
"""Called at the named points of an attempt: `unclaimed`, `claimed`, `called`, `reported`. Tests stop a sender there."""


async def no_probe(_point: str) -> None:
    """The probe of production: does nothing."""


class NotClaimed(Exception):  # noqa: N818 - an answer
    """The attempt may not be made. `earlier`: an earlier life of a sender, or another one, has claimed it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.earlier = reason == "already_claimed"


class Attempts:
    """Makes attempts. Every failure of a server is waited out for a bound, then ends the process."""

    def __init__(
        self,
        claims: Database,
        production: Production,
        transport: Transport,
        unreachable_after_s: float,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        probe: Probe = no_probe,
        earlier_life_s: float = EARLIER_LIFE_S,
    ) -> None:
        self._claims = claims
        self._production = production
        self._transport = transport
        self._bound_s = unreachable_after_s
        self._clock = clock
        self._probe = probe
        self._earlier_life_s = earlier_life_s

    async def make(self, channel: Channel, send: SendDispatch) -> None:
        """Makes an attempt, and returns once its receipt is acknowledged.

        Raises:
            NotClaimed: nothing was sent, and there is no receipt.
            Unreachable, SetupError: a server did not answer within the bound, or refuses.
        """
        await self._probe("unclaimed")
        await self._claim(send)
        await self._probe("claimed")
        outcome = await self._call(channel, send)
        await self._probe("called")
        await self._report(channel, send, outcome)
        await self._probe("reported")

    async def settle(self, channel: Channel, send: SendDispatch) -> None:
        """Waits for the receipt of who claimed an attempt before; without one the attempt is `ambiguous`.

        Raises:
            Unreachable, SetupError: a server did not answer within the bound, or refuses.
        """
        pause_s = _SETTLE_AGAIN_S
        while True:
            state = await self._ask(lambda: self._claims.attempt(send))
            if state is None or state.status != "dispatched":
                return
            left_s = channel.timeout_s + self._earlier_life_s - state.claimed_s_ago
            if left_s <= 0:
                break
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, _SETTLE_AGAIN_AT_MOST_S)
        log.warning(
            "An attempt was claimed, and nobody reported what became of it: it is ambiguous.",
            action="ambiguous",
            channel=channel.place,
            send_id=str(send.send_id),
            attempt=send.attempt,
        )
        outcome = unclear("no_receipt", "a sender claimed the attempt and did not report what became of it")
        await self._report(channel, send, outcome)

    async def _claim(self, send: SendDispatch) -> None:
        while True:
            claim = await self._ask(lambda: self._claims.claim(send))
            if claim.granted:
                return
            if claim.reason != "contact_changed":
                DENIED.labels(claim.reason or "unknown").inc()
                raise NotClaimed(claim.reason or "unknown")
            await asyncio.sleep(_CLAIM_AGAIN_S)

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        deadline = FailureDeadline(self._bound_s, "PostgreSQL did not answer")
        return await deadline.insist(question, postgres.AWAY)

    async def _call(self, channel: Channel, send: SendDispatch) -> Outcome:
        provider = channel.provider
        if send.channel != channel.kind:
            return refused("another_channel", f"the channels file says that {channel.place} is of {channel.kind}")
        try:
            call = asked(channel, lambda: provider.request(channel, send))
        except ProviderFault as fault:
            return not_taken("fault", fault)
        if isinstance(call, Unsendable):
            return refused(call.code, call.message)
        loop, tries = asyncio.get_running_loop(), Tries()
        began = loop.time()
        while True:
            outcome = await self._called(channel, call)
            decided = after(outcome, tries._replace(since_s=loop.time() - began), repeats=channel.provider.repeats)
            if not isinstance(decided, Again):
                return decided
            await asyncio.sleep(decided.pause_s)
            tries = Tries(
                calls=tries.calls + 1,
                waited_s=tries.waited_s + (decided.pause_s if decided.waits else 0.0),
                unclear=tries.unclear or outcome.status == "ambiguous",
            )

    async def _called(self, channel: Channel, call: Call | Mail) -> Outcome:
        provider, sign = channel.provider, channel.provider.sign
        try:
            if sign is not None and isinstance(call, Call):
                call = asked(channel, partial(sign, channel, call, self._clock()))
        except ProviderFault as fault:
            return not_taken("fault", fault)
        code = NO_ANSWER
        try:
            with CALL_SECONDS.labels(provider.name).time():
                answer = await self._transport.deliver(channel, call)
            code = str(answer.status)
            outcome = asked(channel, lambda: provider.outcome(channel, answer))
        except NotConnected as error:
            outcome = not_taken("not_connected", error)
        except Broken as error:
            outcome = unclear("no_answer", error)
        except ProviderFault as fault:
            outcome = unclear("fault", fault)
        except TimeoutError:
            outcome = unclear("timeout", f"no answer within {channel.timeout_s:g} s")
        CALLS.labels(provider.name, outcome.status).inc()
        PROVIDER_ANSWERS.labels(provider.name, code).inc()
        return outcome

    async def _report(self, channel: Channel, send: SendDispatch, outcome: Outcome) -> None:
        receipt = Produced(receipt_record(receipt_of(channel, send, outcome, self._clock())))
        deadline = FailureDeadline(self._bound_s, "Kafka did not acknowledge a receipt")
        await deadline.insist(lambda: self._production.produce([receipt]), (*kafka.AWAY, SetupError))
