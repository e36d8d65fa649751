"""What manifests must keep beside Kubernetes' own schemas. Rules are functions from all manifests to breaches."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

Manifest = dict[str, Any]
Rule = Callable[[list[Manifest]], Iterator[str]]

DRAIN_S: Final = 30
"""A process ends within this time after SIGTERM."""

_PINNED: Final = re.compile(r"[\w./-]+:(?!latest$)[\w.-]+")


def pods_of(manifests: list[Manifest]) -> Iterator[tuple[str, dict[str, Any], Manifest]]:
    """Name, spec and template of every pod."""
    for manifest in manifests:
        if manifest["kind"] in {"Deployment", "Job"}:
            template = manifest["spec"]["template"]
            yield manifest["metadata"]["name"], template["spec"], template


def containers_of(manifests: list[Manifest]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name of the pod and of the container, and the container."""
    for name, pod, _ in pods_of(manifests):
        for container in (*pod.get("initContainers", []), *pod["containers"]):
            yield f"{name}/{container['name']}", container


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """The manifests of a kind by name."""
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}


def memory_and_disk_have_limits(manifests: list[Manifest]) -> Iterator[str]:
    """Limits of memory and disk, requests of all three. No limit of the processor: it would hold heartbeats back."""
    for name, container in containers_of(manifests):
        resources = container.get("resources", {})
        if resources.get("limits", {}).keys() != {"memory", "ephemeral-storage"}:
            yield f"{name}: limits"
        if resources.get("requests", {}).keys() != {"cpu", "memory", "ephemeral-storage"}:
            yield f"{name}: requests"
    for name, pod, _ in pods_of(manifests):
        for volume in pod.get("volumes", []):
            if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
                yield f"{name}: {volume['name']} has no limit"


def processes_have_probes(manifests: list[Manifest]) -> Iterator[str]:
    """Startup and liveness ask whether it answers; readiness whether it does its work."""
    for manifest in of_kind(manifests, "Deployment").values():
        for container in manifest["spec"]["template"]["spec"]["containers"]:
            asked = {
                name: container.get(f"{name}Probe", {}).get("httpGet") for name in ("startup", "liveness", "readiness")
            }
            live, ready = ({"path": path, "port": "metrics"} for path in ("/live", "/ready"))
            if asked != {"startup": live, "liveness": live, "readiness": ready}:
                yield f"{manifest['metadata']['name']}: probes"


def containers_have_no_privilege(manifests: list[Manifest]) -> Iterator[str]:
    for name, container in containers_of(manifests):
        context = container.get("securityContext", {})
        if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
            yield f"{name}: privilege"
        if context.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{name}: capabilities"
        if context.get("readOnlyRootFilesystem") is not True:
            yield f"{name}: it may write to its root"


def pods_run_as_nobody(manifests: list[Manifest]) -> Iterator[str]:
    for name, pod, _ in pods_of(manifests):
        context = pod.get("securityContext", {})
        if context.get("runAsNonRoot") is not True or context.get("runAsUser") != 10001:
            yield f"{name}: user"
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{name}: seccomp"
        if pod.get("automountServiceAccountToken") is not False:
            yield f"{name}: it has a token of Kubernetes"
        if pod.keys() & {"hostNetwork", "hostPID", "hostIPC"} or any("hostPath" in v for v in pod.get("volumes", [])):
            yield f"{name}: it sees its node"


def pods_get_no_variables_of_services(manifests: list[Manifest]) -> Iterator[str]:
    """Such a variable begins with SLUICE_, and Sluice refuses it."""
    for name, pod, _ in pods_of(manifests):
        if pod.get("enableServiceLinks") is not False:
            yield f"{name}: enableServiceLinks"


def pods_outlast_the_drain(manifests: list[Manifest]) -> Iterator[str]:
    for name, manifest in of_kind(manifests, "Deployment").items():
        pod = manifest["spec"]["template"]["spec"]
        for container in pod["containers"]:
            before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
            if pod.get("terminationGracePeriodSeconds", 30) < before + DRAIN_S + 5:
                yield f"{name}: killed before it has ended"


def images_are_pinned(manifests: list[Manifest]) -> Iterator[str]:
    for name, container in containers_of(manifests):
        if not _PINNED.fullmatch(container["image"]):
            yield f"{name}: {container['image']}"


def each_deployment_has_a_budget(manifests: list[Manifest]) -> Iterator[str]:
    """One that lets a node be emptied."""
    budgets = of_kind(manifests, "PodDisruptionBudget")
    for name, manifest in of_kind(manifests, "Deployment").items():
        budget = budgets.pop(name, {"spec": {}})["spec"]
        if budget.get("selector") != manifest["spec"]["selector"] or budget.get("maxUnavailable") != 1:
            yield f"{name}: disruption budget"
    yield from (f"{name}: a budget of nothing" for name in budgets)


def selectors_find_their_pods(manifests: list[Manifest]) -> Iterator[str]:
    labels = {name: template["metadata"]["labels"] for name, _, template in pods_of(manifests)}
    selected = [
        *((name, one["spec"]["selector"]) for name, one in of_kind(manifests, "Service").items()),
        *((n, one["spec"]["podSelector"]["matchLabels"]) for n, one in of_kind(manifests, "NetworkPolicy").items()),
        *((n, one["spec"]["selector"]["matchLabels"]) for n, one in of_kind(manifests, "Deployment").items()),
    ]
    for name, selector in selected:
        if not any(selector.items() <= one.items() for one in labels.values()):
            yield f"{name}: it selects no pod"
    for name, manifest in of_kind(manifests, "Deployment").items():
        own = manifest["spec"]["selector"]["matchLabels"].items()
        if [pod for pod, one in labels.items() if own <= one.items()] != [name]:
            yield f"{name}: it selects pods of others"


def pods_reach_only_what_is_allowed(manifests: list[Manifest]) -> Iterator[str]:
    """All pods are closed in both directions; what needs a server is allowed to reach it, and nothing else is."""
    policies = [one["spec"] for one in of_kind(manifests, "NetworkPolicy").values()]
    for name, pod, template in pods_of(manifests):
        labels = template["metadata"]["labels"]
        mine = [p for p in policies if p["podSelector"]["matchLabels"].items() <= labels.items()]
        if not any(
            set(p["policyTypes"]) == {"Ingress", "Egress"} and not p.keys() & {"ingress", "egress"} for p in mine
        ):
            yield f"{name}: open"
        ports = {port["port"] for p in mine for way in p.get("egress", []) for port in way["ports"]}
        reads = {ref["secretRef"]["name"] for _, c in _own(pod) for ref in c.get("envFrom", []) if "secretRef" in ref}
        database = bool(reads & {"sluice-owner", "sluice-worker", "sluice-sender", "sluice-console"})
        if database != (5432 in ports):
            yield f"{name}: PostgreSQL"
        if not ports & {9092, 9093}:
            yield f"{name}: Kafka"
        if (443 in ports) != (labels["app.kubernetes.io/component"] == "sender"):
            yield f"{name}: providers"


def _own(pod: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for container in (*pod.get("initContainers", []), *pod["containers"]):
        yield container["name"], container


RULES: Final[tuple[Rule, ...]] = (
    memory_and_disk_have_limits,
    processes_have_probes,
    containers_have_no_privilege,
    pods_run_as_nobody,
    pods_get_no_variables_of_services,
    pods_outlast_the_drain,
    images_are_pinned,
    each_deployment_has_a_budget,
    selectors_find_their_pods,
    pods_reach_only_what_is_allowed,
)
