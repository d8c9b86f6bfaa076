"""The image and the compose file, on a Docker engine of the test's own."""

import collections
import contextlib
import gzip
import io
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path

import boto3
import botocore.exceptions
import pytest
import requests

from load import Load
from processes import Process, free_port, program, until

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
UID = "4573"


class Engine:
    """A dockerd that shares nothing with another on the machine, and its client."""

    def __init__(self, folder: Path, compose: str):
        self.folder, self.compose_binary = folder, compose
        self.ports = {"HYDRANT_PORT": free_port(), "MINIO_PORT": free_port(), "MINIO_CONSOLE_PORT": free_port()}
        self.env = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder),
            "DOCKER_HOST": f"unix://{folder}/sock", "DOCKER_BUILDKIT": "0", **{k: str(v) for k, v in self.ports.items()},
        }
        argv = [
            program("/usr/sbin/dockerd"), "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"),
            "--pidfile", str(folder / "pid"), "--host", f"unix://{folder}/sock",
            # Images are built without a network; compose makes its own.
            "--bridge", "none",
        ]
        self.daemon = Process("dockerd", argv, folder / "dockerd.log", self.env)

    def __call__(self, *arguments: str, stdin=None, check: bool = True) -> str:
        done = subprocess.run(
            ["docker", *arguments], env=self.env, stdin=stdin or subprocess.DEVNULL, capture_output=True, text=True,
            timeout=300,
        )
        assert done.returncode == 0 or not check, f"docker {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def compose(self, *arguments: str) -> str:
        argv = [self.compose_binary, "-f", str(DOCKER / "compose.yaml"), "-p", "peers", *arguments]
        done = subprocess.run(
            argv, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{argv}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def container(self, service: str) -> str:
        return self.compose("ps", "--all", "--quiet", service).strip()

    def build(self, name: str, dockerfile: str, **files: Path):
        """Builds an image of a few files."""
        context = Path(tempfile.mkdtemp(dir=self.folder))
        (context / "Dockerfile").write_text(dockerfile)
        for to, source in files.items():
            shutil.copy(source, context / to)
        self("build", "--quiet", "--tag", name, str(context))


@pytest.fixture(scope="module")
def engine(peers):
    base = peers / "image/bookworm.tar"
    if not base.exists():
        pytest.fail("the base image is not there; tests/peers/run says why", pytrace=False)
    # Not pytest's folder: a socket's path is short, and images are not kept.
    folder = Path(tempfile.mkdtemp(prefix="hydrant-peers-"))
    engine = Engine(folder, program(peers / "bin/docker-compose"))
    try:
        engine.daemon.start()
        engine.daemon.await_ready(lambda: engine("version", "--format", "{{.Server.Version}}", check=False))
        with open(base, "rb") as tar:
            engine("import", "-", "debian:bookworm-slim", stdin=tar)
        engine.build("minio/minio", 'FROM scratch\nCOPY minio /minio\nENTRYPOINT ["/minio"]\n', minio=peers / "bin/minio")
        engine.build("hydrant", runtime_stage(), hydrant=Path(os.environ["HYDRANT_BIN"]), certificates=certificates())
        yield engine
    finally:
        if engine.daemon.running is not None:
            engine("ps", "-aq", check=False) and engine.compose("down", "--volumes", "--timeout", "5")
            engine.daemon.stop()
        shutil.rmtree(folder)


def runtime_stage() -> str:
    """The second stage of the real Dockerfile over a first one that compiles nothing: the binary under test is there already."""
    text = (DOCKER / "Dockerfile").read_text()
    arguments, _, _ = text.partition("FROM ${BUILDER}")
    _, from_base, runtime = text.partition("FROM ${BASE}")
    assert from_base, "docker/Dockerfile has no runtime stage"
    prebuilt = (
        "FROM ${BASE} AS build\nCOPY hydrant /build/target/dist/hydrant\n"
        "COPY certificates /etc/ssl/certs/ca-certificates.crt\n"
    )
    return arguments + prebuilt + from_base + runtime


def certificates() -> Path:
    return Path("/etc/ssl/certs/ca-certificates.crt")


@pytest.fixture
def composed(engine):
    """The compose file, up; and gone with its volumes afterwards."""
    try:
        engine.compose("up", "-d", "--no-build")
        url = f"http://127.0.0.1:{engine.ports['HYDRANT_PORT']}"
        until("hydrant in its container ready", lambda: answers(f"{url}/ready"))
        until("MinIO in its container ready", lambda: answers(f"{minio_url(engine)}/minio/health/live"))
        yield engine
    finally:
        print(engine.compose("logs", "--tail", "40", "hydrant"))
        engine.compose("down", "--volumes", "--timeout", "20")


def minio_url(engine) -> str:
    return f"http://127.0.0.1:{engine.ports['MINIO_PORT']}"


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False


def documented_command(marker: str) -> list[str]:
    """A command that the head of compose.yaml tells people to type."""
    text = (DOCKER / "compose.yaml").read_text()
    (line,) = [line for line in text.splitlines() if re.match(rf"#\s+{marker}", line)]
    return ["bash", "-c", line.lstrip("# ")]


def lake(engine) -> dict[str, bytes]:
    """What the stream `clicks` left in the bucket of the mounted stream files, unpacked."""
    client = boto3.client(
        "s3", endpoint_url=minio_url(engine), region_name="us-east-1",
        aws_access_key_id="hydrant", aws_secret_access_key="hydrant-secret",
    )
    try:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket="lake", Prefix="clicks/")
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    except botocore.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "NoSuchBucket"
        return {}
    return {key: gzip.decompress(client.get_object(Bucket="lake", Key=key)["Body"].read()) for key in keys}


