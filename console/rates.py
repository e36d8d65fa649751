"""How often somebody may ask. A rate holds for each process; it lives in memory, so that asking costs nothing."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from starlette.exceptions import HTTPException

PER_SECOND: Final = 50.0
BURST: Final = 200
_MOST: Final = 10_000
"""Who has not asked for long is forgotten first. Tokens and sessions are far fewer."""


class Rates:
    """A bucket of requests for each token and each session: `BURST` at once, then `PER_SECOND`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def take(self, who: bytes) -> None:
        """Counts a request. `who`: what is kept of the token or session, see `access.digest`.

        Raises:
            HTTPException: 429 with `Retry-After`, there were too many.
        """
        now = self._clock()
        left, since = self._buckets.pop(who, (float(BURST), now))
        left = min(BURST, left + (now - since) * PER_SECOND)
        is_allowed = left >= 1
        self._buckets[who] = left - is_allowed, now
        if len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
        if not is_allowed:
            raise too_many((1 - left) / PER_SECOND)


def too_many(wait_s: float) -> HTTPException:
    """The answer to who asks too often: 429, and after how many seconds to ask again."""
    return HTTPException(429, headers={"retry-after": str(max(1, math.ceil(wait_s)))})
