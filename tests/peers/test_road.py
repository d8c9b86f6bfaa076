"""From a put to an object on two S3 servers, read back with other people's readers."""

import io
import json
import random
import re
import tempfile
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import duckdb
import pyarrow
import pyarrow.json
import pytest
import requests

from processes import until
from readers import UUID, unpack
from service import hints, stream

MEBIBYTE = 1024 * 1024
TIME = r"\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d"
HOUR = r"\d{4}/\d\d/\d\d/\d\d/"
# Extension and Content-Encoding of each CompressionFormat, as seen from AWS.
FORMATS = {
    "UNCOMPRESSED": ("", None),
    "GZIP": (".gz", "gzip"),
    "ZIP": (".zip", "zip"),
    "Snappy": (".snappy", "snappy-java"),
    "HADOOP_SNAPPY": (".snappy", "hadoop-snappy"),
}
NEVER = hints(128, 900)  # only a flush cuts within a test


@pytest.fixture
def bucket(s3):
    """A bucket of this test's own."""
    name = s3.bucket()
    yield name
    assert s3.uploads(name) == [], "multipart uploads were left over"


def awkward_records() -> list[bytes]:
    """Everything a record may be: empty, binary, the largest, one after the other without separators."""
    chance = random.Random(7)
    records = [b"", b"\x00", b"\xff\xfe", "ключ 鍵 🗝".encode(), b'{"a":"\\u0000\\"\\\\"}\n', b"\r\n\r\n", b"x" * 1_024_000]
    records += [chance.randbytes(chance.randrange(1, 3000)) for _ in range(700)]
    records += [b"the same again\n"] * 200 + [chance.randbytes(1_024_000), b""]
    return records


@pytest.mark.parametrize("compression", FORMATS)
def test_objects_are_the_records_in_order_in_every_format(hydrant, s3, bucket, peers, compression):
    extension, encoding = FORMATS[compression]
    service = hydrant(s3, {"clicks": stream(bucket, CompressionFormat=compression, BufferingHints=NEVER)})
    records = awkward_records()
    service.put("clicks", records)
    service.flush("clicks")

    (found,) = s3.objects(bucket)
    assert unpack(compression, found.body, peers) == b"".join(records)
    assert re.fullmatch(f"{HOUR}clicks-1-{TIME}-{UUID}{re.escape(extension)}", found.key), found.key
    assert found.content_type == "application/octet-stream"
    # Servers differ in whether a missing one is absent or empty.
    assert (found.content_encoding or None) == encoding


def test_json_lines_are_read_by_duckdb_and_arrow(hydrant, s3, bucket):
    service = hydrant(s3, {"clicks": stream(bucket, CompressionFormat="GZIP", BufferingHints=NEVER)})
    clicks = [{"id": n, "page": f"/page/{n % 7}", "text": "a\"b\\c\n☃"} for n in range(3000)]
    service.put("clicks", [json.dumps(click).encode() + b"\n" for click in clicks])
    service.flush("clicks")

    (found,) = s3.objects(bucket)
    with tempfile.NamedTemporaryFile(suffix=".json.gz") as file:
        file.write(found.body)
        file.flush()
        query = f"select id, page, text from read_json('{file.name}', format = 'newline_delimited')"
        rows = duckdb.sql(query).fetchall()
    assert rows == [(click["id"], click["page"], click["text"]) for click in clicks]
    with pyarrow.CompressedInputStream(io.BytesIO(found.body), "gzip") as lines:
        assert pyarrow.json.read_json(lines).to_pylist() == clicks


