"""Functions written for AWS, in AWS's own runtime client, called over Invoke: by hydrant, and with events as it makes them."""

import base64
import gzip
import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import boto3
import botocore.config
import botocore.exceptions
import pytest
import requests

from lambda_server import Lambda, function_arn
from service import hints, stream
from stores import ACCESS_KEY, SECRET_KEY

HANDLER = "lambda_handler.handler"
MEBIBYTE = 1024 * 1024
NEVER = hints(128, 900)  # only a flush cuts within a test


@pytest.fixture
def functions(tmp_path):
    with Lambda(tmp_path) as service:
        yield service


def client(service, secret: str = SECRET_KEY):
    config = botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60)
    return boto3.client(
        "lambda", endpoint_url=service.url, region_name="us-east-1", config=config,
        aws_access_key_id=ACCESS_KEY, aws_secret_access_key=secret,
    )


def record_id(index: int) -> str:
    """As hydrant's are: the stream's birth, then offset, sub-record and part at their full width."""
    return f"{'0123456789abcdef' * 2}{index:020}{0:010}{0:010}"


def event(*documents: dict) -> bytes:
    records = [
        {
            "recordId": record_id(index),
            "approximateArrivalTimestamp": 1783951509000 + index,
            "data": base64.b64encode(json.dumps(document).encode()).decode(),
        }
        for index, document in enumerate(documents)
    ]
    return json.dumps({
        "invocationId": "4e2b3d8a-7c1f-4a7e-9f52-0c8d5e6a1b20",
        "deliveryStreamArn": "arn:aws:firehose:us-east-1:000000000000:deliverystream/clicks",
        "region": "us-east-1",
        "records": records,
    }).encode()


def invoke(service, name: str, payload: bytes, **more) -> tuple[str | None, dict]:
    """`X-Amz-Function-Error` of the answer, and the answer."""
    answer = client(service).invoke(FunctionName=name, Payload=payload, **more)
    assert answer["StatusCode"] == 200
    return answer.get("FunctionError"), json.loads(answer["Payload"].read())


def refusal(call) -> tuple[int, str]:
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        call()
    response = refused.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def asking(arn: str, **parameters) -> dict:
    """`ProcessingConfiguration` of a stream that asks a function."""
    named = {"LambdaArn": arn, **parameters}
    given = [{"ParameterName": name, "ParameterValue": str(value)} for name, value in named.items()]
    return {"Enabled": True, "Processors": [{"Type": "Lambda", "Parameters": given}]}


def asking_stream(bucket: str, arn: str, **parameters) -> dict:
    return stream(
        bucket,
        Prefix="lines/",
        ErrorOutputPrefix="errors/!{firehose:error-output-type}/",
        BufferingHints=NEVER,
        ProcessingConfiguration=asking(arn, **parameters),
    )


def delivered(store, bucket: str) -> list[bytes]:
    """Lines in the order of their objects' names, which for objects of one second is any."""
    return [line for found in store.objects(bucket, "lines/") for line in found.body.splitlines()]


def error_entries(store, bucket: str) -> list[dict]:
    """What lies in the error output."""
    assert store.keys(bucket, "errors/") == store.keys(bucket, "errors/processing-failed/")
    return [json.loads(line) for found in store.objects(bucket, "errors/") for line in found.body.splitlines()]


def test_a_handler_written_for_aws_answers_hydrants_event(functions):
    functions.add("clean", HANDLER)
    payload = event({"page": "/ü", "country": "DE"}, {"do": "drop"}, {"do": "fail"}, {"page": "/b"})
    error, answer = invoke(functions, "clean", payload)
    assert error is None, answer
    kept, dropped, failed, last = answer["records"]
    assert [record["recordId"] for record in answer["records"]] == [record_id(index) for index in range(4)]
    assert [record["result"] for record in answer["records"]] == ["Ok", "Dropped", "ProcessingFailed", "Ok"]
    assert base64.b64decode(kept["data"]) == b'{"page":"/\\u00fc","country":"DE","stream":"clicks","by":"clean"}\n'
    assert kept["metadata"] == {"partitionKeys": {"country": "DE"}}
    assert base64.b64decode(last["data"]) == b'{"page":"/b","stream":"clicks","by":"clean"}\n'
    assert "data" not in dropped and "metadata" not in failed


