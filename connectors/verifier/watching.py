"""Watches `sends.dispatch` and `messages.receipts` for what concerns some sends."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from connectors.reading import Reader, reader
from connectors.verifier.promises import SeenReceipt
from schemas.building import RECEIPTS, Record
from schemas.decoding import BadRecord, decode_receipt
from schemas.outputs import SendDispatch
from workers.app.settings import Settings
from workers.process.production import Headers, Produced
from workers.process.tasks import ended

DISPATCH: Final = "sends.dispatch"
_LOOK_S: Final = 0.02
_POLL_RECORDS: Final = 500
_DECODER: Final = msgspec.json.Decoder(SendDispatch)


class Dispatched(NamedTuple):
    """A record of `sends.dispatch`: what it says, and how it can be produced again."""

    send: SendDispatch
    again: Produced


class Watch:
    """What came about the sends of `send_ids` since it began. `quiet_since` is the loop's time of the last receipt."""

    def __init__(self, dispatch_topic: str) -> None:
        self.send_ids: set[UUID] = set()
        self.dispatches: dict[UUID, Dispatched] = {}
        self.receipts: list[SeenReceipt] = []
        self.quiet_since = 0.0
        self._dispatch_topic = dispatch_topic
        self._reading: asyncio.Task[None] | None = None

    async def until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Waits; whether it came true in time. Raises what reading raised."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        while not done():
            if self._reading is not None and self._reading.done():
                self._reading.result()
            if loop.time() > until:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    async def until_quiet(self, quiet_s: float) -> None:
        """Waits until no receipt came for so long; at most ten times as long."""
        loop = asyncio.get_running_loop()
        self.quiet_since = max(self.quiet_since, loop.time())
        await self.until(lambda: loop.time() - self.quiet_since >= quiet_s, 10 * quiet_s)

    async def read(self, topics: Reader) -> None:
        """Reads until cancelled."""
        while True:
            for record in await topics.poll(_POLL_RECORDS):
                if record.topic == self._dispatch_topic:
                    self._dispatched(record)
                else:
                    self._reported(record.key or b"", record.value or b"")

    def begin(self, reading: "asyncio.Task[None]") -> None:
        """From now on `reading` must not end."""
        self._reading = reading

    def _dispatched(self, record: Any) -> None:
        try:
            send = _DECODER.decode(record.value or b"")
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return
        if send.send_id in self.send_ids and send.attempt == 1:
            headers: Headers = [(name, content or b"") for name, content in record.headers]
            again = Produced(Record(DISPATCH, record.key or b"", record.value), headers)
            self.dispatches.setdefault(send.send_id, Dispatched(send, again))

    def _reported(self, key: bytes, value: bytes) -> None:
        """A receipt may write an id in either case, and one that cannot be read may have it in its key only."""
        text = key.lower() + b" " + value.lower()
        named = [send_id for send_id in self.send_ids if str(send_id).encode() in text]
        if not named:
            return
        receipt = decode_receipt(value)
        self.quiet_since = asyncio.get_running_loop().time()
        if isinstance(receipt, BadRecord):
            self.receipts.append(SeenReceipt(named[0], None, receipt.error))
        elif receipt.send_id in self.send_ids:
            self.receipts.append(SeenReceipt(receipt.send_id, receipt))


@asynccontextmanager
async def watching(settings: Settings, topics: Sequence[str] = (DISPATCH, RECEIPTS)) -> AsyncIterator[Watch]:
    """A watch that has begun. Raises as aiokafka does."""
    watch = Watch(settings.kafka().topic(DISPATCH))
    async with reader(settings, topics, "verify") as found:
        await found.begin_now()
        reading = asyncio.create_task(watch.read(found), name="watch")
        watch.begin(reading)
        try:
            yield watch
        finally:
            await ended(reading)