def test_prefixes_have_times_and_random_strings(hydrant, s3, bucket):
    prefix = "raw/y=!{timestamp:yyyy}/m=!{timestamp:MM}/'q'/!{firehose:random-string}/!{firehose:random-string}/"
    errors = "errors/!{firehose:error-output-type}/"
    definition = stream(bucket, Prefix=prefix, ErrorOutputPrefix=errors, BufferingHints=NEVER)
    service = hydrant(s3, {"clicks": definition})
    service.put("clicks", [b"one\n"])
    service.flush("clicks")

    (key,) = s3.keys(bucket)
    pattern = rf"raw/y=(\d{{4}})/m=(\d\d)/'q'/([A-Za-z0-9-]{{11}})/([A-Za-z0-9-]{{11}})/clicks-1-({TIME})-{UUID}"
    year, month, first, second, time = re.fullmatch(pattern, key).groups()
    assert time.startswith(f"{year}-{month}-")
    assert first != second


def test_a_prefix_without_expressions_is_followed_by_the_hour(hydrant, s3, bucket):
    service = hydrant(s3, {"clicks": stream(bucket, Prefix="legacy", BufferingHints=NEVER)})
    service.put("clicks", [b"one\n"])
    service.flush("clicks")
    (key,) = s3.keys(bucket)
    assert re.fullmatch(f"legacy{HOUR}clicks-1-{TIME}-{UUID}", key), key


def test_the_time_zone_applies_to_prefix_and_name(hydrant, s3, bucket):
    zone = ZoneInfo("Asia/Kolkata")  # half an hour off: no whole-hour mistake hides
    definition = stream(bucket, CustomTimeZone=zone.key, BufferingHints=NEVER)
    service = hydrant(s3, {"clicks": definition})
    before = datetime.now(timezone.utc)
    service.put("clicks", [b"one\n"])
    after = datetime.now(timezone.utc)
    service.flush("clicks")

    (key,) = s3.keys(bucket)
    hour, time = re.fullmatch(f"({HOUR})clicks-1-({TIME})-{UUID}", key).groups()
    named = datetime.strptime(time, "%Y-%m-%d-%H-%M-%S").replace(tzinfo=zone)
    assert before - timedelta(seconds=1) <= named <= after
    assert named.strftime("%Y/%m/%d/%H/") == hour


def test_a_file_extension_replaces_the_default_and_the_body_stays_packed(hydrant, s3, bucket, peers):
    definition = stream(bucket, CompressionFormat="GZIP", FileExtension=".custom.log", BufferingHints=NEVER)
    service = hydrant(s3, {"clicks": definition})
    service.put("clicks", [b"one\n"])
    service.flush("clicks")
    (found,) = s3.objects(bucket)
    assert re.fullmatch(f"{HOUR}clicks-1-{TIME}-{UUID}\\.custom\\.log", found.key), found.key
    assert (unpack("GZIP", found.body, peers), found.content_encoding) == (b"one\n", "gzip")


def numbered(count: int, length: int) -> list[bytes]:
    return [f"{n:08d} ".encode() + b"." * (length - 10) + b"\n" for n in range(count)]


def assert_tiled(objects: list[bytes], records: list[bytes]):
    """Each object is a run of records and the runs make up all of them: nothing twice, nothing missing, nothing moved."""
    assert b"".join(sorted(objects)) == b"".join(records)


def test_size_cuts_before_the_interval_is_over(hydrant, s3, bucket):
    service = hydrant(s3, {"clicks": stream(bucket, BufferingHints=hints(1, 900))})
    records = numbered(3600, 1024)
    service.put("clicks", records)

    until("three objects by size", lambda: len(s3.keys(bucket)) >= 3)
    cut = [len(found.body) for found in s3.objects(bucket)]
    # A batch ends with the record that fills it.
    assert cut == [MEBIBYTE] * 3
    service.flush("clicks")
    assert_tiled([found.body for found in s3.objects(bucket)], records)


def test_the_interval_cuts_before_the_size_is_reached(hydrant, s3, bucket):
    service = hydrant(s3, {"clicks": stream(bucket, BufferingHints=hints(128, 1))})
    service.put("clicks", [b"one\n", b"two\n"])
    until("an object by time", lambda: s3.keys(bucket), seconds=20)
    service.put("clicks", [b"three\n"])
    until("another object by time", lambda: len(s3.keys(bucket)) == 2, seconds=20)
    assert {found.body for found in s3.objects(bucket)} == {b"one\ntwo\n", b"three\n"}


