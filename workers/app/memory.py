"""How a process takes memory from the operating system, and gives it back."""

import ctypes
import gc
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_LARGE_BYTES: Final = 128 * 1024


def tune_memory() -> None:
    """Call it once, when the process has loaded what it needs.

    Freezes all present objects, which live as long as the process, and collects young garbage in larger portions.

    With glibc, a large block gets pages of its own, which go back when it is freed. By default glibc moves blocks of
    up to 32 MiB to the heap once it has freed one of that size. Small objects between them then keep the pages: beside
    large batches the peak was up to 60 MiB higher. One arena, not one for each thread, for the same reason.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_ARENA_MAX, 1)
