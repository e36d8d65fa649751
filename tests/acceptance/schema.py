"""Checks values against the published JSON Schemas, formats included."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from jsonschema_rs import Draft202012Validator

_FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "schemas"


def breaches(topic: str, value: Any) -> list[str]:
    """What is wrong with a value of a topic, one line each."""
    return [f"{list(error.instance_path)}: {error.message}" for error in validator(topic).iter_errors(value)]


@cache
def published(topic: str) -> Any:
    """The schema in docs/schemas."""
    return json.loads((_FOLDER / f"{topic}.json").read_text(encoding="utf-8"))


@cache
def validator(topic: str) -> Draft202012Validator:
    return Draft202012Validator(published(topic), validate_formats=True)
