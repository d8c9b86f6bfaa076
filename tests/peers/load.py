"""Producers that remember what they were told, and the account of what was delivered."""

import base64
import collections
import http.client
import json
import random
import threading
import time
import zlib

# What a producer may meet while a server is killed under it.
CONNECTION_ERRORS = (OSError, http.client.HTTPException)


def record(name: str, chance: random.Random) -> bytes:
    """A line with a name of its own and a checksum over the rest."""
    rest = "".join(chance.choices("abcdefghij", k=chance.choice([0, 10, 300, 300, 1000, 5000])))
    return f"{name} {zlib.crc32(rest.encode()):08x} {rest}\n".encode()


class Producer(threading.Thread):
    """Puts batch after batch until stopped. A record is put once, whatever the answer."""

    def __init__(self, number: int, port: int, stream: str, seed: int):
        super().__init__(daemon=True)
        self.number, self.port, self.stream = number, port, stream
        self.chance = random.Random(f"{seed}/{stream}/{number}")
        self.stopping = threading.Event()
        self.put: set[str] = set()
        self.acknowledged: set[str] = set()
        self.ids: list[str] = []
        self.failure: Exception | None = None

    def run(self):
        connection = None
        try:
            while not self.stopping.is_set():
                names = [f"{self.stream}/{self.number}/{len(self.put) + n}" for n in range(self.chance.randrange(1, 60))]
                self.put.update(names)
                try:
                    connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                    self.batch(connection, names)
                except CONNECTION_ERRORS:
                    connection = None
                    # The service is being restarted: asked again soon, not in a tight loop.
                    time.sleep(0.02)
                self.stopping.wait(self.chance.uniform(0, 0.03))
        except Exception as error:  # told to the test, which fails
            self.failure = error

    def batch(self, connection: http.client.HTTPConnection, names: list[str]):
        data = [base64.b64encode(record(name, self.chance)).decode() for name in names]
        body = json.dumps({"DeliveryStreamName": self.stream, "Records": [{"Data": text} for text in data]})
        headers = {"X-Amz-Target": "Firehose_20150804.PutRecordBatch", "Content-Type": "application/x-amz-json-1.1"}
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status == 503:
            return
        assert answer.status == 200, text
        entries = json.loads(text)["RequestResponses"]
        assert len(entries) == len(names)
        accepted = [(name, entry["RecordId"]) for name, entry in zip(names, entries) if "RecordId" in entry]
        self.acknowledged.update(name for name, _ in accepted)
        self.ids.extend(record_id for _, record_id in accepted)


class Load:
    """Several producers on each stream."""

    def __init__(self, port: int, streams: list[str], seed: int, producers: int = 3):
        self.producers = [Producer(n, port, stream, seed) for stream in streams for n in range(producers)]

    def __enter__(self):
        for producer in self.producers:
            producer.start()
        return self

    def __exit__(self, *_):
        for producer in self.producers:
            producer.stopping.set()
        for producer in self.producers:
            producer.join(timeout=90)
            assert not producer.is_alive(), "a put was never answered"

    def acknowledged(self) -> int:
        """How many records were acknowledged so far; raises what a producer could not make sense of."""
        for producer in self.producers:
            if producer.failure:
                raise producer.failure
        return sum(len(producer.acknowledged) for producer in self.producers)

    def check(self, stream: str, delivered: dict[str, bytes]):
        """Holds what lies under each object name against what producers were told."""
        self.acknowledged()
        seen = set()
        where = collections.defaultdict(list)
        for key, body in delivered.items():
            assert body.endswith(b"\n"), f"{key} ends within a record"
            for line in body.decode().splitlines():
                name, checksum, rest = line.split(" ")
                assert zlib.crc32(rest.encode()) == int(checksum, 16), f"{key}: {name} was changed"
                seen.add(name)
                where[name].append(key)
        mine = [producer for producer in self.producers if producer.stream == stream]
        put = set().union(*(producer.put for producer in mine))
        acknowledged = set().union(*(producer.acknowledged for producer in mine))
        ids = [record_id for producer in mine for record_id in producer.ids]
        missing = sorted(acknowledged - seen)
        twice = {name: keys for name, keys in where.items() if len(keys) > 1}
        assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged records are missing: {missing[:5]}"
        # One whose put was never answered may be there, once.
        assert not twice, f"{len(twice)} records were delivered twice: {list(twice.items())[:3]}"
        assert seen <= put
        assert len(ids) == len(set(ids)), "a record id was given twice"
        assert len(acknowledged) > 1000, "too little load to mean anything"
        print(f"{stream}: {len(put)} put, {len(acknowledged)} acknowledged, {len(seen)} in {len(delivered)} objects")
