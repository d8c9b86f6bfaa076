"""Plain HTTP with curl, as somebody at a shell would do it."""

import gzip
import json
import subprocess

import pytest

from service import hints, stream

NDJSON = "Content-Type: application/x-ndjson"


@pytest.fixture
def service(hydrant, minio):
    bucket = minio.bucket()
    service = hydrant(minio, {"clicks": stream(bucket, BufferingHints=hints(128, 900))})
    service.delivered = lambda: delivered(service, minio, bucket)
    return service


def delivered(service, minio, bucket: str) -> bytes:
    """Flushes as a shell would, and gives what lies in the bucket."""
    status, answer = curl(service, "streams/clicks/flush?wait=30", "-X", "POST")
    assert status == 200, answer
    return b"".join(found.body for found in minio.objects(bucket))


def curl(service, path: str, *arguments: str, body: bytes | None = None) -> tuple[int, dict]:
    """Status and JSON of one curl call; `body` goes through its standard input."""
    argv = ["curl", "-sS", "--max-time", "60", "-w", "\n%{http_code}", f"{service.url}/{path}", *arguments]
    if body is not None:
        argv += ["--data-binary", "@-"]
    done = subprocess.run(argv, input=body, capture_output=True, check=True)
    text, _, status = done.stdout.decode().rpartition("\n")
    return int(status), json.loads(text) if text.strip() else {}


def post(service, body: bytes, *arguments: str, query: str = "") -> tuple[int, dict]:
    return curl(service, f"streams/clicks/records{query}", *arguments, body=body)


def accepted(answer: tuple[int, dict]) -> int:
    status, told = answer
    assert status == 200, told
    assert set(told) == {"accepted", "firstRecordId", "lastRecordId"}
    assert (told["firstRecordId"] == told["lastRecordId"]) == (told["accepted"] == 1)
    return told["accepted"]


def refused(answer: tuple[int, dict]) -> tuple[int, str]:
    status, told = answer
    assert set(told) == {"error"} and {"type", "message"} <= set(told["error"]) <= {"type", "message", "field"}, told
    return status, told["error"]["message"]


def test_each_line_of_ndjson_is_a_record_with_its_line_feed(service):
    assert accepted(post(service, b'{"a":1}\n\n  \n[2]\n"three"', "-H", NDJSON)) == 3
    assert service.delivered() == b'{"a":1}\n[2]\n"three"\n'


def test_lines_of_text_need_not_be_json(service):
    assert accepted(post(service, b"GET / 200\nGET /x 404\n", "-H", "Content-Type: text/plain")) == 2
    assert service.delivered() == b"GET / 200\nGET /x 404\n"


def test_each_element_of_an_array_is_a_record_as_it_was_sent(service):
    body = b'[ {"a" : 1.0}, "x\\u0041", null ,[1, 2] ]'
    assert accepted(post(service, body, "-H", "Content-Type: application/json")) == 4
    assert accepted(post(service, b'{"one": "value"}', "-H", "Content-Type: application/json; charset=utf-8")) == 1
    assert service.delivered() == b'{"a" : 1.0}\n"x\\u0041"\nnull\n[1, 2]\n{"one": "value"}\n'


def test_octets_are_one_record_as_they_are(service):
    body = bytes(range(256)) * 16
    assert accepted(post(service, body, "-H", "Content-Type: application/octet-stream")) == 1
    assert service.delivered() == body


def test_line_feeds_are_left_out_on_request(service):
    assert accepted(post(service, b'{"a":1}\n{"b":2}\n', "-H", NDJSON, query="?newline=false")) == 2
    assert service.delivered() == b'{"a":1}{"b":2}'


def test_packed_bodies_are_unpacked(service):
    lines = b"".join(b'{"n":%d}\n' % n for n in range(5000))
    assert accepted(post(service, gzip.compress(lines), "-H", NDJSON, "-H", "Content-Encoding: gzip")) == 5000
    assert service.delivered() == lines


def test_curl_s_own_content_type_is_refused_with_the_flag_that_helps(service):
    status, message = refused(post(service, b'{"a":1}'))
    assert status == 415
    for words in ["application/x-ndjson", "application/json", "application/octet-stream", "text/plain", "-H", "--data-binary"]:
        assert words in message, message
    assert service.waiting("clicks") == 0


@pytest.mark.parametrize("arguments, body, expected, words", [
    (["-H", NDJSON], b'{"a":1}\n{"b":\n', 400, "line 2"),
    (["-H", NDJSON], b'"' + b"x" * 1_024_000 + b'"\n', 413, "line 1"),
    (["-H", "Content-Type: application/json"], b"[1, 2", 400, "JSON"),
    (["-H", NDJSON, "-H", "Content-Encoding: gzip"], b"not gzip", 400, "Content-Encoding"),
    (["-H", NDJSON, "-H", "Content-Encoding: br"], b"{}\n", 415, "gzip"),
    (["-H", NDJSON], b"[]\n" * (6 * 1024 * 1024), 413, ""),
    (["-H", NDJSON], b"", 400, ""),
], ids=["not-json", "long-line", "not-an-array", "not-gzip", "unknown-encoding", "long-body", "empty"])
def test_a_faulty_body_is_refused_whole(service, arguments, body, expected, words):
    status, message = refused(post(service, body, *arguments))
    assert status == expected, message
    assert words in message
    assert service.waiting("clicks") == 0


def test_a_packed_body_may_not_grow_past_the_limit(service):
    bomb = gzip.compress(b"[]\n" * (6 * 1024 * 1024))
    status, _ = refused(post(service, bomb, "-H", NDJSON, "-H", "Content-Encoding: gzip"))
    assert status == 413


def test_a_missing_stream_is_404(service):
    status, message = refused(curl(service, "streams/nope/records", "-H", NDJSON, body=b"{}\n"))
    assert status == 404 and "nope" in message
    assert refused(curl(service, "streams/nope/flush", "-X", "POST"))[0] == 404


def test_flush_without_waiting_is_accepted_at_once(service):
    status, _ = curl(service, "streams/clicks/flush", "-X", "POST")
    assert status == 202


def test_a_paused_stream_holds_its_records(service):
    assert curl(service, "streams/clicks/pause", "-X", "POST")[0] == 202
    assert accepted(post(service, b"{}\n", "-H", NDJSON)) == 1
    assert refused(curl(service, "streams/clicks/flush?wait=1", "-X", "POST"))[0] == 504
    assert service.waiting("clicks") == 1
    assert curl(service, "streams/clicks/resume", "-X", "POST")[0] == 202
    assert service.delivered() == b"{}\n"


def test_the_stream_s_figures_are_shown_to_people_and_to_prometheus(service):
    accepted(post(service, b"{}\n[]\n", "-H", NDJSON))
    assert service.waiting("clicks") == 2
    assert service.delivered() == b"{}\n[]\n"
    text = subprocess.run(["curl", "-sS", f"{service.url}/metrics"], capture_output=True, text=True, check=True).stdout
    figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(figures['hydrant_records_in_total{stream="clicks"}']) == 2
    (objects,) = [value for name, value in figures.items() if name.startswith("hydrant_delivered_objects_total{")]
    assert float(objects) == 1
    status, told = curl(service, "health")
    assert status == 200, told
