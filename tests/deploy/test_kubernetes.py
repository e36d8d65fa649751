"""Checks of deploy/kubernetes without a cluster: Kubernetes' schemas, our rules, and what the programs really read."""

import copy
import gzip
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from jsonschema_rs import Draft202012Validator

from connectors.channels import channels_of
from schemas.topics import DEFAULT_PARTITIONS
from tests.deploy import rules
from tests.deploy.rules import RULES, Rule, containers_of, of_kind, pods_of
from tests.support.kustomize import GENERATED, Manifest, built
from workers.app.composition import WORKERS
from workers.app.settings import Settings, load_settings
from workers.errors import SettingsError

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "deploy" / "kubernetes"
SCHEMAS: Final = Path(__file__).parent / "schemas"
VERSIONS: Final = ("1.30.0", "1.37.0")
KEDA: Final = ("ScaledObject", "TriggerAuthentication")
COMPOSE: Final = {
    "receiver": "receiver",
    "sender": "sender",
    "console": "console",
    **{name: name for name in WORKERS},
}
FAKE: Final = {  # what the Secrets hold; docs/kubernetes.md says how they are made
    "sluice-owner": {"SLUICE_DATABASE_URL": "postgresql://owner:secret@db.example:5432/sluice"},
    "sluice-worker": {
        "SLUICE_DATABASE_URL": "postgresql://w:secret@db.example:5432/sluice",
        "SLUICE_HASH_KEY": "ab" * 31 + "cd",
    },
    "sluice-sender": {"SLUICE_DATABASE_URL": "postgresql://s:secret@db.example:5432/sluice"},
    "sluice-console": {
        "SLUICE_DATABASE_URL": "postgresql://c:secret@db.example:5432/sluice",
        "SLUICE_HASH_KEY": "ab" * 31 + "cd",
    },
    "sluice-channels": {"ACME_TG_BOT_TOKEN": "a", "ACME_TG_SECRET_TOKEN": "b"},
    **{
        f"sluice-kafka-{name}": {"SLUICE_KAFKA_USERNAME": name, "SLUICE_KAFKA_PASSWORD": "secret"}
        for name in ("worker", "receiver", "sender", "console", "setup")
    },
}
READS: Final = {
    "sluice-setup/migrate": {"sluice-owner"},
    "sluice-setup/topics": {"sluice-kafka-setup"},
    "sluice-receiver/sluice": {"sluice-channels", "sluice-kafka-receiver"},
    "sluice-sender/sluice": {"sluice-sender", "sluice-channels", "sluice-kafka-sender"},
    "sluice-console/sluice": {"sluice-console", "sluice-kafka-console"},
    **{f"sluice-{name}/sluice": {"sluice-worker", "sluice-kafka-worker"} for name in WORKERS},
}


@cache
def _made(name: str) -> list[Manifest]:
    return built(FOLDER / name)


@pytest.fixture(params=["base", "example"])
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return copy.deepcopy(_made(request.param))


@pytest.fixture
def example() -> list[Manifest]:
    return copy.deepcopy(_made("example"))


@cache
def _schemas(version: str) -> dict[str, Any]:
    file = SCHEMAS / f"kubernetes-{version}.json.gz"
    loaded: dict[str, Any] = json.loads(gzip.decompress(file.read_bytes()))
    return loaded


@cache
def _schema(kind: str, version: str) -> Draft202012Validator:
    if kind in KEDA:
        return Draft202012Validator(json.loads((SCHEMAS / f"{kind}.json").read_text(encoding="utf-8")))
    known = _schemas(version)
    return Draft202012Validator({**known[kind], "$defs": known["$defs"]})


def wrong(manifest: Manifest, version: str) -> list[str]:
    name = f"{manifest['kind']} {manifest['metadata']['name']}"
    return [f"{name} {e.instance_path}: {e.message}" for e in _schema(manifest["kind"], version).iter_errors(manifest)]


# --- schemas


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_fit_the_schemas_of_kubernetes_and_keda(manifests: list[Manifest], version: str) -> None:
    found = [line for manifest in manifests for line in wrong(manifest, version)]

    assert not found, "\n".join(found)


