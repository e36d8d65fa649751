"""A campaign of many steps as a DBOS workflow. It asks Sluice before each step, and takes it when it is granted."""

import json
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid5

from confluent_kafka import Producer
from dbos import DBOS

from workers.engines.dbos import TOPIC

Json = dict[str, Any]

CHANNEL: Final = {"channel": "whatsapp", "channel_id": "wa-main"}
ANSWER_WITHIN_S: Final = 7 * 24 * 3600.0
"""Nothing is granted while Sluice's workers are away: a step waits, and is not taken without an answer."""
_NAMESPACE: Final = UUID("5e1b8a0c-3a51-4a0e-9a0e-5f0f7f6f9d21")


class Topics:
    """Writes to Sluice's input topics."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
        self._prefix = prefix

    def write(self, topic: str, key: str, value: Json) -> None:
        """Returns once Kafka has it."""
        self._producer.produce(self._prefix + topic, json.dumps(value), key)
        if self._producer.flush(30):
            raise TimeoutError(f"Kafka did not take a record of {topic}")


_opened: list[Topics] = []


def write_to(topics: Topics) -> None:
    """Call it before DBOS is launched: a workflow that is recovered writes at once."""
    _opened[:] = [topics]


def write(topic: str, key: str, value: Json) -> None:
    """Returns once Kafka has it."""
    _opened[0].write(topic, key, value)


@DBOS.workflow()
def campaign(workspace_id: str, address: str, steps: int, pause_s: float) -> str:
    """Sends so many messages; how it ended. The workflow's id is the run's id."""
    identity = {"channel": CHANNEL["channel"], "address": address}
    event(workspace_id, "run_started", {"workflow_id": "campaign", "identity": identity, "trigger": "automatic"})
    for number in range(1, steps + 1):
        event(workspace_id, "step_requested", {"step_id": str(number), "action": "send_message"})
        if (reason := refusal(str(number))) is not None:
            return f"ended: {reason}"
        send(workspace_id, address, number)
        DBOS.set_event(f"step {number}", value=True)
        DBOS.sleep(pause_s)
    event(workspace_id, "run_finished", {"outcome": "completed"})
    return "finished"


def refusal(step_id: str) -> str | None:
    """Waits until the step is granted (None) or the run has ended (the reason)."""
    while (told := DBOS.recv(TOPIC, ANSWER_WITHIN_S)) is not None:
        if told["control"] in {"run_halted", "run_refused"}:
            return str(told["reason"])
        if told["control"] == "step_granted" and told["step_id"] == step_id:
            return None
    return "no answer"


@DBOS.step(retries_allowed=True, max_attempts=10)
def event(workspace_id: str, name: str, fields: Json) -> None:
    """Tells Sluice. After a crash it may be told again: ids make that harmless."""
    run_id = str(DBOS.workflow_id)
    value = {"workspace_id": workspace_id, "event": name, "run_id": run_id, "at": now(), **fields}
    write("workflows.events", f"{workspace_id}:{run_id}", value)


@DBOS.step(retries_allowed=True, max_attempts=10)
def send(workspace_id: str, address: str, number: int) -> None:
    """The step itself: requests a send. Its `send_id` follows from run and step, so a repeat is the same send."""
    run_id = str(DBOS.workflow_id)
    value = {
        "send_id": str(uuid5(_NAMESPACE, f"{run_id}:{number}")),
        "workspace_id": workspace_id,
        **CHANNEL,
        "to": {"address": address},
        "content": {"type": "text", "text": f"Message {number}"},
        "requested_at": now(),
        "requested_by": {"id": "campaign", "role": "system"},
        "source": "workflow",
        "run_id": run_id,
        "step_id": str(number),
    }
    write("messages.outbound", f"{workspace_id}:{CHANNEL['channel']}:{address}", value)
    print(f"step {number}", flush=True)


def now() -> str:
    return datetime.now(UTC).isoformat()
