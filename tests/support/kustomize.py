"""What `kubectl kustomize` makes of a folder, for the fields that `deploy/kubernetes` uses; another field is an error.

Names of generated ConfigMaps end with `-hash`.
"""

import copy
import re
from pathlib import Path
from typing import Any, Final

import yaml

Manifest = dict[str, Any]

GENERATED: Final = "-hash"

_FIELDS: Final = frozenset(
    {"apiVersion", "kind", "namespace", "resources", "components", "patches", "images", "configMapGenerator"}
)
_KEYS: Final = {  # by what the items of a list are merged; every other list is replaced
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "topologySpreadConstraints": "topologyKey",
}
_CLUSTER_WIDE: Final = frozenset({"Namespace"})


def built(folder: Path) -> list[Manifest]:
    """The manifests of a folder with a kustomization.yaml."""
    return _built(folder, [])


def _built(folder: Path, below: list[Manifest]) -> list[Manifest]:
    """`below` is what a component works on."""
    told = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    assert told.keys() <= _FIELDS, told.keys() - _FIELDS
    manifests = [*below]
    for name in told.get("resources", []):
        path = folder / name
        manifests += built(path) if path.is_dir() else loaded(path)
    generated = [_generated(folder, one) for one in told.get("configMapGenerator", [])]
    manifests += generated
    for name in told.get("components", []):
        manifests = _built(folder / name, manifests)
    for patch in told.get("patches", []):
        _patch(folder, patch, manifests)
    for image in told.get("images", []):
        for container in _containers(manifests):
            _rename_image(container, image)
    if "namespace" in told:
        for manifest in manifests:
            if manifest["kind"] not in _CLUSTER_WIDE:
                manifest["metadata"]["namespace"] = told["namespace"]
    for one in generated:
        _refer(manifests, one["metadata"]["name"])
    return manifests


def loaded(file: Path) -> list[Manifest]:
    """The documents of a YAML file."""
    return [one for one in yaml.safe_load_all(file.read_text(encoding="utf-8")) if one]


def _generated(folder: Path, told: dict[str, Any]) -> Manifest:
    data = {name: (folder / name).read_text(encoding="utf-8") for name in told["files"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": told["name"] + GENERATED}, "data": data}


def _refer(manifests: list[Manifest], generated: str) -> None:
    """Volumes name the generated ConfigMap."""
    for manifest in manifests:
        pod = manifest.get("spec", {}).get("template", {}).get("spec", {})
        for volume in pod.get("volumes", []):
            if volume.get("configMap", {}).get("name") == generated.removesuffix(GENERATED):
                volume["configMap"]["name"] = generated


def _containers(manifests: list[Manifest]) -> list[dict[str, Any]]:
    pods = [manifest["spec"]["template"]["spec"] for manifest in manifests if manifest["kind"] in {"Deployment", "Job"}]
    return [one for pod in pods for one in (*pod.get("initContainers", []), *pod["containers"])]


def _rename_image(container: dict[str, Any], image: dict[str, str]) -> None:
    if container["image"].rpartition(":")[0] == image["name"] or container["image"] == image["name"]:
        container["image"] = f"{image['newName']}:{image['newTag']}"


def _patch(folder: Path, told: dict[str, Any], manifests: list[Manifest]) -> None:
    text = told["patch"] if "patch" in told else (folder / told["path"]).read_text(encoding="utf-8")
    for patch in yaml.safe_load_all(text):
        target = told.get("target") or {"kind": patch["kind"], "name": re.escape(patch["metadata"]["name"])}
        found = [one for one in manifests if _is_meant(one, target)]
        assert found, f"{target}: nothing to patch"
        for manifest in found:
            if isinstance(patch, list):
                for step in patch:
                    _step(manifest, step)
            else:
                kept = manifest["metadata"]["name"]
                merged = _merged(manifest, patch)
                manifest.clear()
                manifest.update(merged)
                manifest["metadata"]["name"] = kept


def _is_meant(manifest: Manifest, target: dict[str, str]) -> bool:
    group, _, version = manifest["apiVersion"].rpartition("/")
    is_ = {"group": group, "version": version, "kind": manifest["kind"], "name": manifest["metadata"]["name"]}
    return all(re.fullmatch(wanted, is_[name]) for name, wanted in target.items())


def _merged(old: Any, new: Any, key: str = "") -> Any:
    """A strategic merge."""
    if isinstance(old, dict) and isinstance(new, dict):
        both = copy.deepcopy(old)
        for name, value in new.items():
            if value is None:
                both.pop(name, None)
            else:
                both[name] = _merged(both.get(name), value, name)
        return both
    if isinstance(old, list) and isinstance(new, list) and (by := _key_of(key, [*old, *new])):
        patched = [_merged(one, next((n for n in new if n[by] == one[by]), one)) for one in old]
        return patched + [copy.deepcopy(one) for one in new if one[by] not in {o[by] for o in old}]
    return copy.deepcopy(new)


def _key_of(key: str, items: list[Any]) -> str | None:
    if key == "ports":  # of a container; those of a Service and of a policy are replaced
        return "containerPort" if all("containerPort" in item for item in items) else None
    return _KEYS.get(key)


def _step(manifest: Manifest, step: dict[str, Any]) -> None:
    """One step of a JSON patch."""
    *way, last = step["path"].removeprefix("/").split("/")
    place: Any = manifest
    for name in way:
        place = place[int(name)] if isinstance(place, list) else place[name]
    match step["op"]:
        case "remove":
            del place[last]
        case "add" | "replace":
            place[last] = step["value"]
        case other:
            raise ValueError(other)