def _put(path: str, value: Any) -> Callable[[Manifest], None]:
    def change(manifest: Manifest) -> None:
        *way, last = path.split(".")
        place: Any = manifest
        for step in way:
            place = place[int(step)] if step.isdigit() else place[step]
        place[last] = value

    return change


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("Deployment", _put("spec.replica", 2)),
        ("Deployment", _put("spec.template.spec.containers.0.readinessProbe.periodSeconds", "5")),
        ("Deployment", _put("spec.template.spec.securityContext.seccomp", {})),
        ("Job", _put("spec.template.spec.containers.0.command", "sluice")),
        ("NetworkPolicy", _put("spec.podSelector", "all")),
        ("PodDisruptionBudget", _put("spec.maxUnavailable", [1])),
        ("Service", _put("spec.ports", [{"name": "http"}])),
        ("Ingress", _put("spec.rules.0.http.paths.0.pathType", None)),
        ("ConfigMap", _put("data.SLUICE_METRICS_PORT", 9464)),
        ("ScaledObject", _put("spec.maxReplicas", 12)),
        ("ScaledObject", _put("spec.triggers.0.metadata.lagThreshold", 100)),
        ("ScaledObject", _put("spec.triggers.0.type", "cron")),
        ("TriggerAuthentication", _put("spec.secretTargetRef.0.parameter", "pass")),
    ],
)
def test_the_schemas_find_what_is_wrong(example: list[Manifest], kind: str, change: Callable[[Manifest], None]) -> None:
    manifest = next(iter(of_kind(example, kind).values()))
    change(manifest)

    assert wrong(manifest, VERSIONS[-1])


# --- our rules


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_manifests_keep_the_rules(manifests: list[Manifest], rule: Rule) -> None:
    assert list(rule(manifests)) == []


_POD: Final = "spec.template.spec"
_CONTAINER: Final = f"{_POD}.containers.0"
BAD: list[tuple[Rule, str, str, Any]] = [
    (rules.memory_and_disk_have_limits, "Deployment", f"{_CONTAINER}.resources.limits", {"ephemeral-storage": "1Mi"}),
    (rules.memory_and_disk_have_limits, "Job", f"{_POD}.initContainers.0.resources", {}),
    (rules.memory_and_disk_have_limits, "Deployment", f"{_CONTAINER}.resources.limits.cpu", "1"),
    (rules.memory_and_disk_have_limits, "Deployment", f"{_POD}.volumes.0.emptyDir", {}),
    (rules.processes_have_probes, "Deployment", f"{_CONTAINER}.readinessProbe.httpGet.path", "/live"),
    (rules.processes_have_probes, "Deployment", f"{_CONTAINER}.livenessProbe", {}),
    (rules.containers_have_no_privilege, "Job", f"{_CONTAINER}.securityContext.capabilities", {"add": ["SYS_ADMIN"]}),
    (rules.containers_have_no_privilege, "Deployment", f"{_CONTAINER}.securityContext.privileged", True),
    (rules.containers_have_no_privilege, "Job", f"{_CONTAINER}.securityContext.readOnlyRootFilesystem", False),
    (rules.pods_run_as_nobody, "Deployment", f"{_POD}.securityContext.runAsUser", 0),
    (rules.pods_run_as_nobody, "Job", f"{_POD}.securityContext.seccompProfile", {"type": "Unconfined"}),
    (rules.pods_run_as_nobody, "Deployment", f"{_POD}.automountServiceAccountToken", True),
    (rules.pods_run_as_nobody, "Deployment", f"{_POD}.hostNetwork", True),
    (rules.pods_get_no_variables_of_services, "Deployment", f"{_POD}.enableServiceLinks", True),
    (rules.pods_outlast_the_drain, "Deployment", f"{_POD}.terminationGracePeriodSeconds", 30),
    (rules.images_are_pinned, "Deployment", f"{_CONTAINER}.image", "sluice"),
    (rules.images_are_pinned, "Job", f"{_CONTAINER}.image", "registry.example/sluice:latest"),
    (rules.each_deployment_has_a_budget, "PodDisruptionBudget", "spec.maxUnavailable", 0),
    (rules.each_deployment_has_a_budget, "PodDisruptionBudget", "spec.selector.matchLabels", {"a": "b"}),
    (rules.selectors_find_their_pods, "Service", "spec.selector", {"app.kubernetes.io/component": "nobody"}),
    (rules.selectors_find_their_pods, "Deployment", "spec.selector.matchLabels", {"app.kubernetes.io/name": "sluice"}),
    (rules.pods_reach_only_what_is_allowed, "Deployment", "spec.template.metadata.labels.app.kubernetes", "x"),
    (rules.pods_reach_only_what_is_allowed, "NetworkPolicy", "spec.policyTypes", ["Ingress"]),
]


