"""Processes killed at random moments under load: every acknowledged record lies under exactly one object name."""

import gzip
import os
import random
import signal
import time

import pytest

from load import Load
from processes import until
from service import hints, stream
from stores import MinIO

KILLS = int(os.environ.get("HYDRANT_CRASH_KILLS", "20"))
SEED = int(os.environ.get("HYDRANT_CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)


@pytest.fixture
def own_minio(peers, tmp_path):
    """A MinIO that the test may kill."""
    server = MinIO(peers, tmp_path)
    try:
        yield server.up()
    finally:
        server.clear_away()


@pytest.fixture
def chance():
    print(f"HYDRANT_CRASH_SEED={SEED}")
    return random.Random(SEED)


def crash_streams(store) -> dict[str, dict]:
    """Many small packed objects, and few large ones that are uploaded in parts."""
    return {
        "small": stream(
            store.bucket("small"), hydrant={"BufferIntervalInSeconds": 0.3}, CompressionFormat="GZIP",
            BufferingHints=hints(1, 60),
        ),
        "large": stream(store.bucket("large"), BufferingHints=hints(6, 900)),
    }


def drain_and_check(service, store, load: Load):
    for name in ["small", "large"]:
        service.flush(name, 120)
        assert service.waiting(name) == 0
    small = {found.key: gzip.decompress(found.body) for found in store.objects("small")}
    load.check("small", small)
    large = store.objects("large")
    load.check("large", {found.key: found.body for found in large})
    assert any(found.parts > 1 for found in large), "no object was large enough to be uploaded in parts"


def test_hydrant_is_killed_and_nothing_is_lost_or_doubled(hydrant, own_minio, chance):
    service = hydrant(own_minio, crash_streams(own_minio))
    with Load(service.port, ["small", "large"], SEED) as load:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0, 1.5))  # the random moment
            service.kill()
            service.start()
            # One in four dies again while it recovers.
            if chance.random() < 0.75:
                service.await_ready(service.ready)
        if not service.ready():
            service.await_ready(service.ready)
        calm = load.acknowledged()
        until("puts after the last kill", lambda: load.acknowledged() > calm + 1000)
    drain_and_check(service, own_minio, load)


def test_a_destination_that_dies_or_hangs_costs_nothing(hydrant, own_minio, chance):
    service = hydrant(own_minio, crash_streams(own_minio))
    with Load(service.port, ["small", "large"], SEED) as load:
        for trouble in ["kill", "hang", "kill", "hang and crash", "kill", "hang"]:
            time.sleep(chance.uniform(0.5, 1.5))  # the random moment
            before = load.acknowledged()
            if trouble == "kill":
                own_minio.kill()
            else:
                own_minio.signal(signal.SIGSTOP)
            if trouble == "hang and crash":
                service.kill()
                service.up()
            # Producers notice nothing.
            until("puts while the destination is away", lambda: load.acknowledged() > before + 500)
            time.sleep(chance.uniform(0, 3))
            if trouble == "kill":
                own_minio.up()
            else:
                own_minio.signal(signal.SIGCONT)
    drain_and_check(service, own_minio, load)
