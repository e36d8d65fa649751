"""The OpenAPI document, made of the table of calls."""

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from console.api import bodies
from console.api.addresses import NAMES
from console.api.calls import Call, Items, Query, Shown
from console.api.problems import MEDIA_TYPE, ProblemDetails

_TEMPLATE: Final = "#/components/schemas/{model}"
_NAME: Final = re.compile(r"\{(\w+)\}")
_ALWAYS: Final = (401, 429, 503)
_ABOUT: Final = (
    "Lists are pages: `next` is the cursor of the next one, null on the last. Every change is a command or a send that "
    "goes through Kafka, as those of any producer do. Give `Idempotency-Key` to be able to ask again."
)


def document(calls: Sequence[Call]) -> Mapping[str, Any]:
    """The document of these calls, OpenAPI 3.1."""
    models: list[type[BaseModel]] = [ProblemDetails, *(model for call in calls for model in _models(call))]
    _, definitions = models_json_schema([(model, "serialization") for model in models], ref_template=_TEMPLATE)
    paths: dict[str, dict[str, Any]] = {}
    for call in calls:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sluice", "version": version("sluice"), "description": _ABOUT},
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {**bodies.COMPONENTS, **_as_answers(definitions["$defs"])},
        },
    }


def encoded(calls: Sequence[Call]) -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document(calls))


def statuses_of(call: Call) -> Iterator[int]:
    """The statuses of errors that a call may answer with."""
    yield from (*_ALWAYS, *call.statuses)
    if _NAME.search(call.path) or call.is_for_operators:
        yield 404
    if call.query is not Query or call.read is not None or call.body is not None:
        yield 422
    if call.body is not None:
        yield from (413, 415)


def _operation(call: Call) -> Mapping[str, Any]:
    answers = {str(status): _answer(status, shown) for status, shown in call.answers.items()}
    for status in sorted(statuses_of(call)):
        answers[str(status)] = _MOVED if status == HTTPStatus.PERMANENT_REDIRECT else _problem(status)
    operation: dict[str, Any] = {
        "operationId": f"{call.method.lower()}{re.sub(r'[^A-Za-z0-9]+', '_', call.path)}".rstrip("_"),
        "summary": call.about,
        "parameters": [*_path_parameters(call), *_query_parameters(call), *_header_parameters(call)],
        "responses": answers,
    }
    if call.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": call.body}}}
    return operation


def _models(call: Call) -> Iterator[type[BaseModel]]:
    for shown in call.answers.values():
        if isinstance(shown, Items):
            yield shown.row
        elif not isinstance(shown, str):
            yield shown


def _answer(status: int, shown: Shown) -> Mapping[str, Any]:
    if isinstance(shown, str):
        content: Mapping[str, Any] = {shown: {"schema": {"type": "string"}}}
    else:
        content = {"application/json": {"schema": _schema(shown)}}
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase, "content": content}
    if status == HTTPStatus.ACCEPTED:
        answer["headers"] = {"Location": {"required": True, "schema": {"type": "string"}}}
    return answer


def _schema(shown: Items | type[BaseModel]) -> Mapping[str, Any]:
    if not isinstance(shown, Items):
        return _reference(shown)
    rows = {"type": "array", "items": _reference(shown.row)}
    return {
        "type": "object",
        "properties": {"items": rows, "next": {"type": ["string", "null"]}},
        "required": ["items", "next"],
    }


def _reference(model: type[BaseModel]) -> Mapping[str, Any]:
    return {"$ref": _TEMPLATE.format(model=model.__name__)}


_MOVED: Final = {
    "description": "The contact was merged; `Location` has who it is now.",
    "headers": {"Location": {"required": True, "schema": {"type": "string"}}},
    "content": {"application/json": {"schema": {"type": "object"}}},
}


def _problem(status: int) -> Mapping[str, Any]:
    answer: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": _reference(ProblemDetails)}},
    }
    name = {401: "WWW-Authenticate", 429: "Retry-After"}.get(status)
    if name is not None:
        answer["headers"] = {name: {"required": True, "schema": {"type": "string"}}}
    return answer


def _as_answers(definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Fields of problems that have no value are left out; all others are there."""
    problem = definitions[ProblemDetails.__name__]
    problem["required"] = ["type", "title", "status", "detail"]
    return definitions


def _path_parameters(call: Call) -> list[Mapping[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": NAMES[name].schema}
        for name in _NAME.findall(call.path)
    ]


def _query_parameters(call: Call) -> list[Mapping[str, Any]]:
    schema = call.query.model_json_schema()
    required = schema.get("required", ())
    found: list[Mapping[str, Any]] = []
    for name, about in schema.get("properties", {}).items():
        kinds = [kind for kind in about.get("anyOf", ()) if kind.get("type") != "null"]
        plain = {**(kinds[0] if kinds else about)}
        plain.pop("title", None)
        told = {"description": about["description"]} if "description" in about else {}
        found.append({"name": name, "in": "query", "required": name in required, "schema": plain, **told})
    if call.query.model_config.get("extra") == "allow":
        fields = {"type": "object", "additionalProperties": True}
        about = {"description": call.query.__doc__}
        found.append({"name": "fields", "in": "query", "style": "form", "explode": True, "schema": fields, **about})
    return found


def _header_parameters(call: Call) -> list[Mapping[str, Any]]:
    return [
        {
            "name": name,
            "in": "header",
            "required": False,
            "description": about,
            "schema": {"type": "string", **({"format": form} if form else {})},
        }
        for name, form, about in call.headers
    ]