@pytest.mark.parametrize(("rule", "kind", "path", "value"), BAD)
def test_a_breach_of_a_rule_is_found(example: list[Manifest], rule: Rule, kind: str, path: str, value: Any) -> None:
    manifest = next(iter(of_kind(example, kind).values()))
    if path.endswith(".app.kubernetes"):  # labels have dots in their names: a worker that is not said to need Kafka
        del manifest["spec"]["template"]["metadata"]["labels"]["sluice/kafka"]
    else:
        _put(path, value)(manifest)

    assert list(rule(example))


def test_every_rule_has_been_seen_to_fail() -> None:
    assert {rule for rule, *_ in BAD} == set(RULES)


# --- what the programs are and read


def test_each_program_has_a_deployment_with_the_command_and_the_memory_of_docker_compose(
    manifests: list[Manifest],
) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    deployments = of_kind(manifests, "Deployment")

    assert deployments.keys() == {f"sluice-{name}" for name in COMPOSE}
    for name, service in COMPOSE.items():
        [container] = deployments[f"sluice-{name}"]["spec"]["template"]["spec"]["containers"]
        assert container["args"] == services[service]["command"]
        assert (
            container["resources"]["limits"]["memory"]
            == services[service]["deploy"]["resources"]["limits"]["memory"] + "i"
        )


def test_a_container_reads_the_secrets_that_its_program_needs(manifests: list[Manifest]) -> None:
    read = {
        name: {ref["secretRef"]["name"] for ref in container["envFrom"] if "secretRef" in ref}
        for name, container in containers_of(manifests)
    }

    assert read == READS
    assert "secretKeyRef" not in json.dumps(manifests)


