"""Every file of tests/cases, played through the workers. Real Kafka plays what the embedded broker cannot."""

from typing import Any

import pytest

from tests.acceptance.cases import CasePlayer, case_names, found, load_case, needs_kafka
from tests.acceptance.stage import Workspace


def _played() -> list[Any]:
    return [
        pytest.param(
            *(("kafka" if needs_kafka(name) else "embedded"), name),
            id=name,
            marks=[pytest.mark.kafka] if needs_kafka(name) else [],
        )
        for name in case_names()
    ]


@pytest.mark.parametrize(("stage_broker", "case"), _played(), indirect=["stage_broker"], scope="package")
async def test_case(workspace: Workspace, case: str) -> None:
    told = load_case(case, workspace.id)

    await CasePlayer(workspace).play(told["records"])

    for expected in told["expect"]:
        rows = await found(workspace, expected)
        assert sorted(rows, key=repr) == sorted(expected["rows"], key=repr), expected["name"]
