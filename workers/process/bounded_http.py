"""uvicorn's HTTP protocol with bounds that it lacks: on what is no body, and on the time that a request may take.

An application may break a connection: the scope's extension `connection` has a function `abort`.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD: Final = 64 * 1024
HEAD_S: Final = 20.0
REQUEST_S: Final = 60.0
"""From the end of the head to the end of the body. A request behind another one waits for that meanwhile."""
STALLED_S: Final = 30.0
MOST_WAITING: Final = 16
"""Requests of a connection behind the one that is answered. uvicorn reads more of them after each answer."""


class BoundedHttp(HttpToolsProtocol):
    """Closes a connection that has no whole head, or no whole body, in time; one that sends more than 64 KiB beside the
    body, or more than its size again (head, sizes of chunks, trailers); one that does not read its answers; and one
    that sends many requests ahead of them.

    Requests that ask for another protocol are refused: uvicorn would answer them without their body.
    """

    _between = True
    _beside_body = 0
    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._met()
        self._reads_again()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._between:
            self._await_head()
        self._beside_body += len(data)
        super().data_received(data)
        if self._beside_body > LARGEST_HEAD:
            self.transport.close()

    def on_message_begin(self) -> None:
        self._between, self._beside_body = False, 0
        self._await_head()
        super().on_message_begin()
        self.scope["extensions"] = {"connection": {"abort": self.transport.abort}}

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade() or len(self.pipeline) >= MOST_WAITING:
            raise ValueError("Expected another request")  # uvicorn answers 400 and closes
        self._due(REQUEST_S)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._beside_body -= 2 * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._between, self._beside_body = True, 0
        self._met()
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        self._reads_again()
        super().resume_writing()

    def _await_head(self) -> None:
        if self._deadline is None:
            self._due(HEAD_S)

    def _due(self, within_s: float) -> None:
        self._met()
        self._deadline = self.loop.call_later(within_s, self.transport.close)

    def _met(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _reads_again(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
