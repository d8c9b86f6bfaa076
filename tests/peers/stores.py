"""S3-compatible servers, and how a consumer looks at what lies in them."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import boto3
import botocore.config
import requests
from botocore.exceptions import BotoCoreError, ClientError

from processes import Process, free_port, program

ACCESS_KEY, SECRET_KEY = "peers-access-key", "peers-secret-key"


@dataclass(frozen=True)
class Object:
    """An object as a consumer gets it."""

    key: str
    body: bytes
    content_type: str
    content_encoding: str | None
    etag: str

    @property
    def parts(self) -> int:
        """Parts it was uploaded in; 0 for a single put. S3 writes it into the ETag."""
        return int(self.etag.rpartition("-")[2]) if "-" in self.etag else 0


class Store(Process):
    """A server that speaks S3."""

    def __init__(self, name: str, argv: list[str], port: int, data: Path, env: dict[str, str]):
        super().__init__(name, argv, data.parent / f"{name}.log", env)
        self.data = data
        self.buckets = itertools.count(1)
        self.url = f"http://127.0.0.1:{port}"
        config = botocore.config.Config(
            s3={"addressing_style": "path"}, retries={"max_attempts": 1}, connect_timeout=5, read_timeout=30
        )
        self.client = boto3.client(
            "s3", endpoint_url=self.url, region_name="us-east-1", config=config,
            aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
        )

    def answers(self) -> bool:
        raise NotImplementedError

    def up(self):
        """Starts it and waits until it answers."""
        self.start()
        self.await_ready(self.answers)
        return self

    def bucket(self, name: str | None = None) -> str:
        """Makes a bucket; without a name one that no other test uses."""
        name = name or f"bucket-{next(self.buckets)}"
        self.client.create_bucket(Bucket=name)
        return name

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def object(self, bucket: str, key: str) -> Object:
        got = self.client.get_object(Bucket=bucket, Key=key)
        body = got["Body"].read()
        assert len(body) == got["ContentLength"]
        return Object(key, body, got["ContentType"], got.get("ContentEncoding"), got["ETag"].strip('"'))

    def objects(self, bucket: str, prefix: str = "") -> list[Object]:
        return [self.object(bucket, key) for key in self.keys(bucket, prefix)]

    def uploads(self, bucket: str) -> list[str]:
        """Keys of multipart uploads that were begun and neither completed nor aborted."""
        return [upload["Key"] for upload in self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


class MinIO(Store):
    """MinIO, as most people run it: one node, one disk."""

    def __init__(self, peers: Path, folder: Path):
        port, data = free_port(), folder / "minio"
        argv = [program(peers / "bin/minio"), "server", "--quiet", "--address", f"127.0.0.1:{port}", str(data)]
        env = {
            "MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY, "MINIO_BROWSER": "off",
            "HOME": str(folder), "PATH": "/usr/bin:/bin",
        }
        super().__init__("minio", argv, port, data, env)

    def answers(self) -> bool:
        # `/minio/health/live` says yes before there is a store behind it.
        try:
            self.client.list_buckets()
        except (ClientError, BotoCoreError):
            return False
        return True

    def uploads(self, bucket: str) -> list[str]:
        # MinIO lists the uploads of one exact key only. On its disk they lie as <hash of bucket/key>/<upload id>.
        waiting = (self.data / ".minio.sys/multipart").glob("*/*")
        return [str(upload.relative_to(self.data)) for upload in waiting if upload.is_dir()]


class Versitygw(Store):
    """Versity's S3 gateway over a folder: a second S3, of other people's making."""

    def __init__(self, peers: Path, folder: Path):
        port, data = free_port(), folder / "versitygw"
        data.mkdir()
        argv = [
            program(peers / "bin/versitygw"), "--access", ACCESS_KEY, "--secret", SECRET_KEY,
            "--port", f"127.0.0.1:{port}", "posix", str(data),
        ]
        super().__init__("versitygw", argv, port, data, {"HOME": str(folder), "PATH": "/usr/bin:/bin"})

    def answers(self) -> bool:
        try:
            # Any answer of its own will do: without a signature it is a refusal.
            return requests.get(self.url, timeout=2).status_code in (200, 403)
        except requests.RequestException:
            return False
