"""Waiting for tasks, and ending them, without losing what they raised and without waiting for ever."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
U = TypeVar("U")


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
