"""A function for streams that a subscription of CloudWatch Logs feeds, written as for AWS: a line for each log event.

It does what AWS's blueprint `kinesis-firehose-cloudwatch-logs-processor-python` does: probes are dropped, what is no data of
a subscription fails, and what a response has no room for is put into the stream again, for a later call.
"""

import base64
import gzip
import json
import zlib

import boto3

MOST_RESPONSE_BYTES = 6_000_000  # of the 6 MiB that Lambda lets out
ANSWER_BYTES = 64  # of an answer beside its id and data: names, quotes, the longest result
BATCH_RECORDS, BATCH_BYTES, BATCH_ATTEMPTS = 500, 4_000_000, 20


def handler(event, context):
    records = event["records"]
    answers = [transform(record) for record in records]
    surplus = make_room(records, answers)
    if surplus:
        put_again(event["deliveryStreamArn"], surplus)
    return {"records": answers}


def transform(record):
    answer = {"recordId": record["recordId"], "result": "ProcessingFailed"}
    try:
        envelope = unpack(record)
    except (OSError, EOFError, zlib.error, ValueError):
        return answer
    kind = envelope.get("messageType") if isinstance(envelope, dict) else None
    if kind == "CONTROL_MESSAGE":
        return answer | {"result": "Dropped"}
    if kind == "DATA_MESSAGE":
        lines = "".join(entry["message"] + "\n" for entry in envelope["logEvents"])
        return answer | {"result": "Ok", "data": base64.b64encode(lines.encode()).decode()}
    return answer


def unpack(record):
    return json.loads(gzip.decompress(base64.b64decode(record["data"])))


def make_room(records, answers):
    """Drops from `answers` what a response has no room for, and gives the data that are to be put again in its place."""
    most = MOST_RESPONSE_BYTES - sum(ANSWER_BYTES + len(record["recordId"]) for record in records)
    left, surplus = most, []
    for record, answer in zip(records, answers):
        size = len(answer.get("data", ""))
        if size <= left:
            left -= size
            continue
        # What no response has room for would come back for ever as it is.
        pieces = halves(record) if size > most else [base64.b64decode(record["data"])]
        del answer["data"]
        answer["result"] = "Dropped" if pieces else "ProcessingFailed"
        surplus += pieces
    return surplus


def halves(record):
    """The record as two of half its log events each; nothing if it has only one."""
    envelope = unpack(record)
    events = envelope["logEvents"]
    if len(events) < 2:
        return []
    middle = len(events) // 2
    parts = [envelope | {"logEvents": part} for part in (events[:middle], events[middle:])]
    return [gzip.compress(json.dumps(part).encode()) for part in parts]


def put_again(stream_arn, records):
    region, stream = stream_arn.split(":")[3], stream_arn.rpartition("/")[2]
    firehose = boto3.client("firehose", region_name=region)
    for batch in batches(records):
        put_batch(firehose, stream, batch)


def put_batch(firehose, stream, batch):
    for _ in range(BATCH_ATTEMPTS):
        answer = firehose.put_record_batch(DeliveryStreamName=stream, Records=[{"Data": data} for data in batch])
        if answer["FailedPutCount"] == 0:
            return
        batch = [data for data, entry in zip(batch, answer["RequestResponses"]) if "ErrorCode" in entry]
    raise RuntimeError(f"{len(batch)} records were refused {BATCH_ATTEMPTS} times")


def batches(records):
    batch, size = [], 0
    for data in records:
        if batch and (len(batch) == BATCH_RECORDS or size + len(data) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(data)
        size += len(data)
    if batch:
        yield batch
