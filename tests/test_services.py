"""Checks of the form of docker-compose.yml and deploy/Dockerfile, without a container engine."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from workers.app.composition import WORKERS

ROOT: Final = Path(__file__).resolve().parents[1]
CONNECTORS: Final = ("receiver", "sender")


@pytest.fixture
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


@pytest.fixture
def dockerfile() -> str:
    return (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")


def test_every_worker_has_a_service_that_waits_for_the_setup(services: dict[str, dict[str, Any]]) -> None:
    workers = {name: s for name, s in services.items() if s.get("command", [None])[0] == "worker"}

    assert {name: s["command"] for name, s in workers.items()} == {name: ["worker", name] for name in WORKERS}
    for service in (*workers.values(), *(services[name] for name in (*CONNECTORS, "console"))):
        assert service["depends_on"]["setup"]["condition"] == "service_completed_successfully"
        assert service["stop_grace_period"] == "40s"
        assert "/ready" in service["healthcheck"]["test"][-1]


def test_receiver_and_sender_serve_the_same_channels_and_start_only_if_asked(
    services: dict[str, dict[str, Any]],
) -> None:
    file = "/etc/sluice/channels.toml"
    assert services["receiver"]["command"] == ["receive", "--host", "0.0.0.0", "--port", "8081"]  # noqa: S104
    assert services["sender"]["command"] == ["send"]
    assert services["receiver"]["ports"] == ["127.0.0.1:${RECEIVER_PORT:-8081}:8081"]
    for name in CONNECTORS:
        service = services[name]
        assert service["profiles"] == ["channels"]
        assert service["environment"] == {**services["inbound"]["environment"], "SLUICE_CHANNELS_FILE": file}
        assert service["env_file"] == [{"path": "${CHANNELS_ENV:-channels.env}", "required": False}]
        assert service["volumes"][-1] == {
            "type": "bind",
            "source": "${CHANNELS_FILE:-./channels.toml}",
            "target": file,
            "read_only": True,
            "bind": {"create_host_path": False},  # a missing file is an error, and not a new folder
        }
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"/channels.env", "/channels.toml"} <= set(ignored)


def test_our_services_run_without_rights_on_a_system_that_they_cannot_write_to(
    services: dict[str, dict[str, Any]],
) -> None:
    for name in (*WORKERS, *CONNECTORS, "console", "setup", "status"):
        service = services[name]
        assert (service["image"], service["read_only"], service["cap_drop"]) == ("sluice:local", True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_setup_migrates_and_makes_topics_once_the_servers_answer(services: dict[str, dict[str, Any]]) -> None:
    setup = services["setup"]

    # tests/cli/test_worker_env.py runs it.
    assert re.findall(r"sluice (\w+)", setup["command"][0]) == ["migrate", "topics"]
    assert {c["condition"] for c in setup["depends_on"].values()} == {"service_healthy"}
    assert set(setup["depends_on"]) == {"postgres", "kafka"}


def test_every_service_is_bounded_and_what_stays_is_watched(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert re.fullmatch(r"\d+[MG]", service["deploy"]["resources"]["limits"]["memory"]), name
        assert all("size=" in mount for mount in service.get("tmpfs", [])), name
        if name not in {"setup", "status"}:
            assert service["healthcheck"]["test"], name
            assert service["restart"] == "unless-stopped", name


def test_data_outlives_the_containers(compose: dict[str, Any], services: dict[str, dict[str, Any]]) -> None:
    assert set(compose["volumes"]) == {"settings", "sender", "console", "postgres", "kafka"}
    assert services["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]
    assert services["kafka"]["volumes"] == ["kafka:/var/lib/kafka/data"]


def test_services_are_reachable_from_this_machine_only(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for s in services.values() for port in s.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_images_are_pinned(services: dict[str, dict[str, Any]], dockerfile: str) -> None:
    images = {s["image"] for s in services.values()} - {"sluice:local"}
    bases = set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE))

    assert images == {"postgres:18.4-bookworm", "apache/kafka:4.3.1"}
    assert bases == {"python:3.11-slim"}


def test_only_the_setup_logs_in_as_the_owner_and_only_the_owners_password_has_a_default(
    services: dict[str, dict[str, Any]],
) -> None:
    owner = "${POSTGRES_PASSWORD:-local-only}"
    secret = {
        (service, name): value
        for service, told in services.items()
        for name, value in told.get("environment", {}).items()
        if re.search("PASSWORD|KEY|SECRET|TOKEN|DATABASE_URL", name)
    }
    assert secret == {
        ("postgres", "POSTGRES_PASSWORD"): owner,
        ("setup", "SLUICE_DATABASE_URL"): f"postgresql://sluice:{owner}@postgres:5432/sluice",
        ("setup", "SLUICE_HASH_KEY"): None,  # the environment's, if it has one
    }


def test_the_console_starts_only_if_asked(services: dict[str, dict[str, Any]]) -> None:
    console = services["console"]
    assert console["profiles"] == ["console"]
    assert console["command"] == ["serve", "--host", "0.0.0.0", "--port", "8080"]  # noqa: S104
    assert console["ports"] == ["127.0.0.1:${CONSOLE_PORT:-8080}:8080"]


def test_the_image_has_every_package(dockerfile: str) -> None:
    built = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    packages = built["targets"]["wheel"]["packages"]
    assert set(packages) <= set(re.findall(r"^COPY (\w+) \1$", dockerfile, re.MULTILINE))


def test_workers_senders_and_the_console_read_their_logins_where_the_setup_keeps_them(
    services: dict[str, dict[str, Any]], dockerfile: str
) -> None:
    folder, of_senders, of_console = "/var/lib/sluice", "/var/lib/sluice-sender", "/var/lib/sluice-console"
    for name in (*WORKERS, "status"):
        assert services[name]["working_dir"] == folder
        assert services[name]["volumes"] == [f"settings:{folder}:ro"]
    assert services["sender"]["working_dir"] == folder
    assert services["sender"]["volumes"][:-1] == [f"sender:{folder}:ro"]
    assert services["console"]["working_dir"] == folder
    assert services["console"]["volumes"] == [f"console:{folder}:ro"]
    assert len(services["receiver"]["volumes"]) == 1  # it has no login at all
    assert services["setup"]["volumes"] == [f"settings:{folder}", f"sender:{of_senders}", f"console:{of_console}"]
    [script] = services["setup"]["command"]
    kept = f"--worker-env {folder}/.env --sender-env {of_senders}/.env --console-env {of_console}/.env "
    assert kept in script
    user = re.search(r"^USER (\d+):(\d+)$", dockerfile, re.MULTILINE)
    assert user is not None
    made = f"install --directory --owner={user[1]} --group={user[2]} --mode=0700 {folder} {of_senders} {of_console}\n"
    assert made in dockerfile


def test_the_image_runs_as_nobody_with_hashed_packages_and_no_other_file(dockerfile: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()

    installs = re.findall(r"pip install (.+)", dockerfile)
    assert all("--require-hashes" in i or i.startswith("--no-deps /wheels/") for i in installs)
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", dockerfile, re.MULTILINE)
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == set(_copied(dockerfile))


def _copied(dockerfile: str) -> Iterator[str]:
    for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE):
        yield from line.split()[:-1]
