"""A function for Firehose, written as for AWS: JSON records, and what becomes of each is what it asks for in `do`."""

import base64
import json
import os
import time


def handler(event, context):
    return {"records": [transform(record, event, context) for record in event["records"]]}


def transform(record, event, context):
    document = json.loads(base64.b64decode(record["data"]))
    wish = document.pop("do", "keep")
    if wish == "drop":
        return {"recordId": record["recordId"], "result": "Dropped"}
    if wish == "fail":
        return {"recordId": record["recordId"], "result": "ProcessingFailed", "data": record["data"]}
    if wish == "raise":
        raise ValueError(document["because"])
    if wish == "exit":
        os._exit(1)
    if wish == "sleep":
        time.sleep(document["seconds"])
    if wish == "swell":
        document["padding"] = "x" * document["bytes"]
    document |= {"stream": event["deliveryStreamArn"].rpartition("/")[2], "by": context.function_name}
    line = json.dumps(document, separators=(",", ":")) + "\n"
    return {
        "recordId": record["recordId"],
        "result": "Ok",
        "data": base64.b64encode(line.encode()).decode(),
        "metadata": {"partitionKeys": {"country": document.get("country", "none")}},
    }
