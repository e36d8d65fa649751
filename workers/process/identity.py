"""Who this process is: what rows of leases and progress say of their owner."""

import os
import socket
import time
from importlib.metadata import version
from typing import Final

VERSION: Final = version("sluice")
_BEGAN: Final = time.monotonic()


def owner(part: str) -> str:
    """Host, process id and the name of the part of the process, with `/` in between."""
    return f"{socket.gethostname()}/{os.getpid()}/{part}"


def runs_for_s() -> float:
    """Since when this process runs, in seconds."""
    return time.monotonic() - _BEGAN