def test_a_stream_asks_a_function_behind_the_endpoint(functions, hydrant, minio):
    arn = functions.add("clean", HANDLER)
    bucket = minio.bucket()
    clicks = stream(
        bucket,
        Prefix="clicks/!{partitionKeyFromLambda:country}/",
        ErrorOutputPrefix="errors/!{firehose:error-output-type}/",
        BufferingHints=NEVER,
        DynamicPartitioningConfiguration={"Enabled": True},
        ProcessingConfiguration=asking(arn, NumberOfRetries=1),
    )
    service = hydrant(minio, streams={"clicks": clicks}, lambda_endpoint=functions.url)
    documents = [{"page": f"/{n}", "country": ["DE", "FR"][n % 2]} for n in range(100)]
    documents += [{"do": "drop"}, {"do": "fail"}]
    service.put("clicks", [json.dumps(document).encode() for document in documents])
    service.flush("clicks")
    for country in ["DE", "FR"]:
        (found,) = minio.objects(bucket, f"clicks/{country}/")
        lines = [json.loads(line) for line in found.body.splitlines()]
        assert lines == [
            document | {"stream": "clicks", "by": "clean"} for document in documents if document.get("country") == country
        ]
    (entries,) = minio.objects(bucket, "errors/processing-failed/")
    entry = json.loads(entries.body)
    assert json.loads(base64.b64decode(entry["rawData"])) == {"do": "fail"}
    assert (entry["errorCode"], entry["attemptsMade"]) == ("Lambda.ProcessingFailedStatus", 1)
    assert entry["lambdaARN"] == arn
    service.put("clicks", [json.dumps({"do": "raise", "because": "no such page"}).encode(), b'{"country": "IT"}'])
    service.flush("clicks")
    failed = [entry for entry in error_entries(minio, bucket) if entry["errorCode"] == "Lambda.FunctionError"]
    assert len(failed) == 2 and {entry["attemptsMade"] for entry in failed} == {2}
    assert minio.keys(bucket, "clicks/IT/") == []


@pytest.fixture
def subscribed(functions, hydrant, minio):
    """A hydrant and its bucket. The stream `logs` asks a function that only boto3's environment leads to hydrant."""
    bucket = minio.bucket()
    buffering = {"BufferSizeInMBs": 3, "BufferIntervalInSeconds": 60}
    logs = asking_stream(bucket, function_arn("logs"), NumberOfRetries=0, **buffering)
    service = hydrant(minio, streams={"logs": logs}, lambda_endpoint=functions.url)
    functions.add("logs", "cloudwatch_logs.handler", AWS_ENDPOINT_URL_FIREHOSE=service.url)
    return service, bucket


def subscription(kind: str, *messages: str) -> bytes:
    """A record as CloudWatch Logs puts it."""
    events = [{"id": f"{n:056}", "timestamp": 1783951509000 + n, "message": message} for n, message in enumerate(messages)]
    envelope = {
        "messageType": kind, "owner": "000000000000", "logGroup": "/shop/orders", "logStream": "one",
        "subscriptionFilters": ["all"], "logEvents": events,
    }
    return gzip.compress(json.dumps(envelope).encode())


def test_a_subscription_becomes_lines_and_what_is_none_fails(subscribed, minio):
    service, bucket = subscribed
    foreign = [subscription("NEWS", "unheard"), b"no gzip", gzip.compress(b"no JSON"), gzip.compress(b"[]"), b""]
    foreign.append(subscription("DATA_MESSAGE", "cut short")[:-9])
    probe = subscription("CONTROL_MESSAGE", "CWL CONTROL MESSAGE: Checking health of destination Firehose.")
    first, second = subscription("DATA_MESSAGE", "GET /ü", "", "GET /b"), subscription("DATA_MESSAGE", '{"level":"warn"}')
    service.put("logs", [probe, first, *foreign[:3], second, *foreign[3:], first, probe])
    service.flush("logs")
    lines = ["GET /ü".encode(), b"", b"GET /b"]
    assert delivered(minio, bucket) == [*lines, b'{"level":"warn"}', *lines]
    entries = error_entries(minio, bucket)
    assert [base64.b64decode(entry["rawData"]) for entry in entries] == foreign
    assert {(entry["errorCode"], entry["attemptsMade"]) for entry in entries} == {("Lambda.ProcessingFailedStatus", 1)}
    assert {entry["lambdaARN"] for entry in entries} == {function_arn("logs")}


