"""The hydrant process under test, with the clients that talk to it."""

import json
import subprocess
from pathlib import Path

import boto3
import botocore.config
import requests

from processes import Process, free_port
from stores import ACCESS_KEY, SECRET_KEY, Store

ROLE = "arn:aws:iam::000000000000:role/firehose"
BATCH_RECORDS, BATCH_BYTES = 500, 4 * 1024 * 1024


def s3_destination(bucket: str, **members) -> dict:
    """`ExtendedS3DestinationConfiguration` for a bucket."""
    return {"RoleARN": ROLE, "BucketARN": f"arn:aws:s3:::{bucket}", **members}


def stream(bucket: str, hydrant: dict | None = None, **members) -> dict:
    """A stream file but for the name; `hydrant` is the block of settings that AWS has no word for."""
    definition = {"ExtendedS3DestinationConfiguration": s3_destination(bucket, **members)}
    return definition | ({"Hydrant": hydrant} if hydrant else {})


def hints(mebibytes: int, seconds: int) -> dict:
    return {"SizeInMBs": mebibytes, "IntervalInSeconds": seconds}


class Hydrant(Process):
    """`hydrant serve` on a data folder of its own; `up` again after `kill` recovers."""

    def __init__(self, binary: str, folder: Path, s3: Store | None, streams: dict[str, dict], flags: list[str]):
        folder.mkdir(parents=True, exist_ok=True)
        self.data, self.port, self.binary = folder / "data", free_port(), binary
        self.url = f"http://127.0.0.1:{self.port}"
        argv = [binary, "serve", "--listen", f"127.0.0.1:{self.port}", "--data", str(self.data), *flags]
        # Not all of this machine's environment: its AWS settings are no business of the test.
        env = {
            "PATH": "/usr/bin:/bin", "HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }
        if s3 is not None:
            argv += ["--s3-endpoint", s3.url]
        if streams:
            self.files = folder / "streams"
            self.files.mkdir(exist_ok=True)
            for name, definition in streams.items():
                text = json.dumps({"DeliveryStreamName": name, **definition})
                (self.files / f"{name}.json").write_text(text)
            argv += ["--streams", str(self.files)]
        super().__init__("hydrant", argv, folder / "hydrant.log", env)
        self.firehose = firehose(self.url)

    def ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/ready", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def up(self):
        self.start()
        self.await_ready(self.ready)
        return self

    def cli(self, *arguments: str, **how) -> subprocess.CompletedProcess:
        """Runs a client command of the same binary against this process."""
        argv = [self.binary, *arguments, "--endpoint", self.url]
        return subprocess.run(argv, env=self.env, capture_output=True, text=True, timeout=120, **how)

    def put(self, name: str, records: list[bytes]) -> list[str]:
        """Puts all records in order, in as few batches as the API takes, and gives their ids."""
        ids = []
        for batch in batches(records):
            answer = self.firehose.put_record_batch(DeliveryStreamName=name, Records=[{"Data": data} for data in batch])
            assert answer["FailedPutCount"] == 0, answer
            ids += [entry["RecordId"] for entry in answer["RequestResponses"]]
        assert len(ids) == len(records) == len(set(ids))
        return ids

    def post(self, name: str, body: bytes, content_type: str, **headers: str) -> requests.Response:
        """Plain HTTP records."""
        headers = {"Content-Type": content_type, **{key.replace("_", "-"): value for key, value in headers.items()}}
        return requests.post(f"{self.url}/streams/{name}/records", data=body, headers=headers, timeout=60)

    def flush(self, name: str, seconds: int = 60):
        """Cuts now and returns when everything is delivered."""
        answer = requests.post(f"{self.url}/streams/{name}/flush", params={"wait": seconds}, timeout=seconds + 10)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}\n{self.tail()}"

    def status(self, name: str) -> dict:
        answer = requests.get(f"{self.url}/streams/{name}", timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def waiting(self, name: str) -> int:
        """Records that are accepted and not delivered."""
        (main,) = [cursor for cursor in self.status(name)["cursors"] if cursor["cursor"] == "main"]
        return main["waitingRecords"]


def firehose(url: str):
    """The SDK's client, without the retries that would hide an answer."""
    config = botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60)
    return boto3.client(
        "firehose", endpoint_url=url, region_name="us-east-1", config=config,
        aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
    )


def batches(records: list[bytes]):
    """Cuts records into batches that PutRecordBatch takes."""
    batch, size = [], 0
    for record in records:
        if batch and (len(batch) == BATCH_RECORDS or size + len(record) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record)
    if batch:
        yield batch
