"""Tells any engine over HTTP: each record of `workflows.control` is a POST, signed as standardwebhooks.com says."""

import asyncio
import http.client
import time
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

import structlog

from workers.engines.control import EngineAway, Told
from workers.engines.signing import signature
from workers.process.metrics.of_workers import TOLD

_TRY_AGAIN: Final = (408, 429)
_DEFAULT_TIMEOUT_S: Final = 10.0

log = structlog.get_logger()


class Webhook:
    """An engine behind a URL. 2xx is done; 408, 429, 5xx and no answer are tried again; all else is given up with a
    line in the log. Redirects are not followed. Which addresses may be reached is for the network to say.
    """

    most = 1

    def __init__(self, url: str, secret: bytes, timeout_s: float = _DEFAULT_TIMEOUT_S) -> None:
        self._url = urlsplit(url)
        self._secret = secret
        self._timeout_s = timeout_s

    async def take(self, told: Sequence[Told]) -> None:
        """See the protocol."""
        for one in told:
            await self._tell(one)

    async def _tell(self, told: Told) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "sluice"}
        headers |= signature(self._secret, told.ce_id, int(time.time()), told.value)
        try:
            status = await asyncio.to_thread(_post, self._url, told.value, headers, self._timeout_s)
        except (OSError, http.client.HTTPException) as error:
            raise EngineAway(f"no answer: {error!r}") from error
        if status in _TRY_AGAIN or status >= 500:
            raise EngineAway(f"it answered {status}")
        if not 200 <= status < 300:
            TOLD.labels("refused").inc()
            log.error(
                "The engine refuses what it was told; it is not told again.",
                action="control_refused",
                status=status,
                run_id=told.control.run_id,
                control=told.control.control,
                ce_id=told.ce_id,
            )


def _post(url: SplitResult, body: bytes, headers: Mapping[str, str], timeout_s: float) -> int:
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.netloc.rpartition("@")[2], timeout=timeout_s)
    try:
        connection.request("POST", (url.path or "/") + (f"?{url.query}" if url.query else ""), body, dict(headers))
        return connection.getresponse().status
    finally:
        connection.close()