def health(engine) -> str:
    return engine("inspect", "--format", "{{.State.Health.Status}}", engine.container("hydrant"))


def test_the_documented_curl_makes_an_object(composed):
    assert curled(composed, documented_command("curl -H .*/clicks/records"))["accepted"] == 1
    found = until("the object, without a flush", lambda: lake(composed), seconds=40)
    ((key, body),) = found.items()
    assert body == b'{"page":"/"}\n'
    assert re.fullmatch(r"clicks/\d{4}/\d\d/\d\d/\d\d/clicks-1-.*\.gz", key), key


def curled(engine, command: list[str]) -> dict:
    """The answer to a documented command, from the port that is published here."""
    command = [*command[:-1], command[-1].replace(":4573/", f":{engine.ports['HYDRANT_PORT']}/")]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def test_clicks_through_the_mounted_module_are_partitioned_parquet(composed):
    assert curled(composed, documented_command("curl -H .*/shop/records"))["accepted"] == 1
    url = f"http://127.0.0.1:{composed.ports['HYDRANT_PORT']}/streams/shop"
    clicks = [
        {"page": f"/{['products', 'cart'][n % 2]}/{n}", "country": ["DE", "FR", "JP", ""][n % 4], "cents": n,
         "time": f"2026-07-13T14:05:{n % 60:02}.5Z", "device": {"kind": "phone", "system": "iOS"}, "new": True}
        for n in range(400)
    ]
    headers = {"Content-Type": "application/x-ndjson"}
    body = "".join(json.dumps(click) + "\n" for click in clicks)
    assert requests.post(f"{url}/records", data=body, headers=headers, timeout=10).json()["accepted"] == 400
    assert requests.post(f"{url}/flush", params={"wait": 60}, timeout=70).status_code == 200
    columns = {column["name"]: column["type"] for column in requests.get(url, timeout=10).json()["schema"]["columns"]}
    assert columns == {
        "time": "timestamp", "button": "string", "page": "string", "cents": "bigint",
        "device": "struct<kind:string,system:string>",
    }
    # As the documentation reads them.
    (program,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/parquet.md").read_text(), re.MULTILINE | re.DOTALL)
    names, said = {}, io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(program.replace(":9000", f":{composed.ports['MINIO_PORT']}"), names)
    kept = [click for click in clicks if click["country"]] + [{"page": "/cart/7", "country": "DE", "cents": 990}]
    counted = collections.Counter((click["country"], click["page"].split("/")[1]) for click in kept)
    for (country, section), count in counted.items():
        assert re.search(rf"{country}\W+{section}\W+{count}\b", said.getvalue()), said.getvalue()
    rows = names["shop"].to_table().to_pylist()
    key = lambda row: (row["cents"], row["page"])  # noqa: E731
    wanted = [
        {"page": click["page"], "country": click["country"], "section": click["page"].split("/")[1],
         "cents": click["cents"], "button": None, "device": click.get("device"),
         "time": datetime.fromisoformat(click["time"].removesuffix("Z")) if "time" in click else None}
        for click in kept
    ]
    assert sorted(rows, key=key) == sorted(wanted, key=key)
    for path in names["shop"].files:
        assert re.fullmatch(r"lake/shop/country=[A-Z]{2}/section=\w+/shop-1-.*\.parquet", path), path


def test_the_container_is_healthy_and_not_root(composed):
    hydrant = composed.container("hydrant")
    until("the health check", lambda: health(composed) == "healthy", seconds=40)
    assert composed("exec", hydrant, "id", "-u") == UID
    owner = composed("exec", hydrant, "stat", "-c", "%u", "/data", "/data/lock").split()
    assert owner == [UID, UID]
    assert composed("exec", hydrant, "sh", "-c", "cat /proc/1/comm") == "hydrant"


def test_a_container_that_is_stopped_ends_by_itself_and_keeps_its_records(composed):
    hydrant = composed.container("hydrant")
    url = f"http://127.0.0.1:{composed.ports['HYDRANT_PORT']}"
    headers = {"Content-Type": "application/x-ndjson"}
    assert requests.post(f"{url}/streams/clicks/records", data=b"{}\n", headers=headers, timeout=10).status_code == 200
    composed("stop", "--time", "30", hydrant)
    assert composed("inspect", "--format", "{{.State.ExitCode}}", hydrant) == "0"
    composed.compose("up", "-d", "--no-build", "--force-recreate", "hydrant")
    until("hydrant in a new container", lambda: answers(f"{url}/ready"))
    assert requests.post(f"{url}/streams/clicks/flush", params={"wait": 30}, timeout=40).status_code == 200
    assert list(lake(composed).values()) == [b"{}\n"]


def test_containers_killed_in_turn_cost_nothing(composed):
    url = f"http://127.0.0.1:{composed.ports['HYDRANT_PORT']}"
    with Load(composed.ports["HYDRANT_PORT"], ["clicks"], seed=1) as load:
        for service in ["hydrant", "minio"] * 3:
            before = load.acknowledged()
            until("puts before the kill", lambda: load.acknowledged() > before + 500, seconds=60)
            killed = composed.container(service)
            composed("kill", "-s", "KILL", killed)
            time.sleep(0.5)  # a while without it
            composed("start", killed)
            until("hydrant ready", lambda: answers(f"{url}/ready"))
    answer = requests.post(f"{url}/streams/clicks/flush", params={"wait": 120}, timeout=130)
    assert answer.status_code == 200, answer.text
    load.check("clicks", lake(composed))
    until("the health check", lambda: health(composed) == "healthy", seconds=40)


def test_the_build_stage_copies_all_that_the_workspace_names(tmp_path):
    for line in (DOCKER / "Dockerfile").read_text().partition("FROM ${BASE}")[0].splitlines():
        if line.startswith("COPY "):
            *sources, _ = line.split()[1:]
            for source in sources:
                target = tmp_path / source
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("target"))
                else:
                    shutil.copy(ROOT / source, target)
    done = subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1", "--no-deps"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
