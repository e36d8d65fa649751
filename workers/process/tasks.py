"""Waits for tasks and ends them, without losing their exceptions and without waiting for ever."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from typing import Any, Final, TypeVar

T = TypeVar("T")
U = TypeVar("U")
SLICE: Final = 50
FIRST_SLICE: Final = 8
TURN_S: Final = 0.01


async def ended(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancels the tasks and waits until they are over. Each task logs its own exceptions."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)
    for task in running:
        if not task.cancelled():
            task.exception()


async def abandoned(*tasks: asyncio.Task[Any], within_s: float) -> None:
    """As `ended`, but with a time limit. Cancels again and again: each time a task gives up one more thing that it
    waits for.
    """
    loop = asyncio.get_running_loop()
    until, left = loop.time() + within_s, set(tasks)
    while left and loop.time() < until:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=within_s / 5)
    await ended(*(set(tasks) - left))


async def unless_failed(work: asyncio.Task[T] | Coroutine[Any, Any, T], other: asyncio.Task[Any]) -> T:
    """The result of the work. If the other task ends first, cancels the work and raises the other task's error."""
    task = work if isinstance(work, asyncio.Task) else asyncio.create_task(work)
    try:
        await asyncio.wait({task, other}, return_when=asyncio.FIRST_COMPLETED)
        if not other.done():
            return await task
        other.result()
        raise RuntimeError(f"{other.get_name()} ended by itself")
    finally:
        await ended(task)


async def unless_stopped(work: Coroutine[Any, Any, Any], stop: asyncio.Event) -> bool:
    """Whether the work was done before a stop was requested; it is ended otherwise."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        return working.done()
    finally:
        await ended(working, stopping)


async def both(first: Coroutine[Any, Any, T], second: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """The results of both; one computes while the other waits. If one raises, the other one is ended as well."""
    one, other = asyncio.create_task(first), asyncio.create_task(second)
    try:
        await asyncio.wait({one, other})
        return one.result(), other.result()
    finally:
        await ended(one, other)


async def paced(items: Iterable[T]) -> AsyncIterator[T]:
    """The items one by one. Other tasks run after `SLICE` of them, and sooner if they take long: producers decide how
    much work an item is.
    """
    clock = asyncio.get_running_loop().time
    left, until = SLICE, clock() + TURN_S
    for item in items:
        yield item
        left -= 1
        if not left or clock() >= until:
            await asyncio.sleep(0)
            left, until = SLICE, clock() + TURN_S


async def growing_slices(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """Slices of the items. Other tasks run after each slice. The first one is short; then each is twice as long as the
    last one, up to `SLICE`, or half as long after a slice that took longer than `TURN_S`.

    Costs less than `paced` where there are thousands of items.
    """
    clock = asyncio.get_running_loop().time
    start, size = 0, FIRST_SLICE
    while start < len(items):
        began = clock()
        yield items[start : start + size]
        start += size
        size = max(1, size // 2) if clock() - began > TURN_S else min(SLICE, 2 * size)
        await asyncio.sleep(0)


async def slices(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """The items, `SLICE` at a time. Other tasks run after each slice. For work that runs statements for each slice."""
    for start in range(0, len(items), SLICE):
        yield items[start : start + SLICE]
        await asyncio.sleep(0)