def test_an_object_over_one_part_is_uploaded_in_parts(hydrant, s3, bucket):
    definition = stream(bucket, hydrant={"BufferSizeInMBs": 24}, BufferingHints=NEVER)
    service = hydrant(s3, {"clicks": definition})
    records = numbered(24 * 1024, 1024)
    service.put("clicks", records)
    until("the object by size", lambda: s3.keys(bucket))
    (found,) = s3.objects(bucket)
    assert found.body == b"".join(records)
    assert found.parts > 1, found.etag
    assert found.content_type == "application/octet-stream"


def test_a_packed_object_over_one_part_is_uploaded_in_parts(hydrant, s3, bucket, peers):
    service = hydrant(s3, {"clicks": stream(bucket, CompressionFormat="GZIP", BufferingHints=NEVER)})
    chance = random.Random(11)
    records = [chance.randbytes(500_000) for _ in range(48)]
    service.put("clicks", records)
    service.flush("clicks")
    (found,) = s3.objects(bucket)
    assert unpack("GZIP", found.body, peers) == b"".join(records)
    assert found.parts > 1 and found.content_encoding == "gzip"


def test_a_missing_bucket_is_waited_for(hydrant, s3):
    bucket = "waited-for"
    service = hydrant(s3, {"clicks": stream(bucket, BufferingHints=NEVER)})
    service.put("clicks", [b"one\n"])
    answer = requests.post(f"{service.url}/streams/clicks/flush", params={"wait": 2}, timeout=10)
    assert answer.status_code == 504, answer.text
    assert "NoSuchBucket" in json.dumps(service.status("clicks"))
    assert requests.get(f"{service.url}/ready", timeout=5).status_code == 200

    s3.bucket(bucket)
    service.flush("clicks")
    assert [found.body for found in s3.objects(bucket)] == [b"one\n"]


def test_a_missing_bucket_is_made_where_settings_say_so(hydrant, s3):
    service = hydrant(s3, {"clicks": stream("made-by-hydrant", BufferingHints=NEVER)}, create_buckets=True)
    service.put("clicks", [b"one\n"])
    service.flush("clicks")
    assert [found.body for found in s3.objects("made-by-hydrant")] == [b"one\n"]


def test_an_update_shapes_what_is_put_afterwards(hydrant, s3, bucket, peers):
    service = hydrant(s3, {"clicks": stream(bucket, Prefix="before/", BufferingHints=NEVER)})
    service.put("clicks", [b"old\n"])
    service.firehose.update_destination(
        DeliveryStreamName="clicks", CurrentDeliveryStreamVersionId="1", DestinationId="destinationId-000000000001",
        ExtendedS3DestinationUpdate={"Prefix": "after/", "CompressionFormat": "GZIP"},
    )
    service.put("clicks", [b"new\n"])
    service.flush("clicks")

    old, new = sorted(s3.objects(bucket), key=lambda found: found.key.startswith("after/"))
    assert (old.body, old.content_encoding or None) == (b"old\n", None)
    assert re.fullmatch(f"before/{HOUR}clicks-\\d-{TIME}-{UUID}", old.key), old.key
    assert unpack("GZIP", new.body, peers) == b"new\n"
    assert re.fullmatch(f"after/{HOUR}clicks-2-{TIME}-{UUID}\\.gz", new.key), new.key


def test_a_deleted_stream_delivers_what_it_holds(hydrant, s3, bucket):
    service = hydrant(s3, {"clicks": stream(bucket, BufferingHints=NEVER)})
    service.put("clicks", [b"one\n"])
    service.firehose.delete_delivery_stream(DeliveryStreamName="clicks")
    until("delivery of a deleted stream", lambda: s3.keys(bucket))
    assert [found.body for found in s3.objects(bucket)] == [b"one\n"]
    until("its end", lambda: service.firehose.list_delivery_streams()["DeliveryStreamNames"] == [])
