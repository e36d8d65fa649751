"""Waiting for tasks, and ending them, without losing what they raised and without waiting for ever."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, Final, TypeVar

T = TypeVar("T")
U = TypeVar("U")
SLICE: Final = 50


async def ended(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancels the tasks and waits until they are over. What they raised is theirs to have told."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)
    for task in running:
        if not task.cancelled():
            task.exception()


async def abandoned(*tasks: asyncio.Task[Any], within_s: float) -> None:
    """As `ended`, but only for so long. Cancelled again and again, each gives up one more thing that it waits for."""
    loop = asyncio.get_running_loop()
    until, left = loop.time() + within_s, set(tasks)
    while left and loop.time() < until:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=within_s / 5)
    await ended(*(set(tasks) - left))


async def unless_failed(work: asyncio.Task[T] | Coroutine[Any, Any, T], other: asyncio.Task[Any]) -> T:
    """The work's result, unless the other task ends first: then its error, and the work is cancelled."""
    task = work if isinstance(work, asyncio.Task) else asyncio.create_task(work)
    try:
        await asyncio.wait({task, other}, return_when=asyncio.FIRST_COMPLETED)
        if not other.done():
            return await task
        other.result()
        raise RuntimeError(f"{other.get_name()} ended by itself")
    finally:
        await ended(task)


async def both(first: Coroutine[Any, Any, T], second: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """The results of both, one computing while the other waits. Neither is left behind when the other one raises."""
    one, other = asyncio.create_task(first), asyncio.create_task(second)
    try:
        await asyncio.wait({one, other})
        return one.result(), other.result()
    finally:
        await ended(one, other)


async def portions(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """The items, `SLICE` at a time; after each other tasks get their turn, lest a server's answer wait for our work."""
    for start in range(0, len(items), SLICE):
        yield items[start : start + SLICE]
        await asyncio.sleep(0)
