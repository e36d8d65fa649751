"""Keeps Kubernetes' JSON Schemas of the kinds in `deploy/kubernetes` for the tests: `python -m tools.kubernetes_schemas
WHEEL VERSION…`. The wheel is that of the package kubernetes-validate, which ships the schemas of every version.

    pip download --no-deps kubernetes-validate==1.37.0
    python -m tools.kubernetes_schemas kubernetes_validate-1.37.0-py3-none-any.whl 1.30.0 1.37.0

Each file has one schema for each kind, and what they refer to. Fields that Kubernetes does not know are errors.
"""

import gzip
import json
import re
import sys
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

FOLDER: Final = Path(__file__).resolve().parents[1] / "tests" / "deploy" / "schemas"
KINDS: Final = {
    "ConfigMap": "configmap-v1",
    "Deployment": "deployment-apps-v1",
    "Ingress": "ingress-networking-v1",
    "Job": "job-batch-v1",
    "Namespace": "namespace-v1",
    "NetworkPolicy": "networkpolicy-networking-v1",
    "PodDisruptionBudget": "poddisruptionbudget-policy-v1",
    "Service": "service-v1",
    "ServiceAccount": "serviceaccount-v1",
}

_REF: Final = re.compile(r'"[^"]*#/(?:\$defs|definitions)/([^"]+)"')


def schemas_of(wheel: ZipFile, version: str) -> dict[str, Any]:
    """Kind to schema, and under `$defs` what they refer to, without descriptions."""
    folder = f"kubernetes_validate/kubernetes-json-schema/v{version}-local-strict"
    found = json.loads(wheel.read(f"{folder}/_definitions.json"))
    definitions = found.get("$defs") or found["definitions"]
    kinds = {kind: _bare(json.loads(wheel.read(f"{folder}/{file}.json"))) for kind, file in KINDS.items()}
    needed: dict[str, Any] = {}
    todo = _named(kinds)
    while todo:
        name = todo.pop()
        needed[name] = _bare(definitions[name])
        todo |= _named(needed[name]) - needed.keys()
    return {**kinds, "$defs": dict(sorted(needed.items()))}


def _named(found: Any) -> set[str]:
    return set(_REF.findall(json.dumps(found)))


def _bare(found: Any) -> Any:
    """The same without descriptions, with references inside of the document."""
    match found:
        case {"$ref": str(ref)}:
            return {"$ref": f"#/$defs/{ref.rpartition('/')[2]}"}
        case dict():
            return {
                key: _bare(value)
                for key, value in found.items()
                if not (key == "description" and isinstance(value, str))
            }
        case list():
            return [_bare(value) for value in found]
        case _:
            return found


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with ZipFile(sys.argv[1]) as wheel:
        for version in sys.argv[2:]:
            text = json.dumps(schemas_of(wheel, version), separators=(",", ":"))
            packed = gzip.compress(text.encode(), mtime=0)
            (FOLDER / f"kubernetes-{version}.json.gz").write_bytes(packed)


if __name__ == "__main__":
    main()
