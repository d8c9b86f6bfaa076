"""Functions written for AWS, in AWS's own runtime client, called over Invoke with events as hydrant makes them."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor

import boto3
import botocore.config
import botocore.exceptions
import pytest
import requests

from lambda_server import Lambda
from service import hints, stream
from stores import ACCESS_KEY, SECRET_KEY

HANDLER = "lambda_handler.handler"


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
    parameters = [
        {"ParameterName": name, "ParameterValue": value}
        for name, value in [("LambdaArn", arn), ("NumberOfRetries", "1")]
    ]
    clicks = stream(
        bucket,
        Prefix="clicks/!{partitionKeyFromLambda:country}/",
        ErrorOutputPrefix="errors/!{firehose:error-output-type}/",
        BufferingHints=hints(128, 900),
        DynamicPartitioningConfiguration={"Enabled": True},
        ProcessingConfiguration={"Enabled": True, "Processors": [{"Type": "Lambda", "Parameters": parameters}]},
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
    told = [json.loads(line) for found in minio.objects(bucket, "errors/processing-failed/") for line in found.body.splitlines()]
    failed = [entry for entry in told if entry["errorCode"] == "Lambda.FunctionError"]
    assert len(failed) == 2 and {entry["attemptsMade"] for entry in failed} == {2}
    assert minio.keys(bucket, "clicks/IT/") == []


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
