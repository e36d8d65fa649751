"""The trials: what a sender is given through its topics, and what is waited for."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

from asyncpg.exceptions import InsufficientPrivilegeError
from msgspec.structs import replace

from connectors.verifier.database import Standing, Views
from connectors.verifier.promises import TrialFacts
from connectors.verifier.watching import DISPATCH, Dispatched, Watch, watching
from schemas.building import OUTBOUND, RECEIPTS, Record, encoded, receipt_record, send_record
from schemas.fields import Channel
from schemas.inbound import Content
from schemas.receipts import DeliveryReceipt, ReceiptError
from schemas.sends import Recipient, Requester, SendRequest
from workers.app.settings import Settings
from workers.errors import NotPossible, SettingsError, SetupError, Unreachable
from workers.process.production import Produced, Production

_REQUESTER: Final = Requester(id="sluice-connectors-verify", role="system")
_IN_ORDER: Final = 3
_REPEATS: Final = 2
_RACES: Final = 3
_NEVER: Final = 1_000_000
"""The number of an attempt that is not made."""
_QUIET_S: Final = 3.0
"""After so long without a receipt none of what was done before is expected any more."""
_LOOK_S: Final = 0.002
_UNDECIDED: Final = frozenset({"unknown_send", "not_dispatched", "contact_changed"})


class Target(NamedTuple):
    """Where trials go: an address on a test channel. `timeout_s` bounds each wait for a receipt."""

    workspace_id: str
    channel_id: str
    kind: Channel
    address: str
    timeout_s: float


class Trials:
    """Makes the trials one after the other; `facts` grows."""

    def __init__(self, target: Target, views: Views, production: Production, watch: Watch) -> None:
        self.facts: Final = TrialFacts(receipts=watch.receipts)
        self._target: Final = target
        self._views: Final = views
        self._production: Final = production
        self._watch: Final = watch
        self._requested: list[UUID] = []

    async def one(self) -> bool:
        """One send; whether its attempt was reported, so that more trials make sense.

        Raises:
            NotPossible: Sluice does not dispatch to this address.
            Unreachable: no sender serves the channel.
        """
        send_id = await self._request()
        standing = await self._judged(send_id)
        if standing.status in ("refused", "held") or not await self._dispatched([send_id]):
            why = standing.status if standing.reason is None else f"{standing.status}, {standing.reason}"
            raise NotPossible(f"send {send_id} of the trial is {why}: give an --address that may be written to")
        if await self._reported([send_id]):
            return True
        if all(attempt.claimed_at is None for attempt in await self._views.attempts([send_id])):
            raise Unreachable(
                f"nobody claimed or reported send {send_id} within {self._target.timeout_s:g} s: "
                "is the sender at work, and does it serve this channel?"
            )
        return False

    async def several(self) -> None:
        """A few sends to the address, at once."""
        send_ids = [await self._request() for _ in range(_IN_ORDER)]
        for send_id in send_ids:
            await self._judged(send_id)
        if await self._dispatched(send_ids):
            await self._reported(send_ids)

    async def repeated(self) -> None:
        """Every dispatch so far once more, the last one first, and dispatches of attempts that may not be made. A send
        behind them tells when the sender has read them.
        """
        await self._watch.until_quiet(_QUIET_S)
        dispatches = list(reversed(self._watch.dispatches.values()))
        forbidden = [_forbidden(dispatches[0], attempt=_NEVER), _forbidden(dispatches[0], send_id=uuid4())]
        self._watch.send_ids |= {send_id for send_id, _, _ in forbidden}
        self.facts.repeated_after = len(self.facts.receipts)
        again = [one.again for one in dispatches] * _REPEATS
        try:
            await self._production.produce([*again, *(record for _, _, record in forbidden)])
        except SetupError as error:
            self.facts.not_read = f"this login may not write {DISPATCH} ({error})"
            return
        self.facts.repeated = [one.send.send_id for one in dispatches]
        self.facts.refused = [(send_id, attempt) for send_id, attempt, _ in forbidden]
        last = await self._request()
        await self._judged(last)
        if await self._dispatched([last]) and await self._reported([last]):
            self.facts.not_read = None
        else:
            self.facts.not_read = f"send {last} behind the repeats was not reported"
        await self._watch.until_quiet(_QUIET_S)

    async def claimed_before(self) -> None:
        """A send that is claimed here before the sender can, as by a life of it that has ended since."""
        try:
            for _ in range(_RACES):
                send_id = await self._request()
                denied = await self._claim(send_id)
                if denied is None:
                    self.facts.earlier = send_id
                    await self._reported([send_id])
                    return
                self.facts.not_earlier = f"the claim was denied: {denied}"
                if denied != "already_claimed":
                    return
                await self._reported([send_id])  # the sender was quicker
        except InsufficientPrivilegeError:
            self.facts.not_earlier = "this login may not claim: it lacks the role sluice_sender"

    async def conclude(self) -> None:
        """Completes the facts, and reports the attempt that was claimed here if nobody else did."""
        self.facts.receipts = list(self._watch.receipts)
        mine = [send_id for send_id in self._requested if send_id != self.facts.earlier]
        self.facts.attempts = await self._views.attempts(self._requested)
        self.facts.sends = [send_id for send_id in self._watch.dispatches if send_id in mine]
        self.facts.arrived = [
            self._watch.dispatches[send_id].send.content.text or ""
            for send_id in self.facts.sends
            if any(result.status == "sent" for result in self.facts.results(send_id, 1))
        ]
        earlier = self.facts.earlier
        if earlier is not None and not self.facts.results(earlier, 1):
            target = self._target
            receipt = DeliveryReceipt(
                workspace_id=target.workspace_id,
                channel_id=target.channel_id,
                send_id=earlier,
                attempt=1,
                status="failed",
                at=datetime.now(UTC),
                error=ReceiptError(code="trial", message="claimed by a trial and not sent", permanent=True),
            )
            await self._production.produce([Produced(receipt_record(receipt))])

    async def _request(self) -> UUID:
        target, send_id = self._target, uuid4()
        number = len(self._requested) + 1
        said = Content(
            type="text",
            text=f"Sluice trial, message {number}",
            subject="Sluice trial" if target.kind == "email" else None,
        )
        request = SendRequest(
            send_id=send_id,
            workspace_id=target.workspace_id,
            channel_id=target.channel_id,
            channel=target.kind,
            to=Recipient(address=target.address),
            content=said,
            requested_at=datetime.now(UTC),
            requested_by=_REQUESTER,
            source="api",
        )
        try:
            record = send_record(request)
        except ValueError as error:
            raise SettingsError(f"--address does not fit: {error}") from None
        self._watch.send_ids.add(send_id)
        self._requested.append(send_id)
        await self._production.produce([Produced(record)])
        return send_id

    async def _judged(self, send_id: UUID) -> Standing:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._target.timeout_s
        while (standing := await self._views.send(send_id)) is None:
            if loop.time() > until:
                raise Unreachable(
                    f"no status of send {send_id} within {self._target.timeout_s:g} s; "
                    "is `sluice worker outbound` at work?"
                )
            await asyncio.sleep(10 * _LOOK_S)
        return standing

    async def _claim(self, send_id: UUID) -> str | None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._target.timeout_s
        while True:
            denied = await self._views.claim(send_id, 1)
            if denied not in _UNDECIDED or loop.time() > until:
                return denied
            await asyncio.sleep(_LOOK_S)

    async def _dispatched(self, send_ids: Sequence[UUID]) -> bool:
        return await self._watch.until(
            lambda: all(send_id in self._watch.dispatches for send_id in send_ids), self._target.timeout_s
        )

    async def _reported(self, send_ids: Sequence[UUID]) -> bool:
        return await self._watch.until(
            lambda: all(self.facts.results(send_id, 1) for send_id in send_ids), self._target.timeout_s
        )


def _forbidden(dispatched: Dispatched, **changed: Any) -> tuple[UUID, int, Produced]:
    """The dispatch of an attempt that no claim is granted for."""
    content = Content(type="text", text="Sluice trial: this message must not arrive")
    send = replace(dispatched.send, content=content, **changed)
    record = Record(DISPATCH, dispatched.again.record.key, encoded(send))
    return send.send_id, send.attempt, Produced(record)


async def tried(settings: Settings, target: Target, views: Views, tell: Callable[[str], None]) -> TrialFacts:
    """Makes all trials that make sense; `tell` is called with what comes next.

    Raises:
        NotPossible: Sluice does not dispatch to this address.
        Unreachable: no worker or no sender serves the channel.
        SetupError: topics or rights are missing.
        Other errors of aiokafka and asyncpg: a server does not answer.
    """
    production = Production(settings.kafka(), "verify")
    try:
        await production.check_topics((OUTBOUND, DISPATCH, RECEIPTS))
        async with watching(settings) as watch:
            trials = Trials(target, views, production, watch)
            tell("one send")
            if await trials.one():
                tell("several sends at once")
                await trials.several()
                tell("repeated and forbidden dispatches")
                await trials.repeated()
                tell("an attempt that somebody else has claimed")
                await trials.claimed_before()
            await trials.conclude()
            return trials.facts
    finally:
        await production.stop()
