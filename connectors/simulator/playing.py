"""Plays the providers of channels: takes calls, reports on them, and lets people write."""

import asyncio
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum, auto
from itertools import count
from typing import Final

from connectors.provider import Answer, Channel
from connectors.simulator.deliveries import Deliveries
from connectors.simulator.phones import Phones, Shown
from connectors.simulator.played import ApiRequest, Played, Report, Said, Taken, played

_OF_EVERY_PROVIDER: Final = ("timeout", "reset")
_DELIVERED_AFTER_S: Final = 0.3
_READ_AFTER_S: Final = 1.0
_MOST_FAULTS: Final = 10_000
_MOST_KEYS: Final = 10_000


class NoAnswer(Enum):
    """How a call goes wrong whose message was taken."""

    TIMEOUT = auto()
    """It is never answered."""
    RESET = auto()
    """The connection breaks."""


class Simulator:
    """Plays the providers of these channels. `reports`: whether it reports `delivered` and `read`."""

    def __init__(self, channels: Sequence[Channel], deliveries: Deliveries, *, reports: bool = True) -> None:
        self.channels = {(channel.workspace_id, channel.channel_id): channel for channel in channels}
        self._played = {channel.provider.name: played(channel.provider) for channel in channels}
        self._deliveries = deliveries
        self._reports = reports
        self._numbers = count(time.time_ns() // 1_000_000)
        self._faults: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_MOST_FAULTS))
        self._keys: OrderedDict[tuple[str, str], Taken] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self.phones = Phones()
        self.calls = 0
        """Calls of all channels."""

    async def stop(self) -> None:
        """Ends reports that are under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def faults_of(self, channel: Channel) -> list[str]:
        """How calls of a channel can go wrong."""
        return [*self._played[channel.provider.name].faults, *_OF_EVERY_PROVIDER]

    def schedule(self, channel: Channel, fault: str, times: int = 1) -> None:
        """The next calls of a channel go wrong.

        Raises:
            ValueError: the provider has no such fault, or that is too often.
        """
        known = self.faults_of(channel)
        if fault not in known or not 0 < times <= _MOST_FAULTS:
            raise ValueError(f"Expected `fault` of {', '.join(known)}, and `times` of 1 to {_MOST_FAULTS}.")
        self._faults[channel.place].extend([fault] * times)

    def say(self, channel: Channel, sender: str, text: str, name: str | None = None) -> None:
        """A person writes on a phone.

        Raises:
            ValueError: the provider has no such address.
        """
        said = Said(sender, text, name, next(self._numbers), datetime.now(UTC))
        webhook = self._played[channel.provider.name].say(channel, said)
        shown = Shown(said.number, from_person=True, text=text, status="sending", at=said.at)
        self.phones.add(channel.place, sender, shown)

        def told(taken: bool) -> None:  # noqa: FBT001
            self.phones.update(shown, "received" if taken else "lost")

        self._deliveries.deliver(channel, webhook, told)

    def call(self, channel: Channel, request: ApiRequest) -> Answer | NoAnswer:
        """Judges a call, and answers it, if it is answered."""
        self.calls += 1
        provider, faults = self._played[channel.provider.name], self._faults[channel.place]
        fault = faults.popleft() if faults else None
        for name, answer in provider.faults.items():
            if name == fault:
                return answer
        try:
            answer = self._taken(channel, provider, request)
        except (LookupError, TypeError, ValueError, AttributeError):
            return Answer(400, {}, b"The simulator cannot read this request.")
        match fault:
            case "timeout":
                return NoAnswer.TIMEOUT
            case "reset":
                return NoAnswer.RESET
            case _:
                return answer

    def _taken(self, channel: Channel, provider: Played, request: ApiRequest) -> Answer:
        number = next(self._numbers)
        taken = provider.take(channel, request, number)
        if isinstance(taken, Answer):
            return taken
        if provider.repeat is not None:
            first = self._first(channel, provider.repeat.key(request), taken)
            if first is not taken:
                return provider.repeat.answer(first)
        shown = Shown(number, from_person=False, text=taken.text, status="taken", at=datetime.now(UTC))
        self.phones.add(channel.place, taken.recipient, shown)
        if self._reports:
            task = asyncio.create_task(self._report(channel, taken, shown))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return taken.answer

    def _first(self, channel: Channel, key: str, taken: Taken) -> Taken:
        """What was taken first under this key."""
        if len(self._keys) >= _MOST_KEYS:
            self._keys.popitem(last=False)
        return self._keys.setdefault((channel.place, key), taken)

    async def _report(self, channel: Channel, taken: Taken, shown: Shown) -> None:
        steps: tuple[tuple[Report, float], ...] = (("delivered", _DELIVERED_AFTER_S), ("read", _READ_AFTER_S))
        for what, pause_s in steps:
            await asyncio.sleep(pause_s)
            webhook = self._played[channel.provider.name].report(channel, taken, what, datetime.now(UTC))
            if webhook is not None:
                self.phones.update(shown, what)
                self._deliveries.deliver(channel, webhook)
