"""Sluice's inbound worker with every rule on, through its engine."""

import asyncio
import time

from benchmarks.load import TOPIC
from benchmarks.result import Result, finished
from workers.inbound.worker import SPEC
from workers.runtime.connection import Kafka
from workers.runtime.worker import Wiring, Worker, tune_garbage_collection
from workers.store.pool import pool_of


async def measure(bootstrap: str, database: str, prefix: str, group: str, count: int) -> Result:
    """Consume `count` messages of the prefixed inbound topic into `database`, until all is applied."""
    async with pool_of(database, name="bench") as pool:
        worker = Worker(SPEC, Wiring(pool=pool, kafka=Kafka(bootstrap, prefix), group_prefix=group))
        tune_garbage_collection()
        running = asyncio.create_task(worker.run())
        await worker.consuming.wait()
        started, cpu = time.perf_counter(), time.process_time()
        query = "SELECT coalesce(sum(next_offset), 0) FROM sluice.partition_progress WHERE topic = $1"
        while await pool.fetchval(query, TOPIC) < count:
            await asyncio.sleep(0.01)
            if running.done():
                break
        result = finished("sluice", count, started, cpu)
        worker.stop()
        await running
        return result
