"""An engine is told what `workflows.control` tells: in order, at least once, and nothing is lost while it is away."""

import asyncio
import base64
import hmac
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.engines.receiver import Receiver, receiving
from tests.support.brokers import PATIENCE_S, Broker
from workers.engines.control import CONTROL, EngineAway, Halting
from workers.engines.feeding import EngineFeed, read
from workers.engines.signing import secret_of, signature
from workers.engines.webhook import Webhook
from workers.errors import SetupError, Unreachable
from workers.kafka.connection import PollLimits
from workers.kafka.following import Followed

SECRET: Final = bytes(range(32))
LIMITS: Final = PollLimits(fetch_max_wait_ms=20)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def control(name: str, run_id: str, **fields: Any) -> bytes:
    return msgspec.json.encode({"workspace_id": "acme", "run_id": run_id, "control": name, "revision": 3} | fields)


async def tell(broker: Broker, ce_id: str, value: bytes | None) -> None:
    await broker.produce(CONTROL, [(b"acme:r", value)], headers=[("ce_id", ce_id.encode())])


def feed_of(broker: Broker, engine: Any, *, bound_s: float = 20.0) -> EngineFeed:
    return EngineFeed(engine, broker.cluster(), "sluice-engine-test", LIMITS, bound_s)


@asynccontextmanager
async def feeding(broker: Broker, engine: Any) -> AsyncIterator[EngineFeed]:
    """A feed at work inside the block."""
    feed, stop = feed_of(broker, engine), asyncio.Event()
    running = asyncio.create_task(feed.run(stop))
    try:
        yield feed
    finally:
        stop.set()
        await asyncio.wait_for(running, 5)


async def until_told(receiver: Receiver, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(receiver.posts) < count:  # noqa: ASYNC110 - another thread counts
            await asyncio.sleep(0.01)


async def test_each_record_is_posted_until_it_is_taken_and_never_again(broker: Broker, receiver: Receiver) -> None:
    await broker.create(CONTROL)
    engine = Webhook(receiver.url, SECRET, timeout_s=0.3)
    halted = control("run_halted", "r", reason="contact_blocked")
    with capture_logs() as logs:
        for ce_id, value in (
            ("a", halted),
            ("x", b"{no"),
            ("y", None),
            ("b", control("step_granted", "r", step_id="1")),
        ):
            await tell(broker, ce_id, value)
        # Away in two ways, then it takes the first one; the second one it refuses for good.
        receiver.answers = [503, 0, 200, 400]
        async with feeding(broker, engine) as feed:
            await asyncio.wait_for(feed.caught_up.wait(), PATIENCE_S)
            assert receiver.ids == ["a"] * 3 + ["b"]
            await tell(broker, "c", control("a control of tomorrow", "r", outcome={"any": "thing"}, step_id="2"))
            await tell(broker, "d", control("step_resolved", "r", step_id="2", outcome="something new"))
            receiver.answers = [302]
            await until_told(receiver, 5)
            receiver.answers = [429, 408] + [500] * 100
            await tell(broker, "e", halted)
            await until_told(receiver, 8)
    assert receiver.ids[4:] == ["d", "e", "e", "e"]  # c has another shape: it is skipped
    assert {log["action"] for log in logs} >= {"control_skipped", "engine_away", "control_refused"}
    assert [log["ce_id"] for log in logs if log["action"] == "control_refused"] == ["b", "d"]

    # What was not taken when it stopped comes again, and only that.
    receiver.answers.clear()
    count = len(receiver.posts)
    async with feeding(broker, engine) as feed:
        await asyncio.wait_for(feed.caught_up.wait(), PATIENCE_S)
    assert receiver.ids[count:] == ["e"]

    path, headers, body = receiver.posts[-1]
    assert (path, body) == ("/hook?team=7", halted)
    signed = f"e.{headers['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.digest(SECRET, signed, "sha256")).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"


async def test_an_engine_that_stays_away_ends_the_process_and_loses_nothing(broker: Broker, receiver: Receiver) -> None:
    await broker.create(CONTROL)
    await tell(broker, "a", control("run_halted", "r"))
    receiver.answers = [500] * 100

    with pytest.raises(Unreachable, match="The engine did not take what it was told for 0.5 s"):
        await feed_of(broker, Webhook(receiver.url, SECRET), bound_s=0.5).run(asyncio.Event())

    count, receiver.answers = len(receiver.posts), []
    assert count > 1
    async with feeding(broker, Webhook(receiver.url, SECRET)):
        await until_told(receiver, count + 1)


class Runs:
    """An engine that only stops runs."""

    def __init__(self) -> None:
        self.halted: list[tuple[str, str, str | None]] = []
        self.away = 2

    async def halts(self, workspace_id: str, run_id: str, reason: str | None) -> None:
        if self.away:
            self.away -= 1
            raise EngineAway("restarting")
        self.halted.append((workspace_id, run_id, reason))


async def test_the_smallest_port_hears_of_ended_runs_only(any_broker: Broker) -> None:
    await any_broker.create(CONTROL)
    for number, name in enumerate(("step_granted", "run_halted", "step_resolved", "run_refused")):
        await tell(any_broker, str(number), control(name, f"r{number}", reason="contact_blocked"))
    runs = Runs()
    async with feeding(any_broker, Halting(runs)) as feed:
        await asyncio.wait_for(feed.caught_up.wait(), PATIENCE_S)

    assert runs.halted == [("acme", "r1", "contact_blocked"), ("acme", "r3", "contact_blocked")]


async def test_without_the_topic_it_does_not_begin(broker: Broker) -> None:
    with pytest.raises(SetupError, match="there is no topic workflows.control: run `sluice topics`"):
        await feed_of(broker, Halting(Runs())).run(asyncio.Event())


async def test_without_kafka_it_waits_until_the_bound_or_a_stop() -> None:
    nowhere = Broker("embedded", "127.0.0.1:9")
    with pytest.raises(Unreachable, match="Kafka did not answer for 0.2 s"):
        await feed_of(nowhere, Halting(Runs()), bound_s=0.2).run(asyncio.Event())
    async with feeding(nowhere, Halting(Runs())):
        pass


@pytest.mark.parametrize("ce_id", [None, b"", b"a\r\nb", b"\xff", b"a b"])
def test_an_id_that_no_header_can_carry_is_replaced(ce_id: bytes | None) -> None:
    told = read(Followed(3, 7, b'{"workspace_id":"w","run_id":"r","control":"c"}', {"ce_id": ce_id}))
    assert told is not None
    assert told.ce_id == "3-7"


def test_a_signature_is_that_of_the_standard() -> None:
    secret = secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    headers = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!"])
def test_a_secret_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=".+"):
        secret_of(text)


def test_the_check_of_the_manual_knows_what_is_signed() -> None:
    manual = (Path(__file__).parents[2] / "docs/workflows.md").read_text(encoding="utf-8")
    [source] = [
        block for block in re.findall(r"```python\n(.*?)```", manual, re.DOTALL) if "def is_from_sluice" in block
    ]
    names: dict[str, Any] = {}
    exec(source, names)  # noqa: S102 - from our own manual
    secret = f"whsec_{base64.b64encode(SECRET).decode()}"
    headers = signature(SECRET, "a", int(time.time()), b"{}")

    assert names["is_from_sluice"](headers, b"{}", secret)
    assert not names["is_from_sluice"](headers, b"{ }", secret)
    assert not names["is_from_sluice"](signature(SECRET, "a", 1_700_000_000, b"{}"), b"{}", secret)
    assert secret_of(secret) == SECRET
