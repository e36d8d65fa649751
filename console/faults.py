"""Faults of the console itself. The server logs them, and their texts may quote what people wrote."""

import traceback
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

_FRAMES: Final = 3


class Fault(Exception):  # noqa: N818 - the type of the error is in its text
    """An error without its text: its type, and where it was raised."""

    def __init__(self, error: Exception) -> None:
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        places = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
        super().__init__(f"{type(error).__name__} at {places}")


class Faults:
    """Raises a `Fault` in place of every other error."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except BaseException as error:
            if isinstance(error, Exception):
                raise Fault(error) from None
            raise