def test_what_an_answer_has_no_room_for_comes_back_and_is_delivered_once(subscribed, minio):
    service, bucket = subscribed
    messages = [f"{n:05} {'x' * 1000}" for n in range(22_000)]
    # One record that no answer has room for, not even its halves, and so many that putting them again takes two batches.
    parts = [messages[:12_000], *(messages[n : n + 10] for n in range(12_000, 22_000, 10))]
    records = [subscription("DATA_MESSAGE", *part) for part in parts]
    assert sum(map(len, records)) < 3 * MEBIBYTE
    service.put("logs", records)
    flushes = 0
    while service.waiting("logs") and flushes < 20:
        service.flush("logs")
        flushes += 1
    found = Counter(delivered(minio, bucket))
    assert found == Counter(message.encode() for message in messages)
    assert error_entries(minio, bucket) == []
    metrics = requests.get(f"{service.url}/metrics", timeout=10).text
    put = int(re.search(r'hydrant_records_in_total\{stream="logs"\} (\d+)', metrics)[1])
    assert put > len(records) + 500, "too little was put again to need a second batch"


def two_failed_and_two_came(store, bucket: str, records: list[bytes], code: str, attempts: int):
    """The first two of four are in the error output, as they were put, and the others are delivered."""
    assert sorted(json.loads(line)["n"] for line in delivered(store, bucket)) == [2, 3]
    entries = error_entries(store, bucket)
    assert [base64.b64decode(entry["rawData"]) for entry in entries] == records[:2]
    assert {(entry["errorCode"], entry["attemptsMade"]) for entry in entries} == {(code, attempts)}


@pytest.mark.parametrize("code, retries, fault", [
    ("Lambda.FunctionTimedOut", 1, {"do": "sleep", "seconds": 60}),
    ("Lambda.FunctionError", 0, {"do": "swell", "bytes": 5 * MEBIBYTE}),
])
def test_a_call_that_fails_takes_its_own_records_and_no_others(functions, hydrant, minio, code, retries, fault):
    arn, bucket = functions.add("clean", HANDLER, seconds=2), minio.bucket()
    buffering = {"BufferSizeInMBs": 0.2, "BufferIntervalInSeconds": 60}
    clicks = asking_stream(bucket, arn, NumberOfRetries=retries, **buffering)
    service = hydrant(minio, streams={"clicks": clicks}, lambda_endpoint=functions.url)
    # What is larger than a call's buffer has a call of its own.
    documents = [fault, {"n": 1}, {"n": 2, "padding": "x" * 300_000}, {"n": 3}]
    records = [json.dumps(document).encode() for document in documents]
    service.put("clicks", records[:3])
    service.flush("clicks")
    service.put("clicks", records[3:])
    service.flush("clicks")
    two_failed_and_two_came(minio, bucket, records, code, retries + 1)
    assert len(functions.requests) == retries + 3


@pytest.mark.parametrize("code, retries, hinder", [
    ("Lambda.InvokeLimitExceeded", 1, lambda functions: functions.add("clean", HANDLER, concurrency=0)),
    ("Lambda.ResourceNotFound", 0, lambda functions: None),
    ("Lambda.InvokeAccessDenied", 1, lambda functions: setattr(functions, "secret", "another")),
])
def test_records_fail_while_a_function_cannot_be_called_and_later_ones_do_not(
    functions, hydrant, minio, code, retries, hinder,
):
    bucket = minio.bucket()
    clicks = asking_stream(bucket, function_arn("clean"), NumberOfRetries=retries)
    service = hydrant(minio, streams={"clicks": clicks}, lambda_endpoint=functions.url)
    records = [json.dumps({"n": n}).encode() for n in range(4)]
    hinder(functions)
    service.put("clicks", records[:2])
    service.flush("clicks")
    functions.secret = SECRET_KEY
    functions.add("clean", HANDLER)
    service.put("clicks", records[2:])
    service.flush("clicks")
    two_failed_and_two_came(minio, bucket, records, code, retries + 1)


