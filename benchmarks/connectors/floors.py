"""The bare loops beside receiver and sender: what cannot be saved.

`python -m benchmarks.connectors.floors produce COUNT` parses webhooks and produces their texts; `… call COUNT URL`
reads dispatches and calls a provider. Both say `consuming` when they begin, and print the seconds at the end.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any, Final

import aiohttp
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.connectors.webhooks import bodies

_AT_ONCE: Final = 64


async def produce(count: int, bootstrap: str, prefix: str) -> None:
    """Parses each body and produces a record of it; at most `_AT_ONCE` wait for their acknowledgement."""
    waiting = list(bodies(count, 1))
    slots = asyncio.Semaphore(_AT_ONCE)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer, asyncio.TaskGroup() as together:
        print("consuming", flush=True)
        began = time.perf_counter()

        async def one(body: bytes) -> None:
            message = json.loads(body)["message"]
            value = json.dumps({"id": message["message_id"], "text": message["text"]}).encode()
            await producer.send_and_wait(f"{prefix}messages.inbound", value, str(message["chat"]["id"]).encode())
            slots.release()

        tasks = []
        for body in waiting:
            await slots.acquire()
            tasks.append(together.create_task(one(body)))
        await asyncio.wait(tasks)
        print(time.perf_counter() - began, flush=True)


async def call(count: int, bootstrap: str, prefix: str, url: str) -> None:
    """Reads dispatches and posts each of them; at most `_AT_ONCE` calls are under way."""
    slots, left = asyncio.Semaphore(_AT_ONCE), count
    consumer: Any = AIOKafkaConsumer(
        f"{prefix}sends.dispatch", bootstrap_servers=bootstrap, auto_offset_reset="earliest", group_id=None
    )
    async with consumer, aiohttp.ClientSession() as client, asyncio.TaskGroup() as together:
        print("consuming", flush=True)
        began = 0.0

        async def one(record: Any) -> None:
            send = json.loads(record.value)
            body = {
                "messaging_product": "whatsapp",
                "to": send["address"].lstrip("+"),
                "type": "text",
                "text": {"body": send["content"]["text"]},
            }
            async with client.post(url, json=body, headers={"authorization": "Bearer bench-access"}) as answer:
                answer.raise_for_status()
                await answer.json()
            slots.release()

        tasks = []
        while left:
            for records in (await consumer.getmany(timeout_ms=100)).values():
                began = began or time.perf_counter()
                for record in records:
                    await slots.acquire()
                    tasks.append(together.create_task(one(record)))
                left -= len(records)
        await asyncio.wait(tasks)
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    servers = os.environ["SLUICE_KAFKA_BOOTSTRAP"], os.environ["SLUICE_TOPIC_PREFIX"]
    if sys.argv[1] == "produce":
        asyncio.run(produce(int(sys.argv[2]), *servers))
    else:
        asyncio.run(call(int(sys.argv[2]), *servers, sys.argv[3]))
