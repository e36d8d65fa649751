"""uvicorn's HTTP protocol with bounds that it lacks: on the head of a request, and on the time until it is there.

An application may break a connection: the scope's extension `connection` has a function `abort`.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD: Final = 64 * 1024
HEAD_S: Final = 20.0


class BoundedHeads(HttpToolsProtocol):
    """Closes a connection whose first request has no whole head in time, and one with a head that is too large."""

    _in_head = True
    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_S, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._meet_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > LARGEST_HEAD:
            self.transport.close()

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()
        self.scope["extensions"] = {"connection": {"abort": self.transport.abort}}

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._meet_deadline()
        super().on_headers_complete()

    def _meet_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