def test_five_calls_at_once_are_all_answered(functions):
    functions.add("clean", HANDLER)
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda n: invoke(functions, "clean", event({"n": n})), range(20)))
    for n, (error, answer) in enumerate(answers):
        assert error is None, answer
        assert json.loads(base64.b64decode(answer["records"][0]["data"]))["n"] == n


def test_an_error_of_the_function_is_its_answer_and_the_next_call_works(functions):
    functions.add("clean", HANDLER)
    error, answer = invoke(functions, "clean", event({"do": "raise", "because": "no such page"}))
    assert (error, answer["errorType"], answer["errorMessage"]) == ("Unhandled", "ValueError", "no such page")
    error, answer = invoke(functions, "clean", event({"do": "exit"}))
    assert (error, answer["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert invoke(functions, "clean", event({}))[0] is None


def test_a_function_that_takes_too_long_is_stopped_as_on_aws(functions):
    functions.add("slow", HANDLER, seconds=2)
    assert invoke(functions, "slow", event({}))[0] is None
    error, answer = invoke(functions, "slow", event({"do": "sleep", "seconds": 60}))
    assert error == "Unhandled" and "Task timed out after 2.00 seconds" in answer["errorMessage"]
    assert invoke(functions, "slow", event({}))[0] is None


def test_payloads_over_6_mb_go_neither_in_nor_out(functions):
    functions.add("clean", HANDLER)
    error, answer = invoke(functions, "clean", event({"do": "swell", "bytes": 4 * 1024 * 1024}))
    assert error is None
    assert len(base64.b64decode(answer["records"][0]["data"])) > 4 * 1024 * 1024
    error, answer = invoke(functions, "clean", event({"do": "swell", "bytes": 5 * 1024 * 1024}))
    assert (error, answer["errorType"]) == ("Unhandled", "Function.ResponseSizeTooLarge")
    too_large = event({"padding": "x" * 5 * 1024 * 1024})
    assert refusal(lambda: invoke(functions, "clean", too_large)) == (413, "RequestTooLargeException")
    assert invoke(functions, "clean", event({}))[0] is None


def test_calls_that_cannot_be_let_in_are_refused_as_on_aws(functions):
    functions.add("busy", HANDLER, concurrency=0)
    arn = functions.add("clean", HANDLER)
    assert refusal(lambda: invoke(functions, "busy", event({}))) == (429, "TooManyRequestsException")
    assert refusal(lambda: invoke(functions, "other", event({}))) == (404, "ResourceNotFoundException")
    assert refusal(lambda: invoke(functions, "clean", event({}), Qualifier="live")) == (404, "ResourceNotFoundException")
    assert invoke(functions, "clean", event({}), Qualifier="$LATEST")[0] is None
    forged = client(functions, secret="another")
    assert refusal(lambda: forged.invoke(FunctionName="clean", Payload=b"{}")) == (403, "InvalidSignatureException")
    unsigned = requests.post(f"{functions.url}/2015-03-31/functions/clean/invocations", data=b"{}", timeout=10)
    assert unsigned.status_code == 403
    assert functions.requests == [("busy", None), ("other", None), ("clean", "live"), ("clean", "$LATEST")]
    assert arn == "arn:aws:lambda:us-east-1:000000000000:function:clean"


def test_a_handler_that_cannot_be_loaded_says_so_at_every_call(functions):
    functions.add("gone", "no_such_module.handler")
    for _ in range(2):
        error, answer = invoke(functions, "gone", event({}))
        assert (error, answer["errorType"]) == ("Unhandled", "Runtime.ImportModuleError")
        assert "no_such_module" in answer["errorMessage"]
