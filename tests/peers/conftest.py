"""Fixtures of the peers suite: real servers around a real hydrant, each stopped when its test is over."""

import os
from pathlib import Path

import pytest

from processes import program
from service import Hydrant
from stores import MinIO, Versitygw


@pytest.fixture(scope="session")
def peers() -> Path:
    """Where tests/peers/run installed servers and clients."""
    if "PEERS" not in os.environ:
        pytest.fail("start the suite with tests/peers/run", pytrace=False)
    return Path(os.environ["PEERS"])


def store(kind, peers, tmp_path_factory):
    server = kind(peers, tmp_path_factory.mktemp(kind.__name__.lower()))
    try:
        yield server.up()
    finally:
        server.clear_away()


@pytest.fixture(scope="module")
def minio(peers, tmp_path_factory):
    yield from store(MinIO, peers, tmp_path_factory)


@pytest.fixture(scope="module")
def versitygw(peers, tmp_path_factory):
    yield from store(Versitygw, peers, tmp_path_factory)


@pytest.fixture(scope="module", params=["minio", "versitygw"])
def s3(request):
    """Each S3 server in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def hydrant(tmp_path):
    """Starts hydrants: `hydrant(s3=store, streams={name: stream(…)}, create_buckets=True)`.

    A keyword with underscores is the flag of that name; `True` is a flag without value. Afterwards each must stop in good
    order when told to, and must have reported no error but those in `expected_errors`.
    """
    started: list[Hydrant] = []

    def start(s3=None, streams=None, expected_errors=(), **flags) -> Hydrant:
        binary = program(os.environ["HYDRANT_BIN"])
        given = []
        for name, value in flags.items():
            given += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        one = Hydrant(binary, tmp_path / f"hydrant-{len(started)}", s3, streams or {}, given)
        one.expected_errors = expected_errors
        started.append(one)
        return one.up()

    try:
        yield start
        for one in started:
            if one.running is not None:
                assert one.stop() == 0, one.tail()
            faults = errors_in(one)
            assert not faults, f"{one.log} has errors:\n" + "\n".join(faults)
    finally:
        for one in started:
            one.clear_away()


def errors_in(hydrant: Hydrant) -> list[str]:
    lines = hydrant.log.read_text(errors="replace").splitlines()
    bad = (line for line in lines if " ERROR " in line or "panicked at" in line)
    return [line for line in bad if not any(words in line for words in hydrant.expected_errors)]