def test_the_program_of_each_container_takes_its_settings(
    example: list[Manifest], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, container in containers_of(example):
        with monkeypatch.context() as patched:
            for variable, value in _environment(example, container).items():
                patched.setenv(variable, value)
            settings = load_settings()

            needs = needs_of(name)
            if "database" in needs:
                assert settings.required_database_url(), name
            if "kafka" in needs:
                assert settings.kafka().bootstrap.endswith(":9093"), name
            assert (settings.database_url is not None) == ("database" in needs), name
            assert (settings.hash_key is not None) == ("key" in needs), name
            assert (settings.metrics_port == 9464) == ("migrate" not in name), name


def needs_of(name: str) -> set[str]:
    """What a program cannot do without."""
    match name:
        case "sluice-setup/migrate":
            return {"database"}
        case "sluice-setup/topics" | "sluice-receiver/sluice":
            return {"kafka"}
        case "sluice-sender/sluice":
            return {"database", "kafka"}
        case _:
            return {"database", "kafka", "key"}


def _environment(manifests: list[Manifest], container: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for ref in container["envFrom"]:
        if "secretRef" in ref:
            found |= FAKE[ref["secretRef"]["name"]]
        else:
            found |= of_kind(manifests, "ConfigMap")[ref["configMapRef"]["name"]]["data"]
    return found | {one["name"]: one["value"] for one in container.get("env", [])}


def test_a_variable_that_kubernetes_makes_of_a_service_would_be_refused(
    monkeypatch: pytest.MonkeyPatch, example: list[Manifest]
) -> None:
    for name in of_kind(example, "Service"):
        with monkeypatch.context() as patched:
            patched.setenv(f"{name.upper().replace('-', '_')}_PORT", "tcp://10.0.0.1:80")
            with pytest.raises(SettingsError):
                load_settings()


def test_a_sender_never_runs_beside_one_of_another_version(manifests: list[Manifest]) -> None:
    strategies = {name: one["spec"]["strategy"] for name, one in of_kind(manifests, "Deployment").items()}

    assert strategies.pop("sluice-sender") == {"type": "Recreate"}
    for name in WORKERS:
        assert strategies.pop(f"sluice-{name}")["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert {str(one["rollingUpdate"]) for one in strategies.values()} == {"{'maxSurge': 1, 'maxUnavailable': 0}"}


def test_the_setup_migrates_before_it_makes_topics(manifests: list[Manifest]) -> None:
    [job] = of_kind(manifests, "Job").values()
    pod = job["spec"]["template"]["spec"]

    assert [c["args"] for c in pod["initContainers"]] == [["migrate"]]
    assert [c["args"] for c in pod["containers"]] == [
        ["topics", "--partitions", str(DEFAULT_PARTITIONS), "--replication", "3"]
    ]


def test_consumers_are_scaled_by_the_lag_of_their_topics_up_to_the_partitions(example: list[Manifest]) -> None:
    prefix = Settings.model_fields["group_prefix"].default
    expected = {
        f"sluice-{name}": {(f"{prefix}-{spec.name}", topic) for spec in plan.specs for topic in spec.decoders}
        for name, plan in WORKERS.items()
        if plan.specs
    } | {"sluice-sender": {(f"{prefix}-send", "sends.dispatch")}}
    scaled = of_kind(example, "ScaledObject")
    deployments = of_kind(example, "Deployment")

    assert {
        one["spec"]["scaleTargetRef"]["name"]: {
            (t["metadata"]["consumerGroup"], t["metadata"]["topic"]) for t in one["spec"]["triggers"]
        }
        for one in scaled.values()
    } == expected
    for name, one in scaled.items():
        assert one["spec"]["maxReplicaCount"] == DEFAULT_PARTITIONS
        assert one["spec"]["cooldownPeriod"] >= 1800
        behavior = one["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 1800
        assert {t["metadata"]["allowIdleConsumers"] for t in one["spec"]["triggers"]} == {"false"}
        assert {t["authenticationRef"]["name"] for t in one["spec"]["triggers"]} == {"sluice-keda"}
        assert "replicas" not in deployments[name]["spec"]
    assert all("replicas" in one["spec"] for name, one in deployments.items() if name not in scaled)


def test_what_pods_mount_exists_and_ports_are_those_of_containers(example: list[Manifest]) -> None:
    maps = of_kind(example, "ConfigMap")
    for name, pod, _ in pods_of(example):
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in (*pod.get("initContainers", []), *pod["containers"]):
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes, name
        for volume in pod["volumes"]:
            assert "emptyDir" in volume or volume["configMap"]["name"] in maps, name
    assert "sluice-channels" + GENERATED in maps
    names = {port["name"] for _, container in containers_of(example) for port in container.get("ports", [])}
    assert names == {"metrics", "http"}
    for service in of_kind(example, "Service").values():
        assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"]
    for ingress in of_kind(example, "Ingress").values():
        [rule] = ingress["spec"]["rules"]
        assert rule["http"]["paths"][0]["backend"]["service"]["name"] in of_kind(example, "Service")


def test_the_channels_of_the_example_can_be_served(example: list[Manifest]) -> None:
    secrets = FAKE["sluice-channels"]
    file = FOLDER / "example" / "channels.toml"

    assert [channel.channel_id for channel in channels_of(file, lambda told: secrets[told.removeprefix("env:")])] == [
        "tg-main"
    ]
    assert of_kind(example, "ConfigMap")["sluice-channels" + GENERATED]["data"].keys() == {file.name}


def test_pods_are_allowed_in_their_namespace(manifests: list[Manifest]) -> None:
    [namespace] = of_kind(manifests, "Namespace").values()

    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {one["metadata"]["namespace"] for one in manifests if one["kind"] != "Namespace"} == {"sluice"}
