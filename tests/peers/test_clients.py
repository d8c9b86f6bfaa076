"""boto3 and both generations of the AWS CLI: what they are told is what AWS tells them."""

import base64
import json
import re
import subprocess

import botocore.exceptions
import pytest
import requests

from processes import program, until
from service import ROLE, hints, s3_destination

ACCOUNT, REGION = "000000000000", "us-east-1"
DESTINATION_ID = "destinationId-000000000001"


@pytest.fixture
def service(hydrant, minio):
    return hydrant(minio, create_buckets=True)


@pytest.fixture
def clicks(service):
    """A service with one stream, made through the API."""
    service.firehose.create_delivery_stream(
        DeliveryStreamName="clicks", ExtendedS3DestinationConfiguration=s3_destination("clients-clicks")
    )
    return service


def refusal(call, *arguments, **members) -> tuple[int, str, str]:
    """Status, type and message of the refusal that the SDK raises."""
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        call(*arguments, **members)
    answer = raised.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def test_a_created_stream_is_described_with_the_defaults_of_aws(service):
    answer = service.firehose.create_delivery_stream(
        DeliveryStreamName="clicks", ExtendedS3DestinationConfiguration=s3_destination("lake")
    )
    arn = f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/clicks"
    assert answer["DeliveryStreamARN"] == arn

    told = service.firehose.describe_delivery_stream(DeliveryStreamName="clicks")["DeliveryStreamDescription"]
    assert told.pop("CreateTimestamp").tzinfo is not None
    both = {
        "RoleARN": ROLE, "BucketARN": "arn:aws:s3:::lake", "BufferingHints": hints(5, 300),
        "CompressionFormat": "UNCOMPRESSED", "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
        "CloudWatchLoggingOptions": {"Enabled": False},
    }
    extended = both | {"DataFormatConversionConfiguration": {"Enabled": False}, "S3BackupMode": "Disabled"}
    destination = {
        "DestinationId": DESTINATION_ID, "S3DestinationDescription": both, "ExtendedS3DestinationDescription": extended,
    }
    assert told == {
        "DeliveryStreamName": "clicks", "DeliveryStreamARN": arn, "DeliveryStreamStatus": "ACTIVE",
        "DeliveryStreamType": "DirectPut", "VersionId": "1", "Destinations": [destination], "HasMoreDestinations": False,
    }


def test_streams_are_listed_by_name_in_pages(service):
    for name in ["b", "a.1", "c", "B_2"]:
        service.firehose.create_delivery_stream(
            DeliveryStreamName=name, ExtendedS3DestinationConfiguration=s3_destination("lake")
        )
    listing = service.firehose.list_delivery_streams
    page = listing(Limit=3)
    assert (page["DeliveryStreamNames"], page["HasMoreDeliveryStreams"]) == (["B_2", "a.1", "b"], True)
    page = listing(Limit=3, ExclusiveStartDeliveryStreamName="b")
    assert (page["DeliveryStreamNames"], page["HasMoreDeliveryStreams"]) == (["c"], False)
    assert listing(DeliveryStreamType="KinesisStreamAsSource")["DeliveryStreamNames"] == []
    assert listing(ExclusiveStartDeliveryStreamName="aaa")["DeliveryStreamNames"] == ["b", "c"]


def test_a_name_is_taken_once_and_free_again_after_delete(clicks):
    create = clicks.firehose.create_delivery_stream
    lake = s3_destination("lake")
    assert refusal(create, DeliveryStreamName="clicks", ExtendedS3DestinationConfiguration=lake) == (
        400, "ResourceInUseException", f"Firehose clicks under accountId {ACCOUNT} already exists",
    )
    clicks.firehose.delete_delivery_stream(DeliveryStreamName="clicks")
    create(DeliveryStreamName="clicks", ExtendedS3DestinationConfiguration=lake)


def test_a_missing_stream_is_named_by_every_operation(service):
    api = service.firehose
    missing = (400, "ResourceNotFoundException", f"Firehose nope under account {ACCOUNT} not found.")
    assert refusal(api.describe_delivery_stream, DeliveryStreamName="nope") == missing
    assert refusal(api.delete_delivery_stream, DeliveryStreamName="nope") == missing
    assert refusal(api.put_record, DeliveryStreamName="nope", Record={"Data": b"x"}) == missing
    assert refusal(api.put_record_batch, DeliveryStreamName="nope", Records=[{"Data": b"x"}]) == missing
    assert refusal(api.list_tags_for_delivery_stream, DeliveryStreamName="nope") == missing
    assert refusal(api.tag_delivery_stream, DeliveryStreamName="nope", Tags=[{"Key": "k"}]) == missing
    assert refusal(
        api.update_destination, DeliveryStreamName="nope", CurrentDeliveryStreamVersionId="1",
        DestinationId=DESTINATION_ID, ExtendedS3DestinationUpdate={},
    ) == (400, "ResourceNotFoundException", f"Firehose nope under accountId {ACCOUNT} not found.")


def test_constraints_are_told_in_the_grammar_of_aws(service):
    broken = s3_destination("lake", CompressionFormat="gzip", FileExtension="no-dot")
    status, kind, message = refusal(
        service.firehose.create_delivery_stream, DeliveryStreamName="a b", ExtendedS3DestinationConfiguration=broken
    )
    assert (status, kind) == (400, "ValidationException")
    head, _, clauses = message.partition(" detected: ")
    assert head == "3 validation errors"
    assert set(clauses.split("; ")) == {
        "Value 'a b' at 'deliveryStreamName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
        "Value at 'extendedS3DestinationConfiguration.compressionFormat' failed to satisfy constraint: "
        "Member must satisfy enum value set: [ZIP, HADOOP_SNAPPY, Snappy, GZIP, UNCOMPRESSED]",
        "Value at 'extendedS3DestinationConfiguration.fileExtension' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: ^(|\\.[0-9a-z!\\-_.*'()]+)$",
    }


def test_two_destinations_are_refused(service):
    lake = s3_destination("lake")
    assert refusal(
        service.firehose.create_delivery_stream, DeliveryStreamName="two",
        ExtendedS3DestinationConfiguration=lake, S3DestinationConfiguration=lake,
    ) == (400, "InvalidArgumentException", "Exactly one destination configuration is supported for a Firehose")


def test_record_ids_come_in_the_order_of_the_records(clicks):
    one = clicks.firehose.put_record(DeliveryStreamName="clicks", Record={"Data": b"first\n"})
    assert one["Encrypted"] is False and re.fullmatch(r"[A-Za-z0-9+/=]+", one["RecordId"])
    records = [{"Data": f"{n}\n".encode()} for n in range(500)]
    many = clicks.firehose.put_record_batch(DeliveryStreamName="clicks", Records=records)
    ids = [entry["RecordId"] for entry in many["RequestResponses"]]
    assert (many["FailedPutCount"], many["Encrypted"], len(ids)) == (0, False, 500)
    assert len({one["RecordId"], *ids}) == 501
    assert all(set(entry) == {"RecordId"} for entry in many["RequestResponses"])


def test_a_batch_over_500_records_is_refused_whole(clicks):
    records = [{"Data": b"x"}] * 501
    status, kind, message = refusal(clicks.firehose.put_record_batch, DeliveryStreamName="clicks", Records=records)
    assert (status, kind) == (400, "ValidationException")
    assert re.fullmatch(
        r"1 validation error detected: Value (?:'.*' )?at 'records' failed to satisfy constraint: "
        r"Member must have length less than or equal to 500", message,
    ), message
    assert_nothing_waits(clicks)


def test_a_record_over_1000_kib_is_refused_with_its_batch(clicks):
    api = clicks.firehose
    too_long = {"Data": b"x" * (1000 * 1024 + 1)}
    rule = "failed to satisfy constraint: Member must have length less than or equal to 1024000"
    status, kind, message = refusal(api.put_record, DeliveryStreamName="clicks", Record=too_long)
    assert (status, kind) == (400, "ValidationException")
    assert re.fullmatch(rf"1 validation error detected: Value (?:'[^']*' )?at 'record\.data' {rule}", message), message
    records = [{"Data": b"x"}, too_long]
    status, kind, message = refusal(api.put_record_batch, DeliveryStreamName="clicks", Records=records)
    assert (status, kind) == (400, "ValidationException")
    assert re.fullmatch(rf"1 validation error detected: Value (?:'[^']*' )?at 'records\.2\.member\.data' {rule}", message), message
    assert_nothing_waits(clicks)
    largest = {"Data": b"x" * (1000 * 1024)}
    assert api.put_record_batch(DeliveryStreamName="clicks", Records=[largest] * 4)["FailedPutCount"] == 0


def test_a_batch_over_4_mib_is_refused_whole(clicks):
    records = [{"Data": b"x" * 1_000_000}] * 4 + [{"Data": b"x" * 200_000}]
    status, kind, _ = refusal(clicks.firehose.put_record_batch, DeliveryStreamName="clicks", Records=records)
    assert (status, kind) == (400, "InvalidArgumentException")
    assert_nothing_waits(clicks)


def assert_nothing_waits(service):
    """Nothing of a refused request was taken in."""
    service.firehose.put_record(DeliveryStreamName="clicks", Record={"Data": b"only\n"})
    assert service.waiting("clicks") == 1


def raw(service, operation: str, body: bytes, **headers: str) -> requests.Response:
    """A request that no SDK would send."""
    headers = {"X-Amz-Target": f"Firehose_20150804.{operation}", "Content-Type": "application/x-amz-json-1.1", **headers}
    return requests.post(service.url, data=body, headers=headers, timeout=10)


@pytest.mark.parametrize("body", [
    b"", b"{", b"[1]", b'"text"', b'{"DeliveryStreamName":"clicks","Record":{"Data":"eA"}}',
    b'{"DeliveryStreamName":"clicks","Record":{"Data":"eA=\n="}}', b'{"DeliveryStreamName":"clicks","Record":{"Data":5}}',
    b'{"DeliveryStreamName":"clicks","Record":"eA=="}', b'{"DeliveryStreamName":"clicks","Record":{"Data":"\xff"}}',
    b'{"DeliveryStreamName":"clicks","Record":{"Data":"e-_="}}',
])
def test_what_is_no_request_is_a_serialization_exception(clicks, body):
    answer = raw(clicks, "PutRecord", body)
    told = answer.json()
    assert (answer.status_code, told["__type"]) == (400, "SerializationException")
    assert told["message"]
    assert answer.headers["Content-Type"] == "application/x-amz-json-1.1"
    assert answer.headers["x-amzn-RequestId"]


def test_an_unknown_operation_is_named_so(service):
    answer = raw(service, "PutRecords", b"{}")
    assert (answer.status_code, answer.json()["__type"]) == (400, "UnknownOperationException")


def test_the_answer_to_a_batch_has_the_members_in_the_order_of_aws(clicks):
    data = base64.b64encode(b"x").decode()
    body = json.dumps({"DeliveryStreamName": "clicks", "Records": [{"Data": data}, {"Data": ""}]}).encode()
    answer = raw(clicks, "PutRecordBatch", body)
    assert answer.status_code == 200
    assert list(answer.json()) == ["Encrypted", "FailedPutCount", "RequestResponses"]


def test_an_update_is_merged_and_counted(clicks):
    api = clicks.firehose

    def update(version: str, destination_id: str = DESTINATION_ID, **members):
        return api.update_destination(
            DeliveryStreamName="clicks", CurrentDeliveryStreamVersionId=version, DestinationId=destination_id,
            ExtendedS3DestinationUpdate=members,
        )

    update("1", Prefix="new/", BufferingHints=hints(1, 60))
    told = api.describe_delivery_stream(DeliveryStreamName="clicks")["DeliveryStreamDescription"]
    (destination,) = told["Destinations"]
    extended = destination["ExtendedS3DestinationDescription"]
    assert told["VersionId"] == "2" and told["LastUpdateTimestamp"] >= told["CreateTimestamp"]
    assert (extended["Prefix"], extended["BufferingHints"]) == ("new/", hints(1, 60))
    assert extended["BucketARN"] == "arn:aws:s3:::clients-clicks", "absent members keep their value"

    assert refusal(update, "1", Prefix="newer/") == (
        400, "ConcurrentModificationException",
        "Cannot update firehose: clicks since the current version id: 2 and specified version id: 1 do not match",
    )
    assert refusal(update, "2", "destinationId-000000000009") == (
        400, "InvalidArgumentException", "Destination Id destinationId-000000000009 not found",
    )


def test_tags_are_set_replaced_listed_in_pages_and_removed(clicks):
    api = clicks.firehose
    api.tag_delivery_stream(DeliveryStreamName="clicks", Tags=[{"Key": "team", "Value": "a"}, {"Key": "env", "Value": "x"}])
    api.tag_delivery_stream(DeliveryStreamName="clicks", Tags=[{"Key": "team", "Value": "b"}, {"Key": "bare"}])
    page = api.list_tags_for_delivery_stream(DeliveryStreamName="clicks", Limit=2)
    assert [tag["Key"] for tag in page["Tags"]] == ["bare", "env"] and page["HasMoreTags"]
    page = api.list_tags_for_delivery_stream(DeliveryStreamName="clicks", ExclusiveStartTagKey="env")
    assert (page["Tags"], page["HasMoreTags"]) == ([{"Key": "team", "Value": "b"}], False)
    api.untag_delivery_stream(DeliveryStreamName="clicks", TagKeys=["team", "bare", "never-set"])
    assert [tag["Key"] for tag in api.list_tags_for_delivery_stream(DeliveryStreamName="clicks")["Tags"]] == ["env"]


def test_a_setting_given_as_a_tag_takes_effect(clicks, minio):
    tags = [{"Key": "hydrant:BufferIntervalInSeconds", "Value": "0.2"}]
    clicks.firehose.tag_delivery_stream(DeliveryStreamName="clicks", Tags=tags)
    clicks.firehose.put_record(DeliveryStreamName="clicks", Record={"Data": b"soon\n"})
    until("delivery after the interval of the tag", lambda: clicks.waiting("clicks") == 0)
    assert b"soon\n" in [found.body for found in minio.objects("clients-clicks")]


class Cli:
    """One generation of the AWS CLI."""

    def __init__(self, binary: str, generation: int, service, folder):
        self.generation, self.service, self.folder = generation, service, folder
        self.argv = [binary, "--endpoint-url", service.url, "--region", REGION, "--output", "json", "firehose"]

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        # Version 2 opens a pager unless told otherwise.
        env = self.service.env | {"HOME": str(self.folder), "AWS_PAGER": ""}
        return subprocess.run([*self.argv, *arguments], env=env, capture_output=True, text=True, timeout=120)

    def __call__(self, *arguments: str) -> dict:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def data(self, text: str) -> str:
        """How a record is written: version 1 encodes it, version 2 wants base64."""
        return text if self.generation == 1 else base64.b64encode(text.encode()).decode()

    def file(self, name: str, content) -> str:
        path = self.folder / name
        path.write_text(json.dumps(content))
        return f"file://{path}"


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def cli(request, peers, service, tmp_path):
    binary = program(peers / "awscli/bin/aws" if request.param == 1 else "/usr/bin/aws")
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    assert version.startswith(f"aws-cli/{request.param}."), version
    return Cli(binary, request.param, service, tmp_path)


def test_the_cli_does_a_stream_s_whole_life(cli, minio):
    bucket = f"cli-v{cli.generation}"
    name = ("--delivery-stream-name", "clicks")
    destination = cli.file("destination.json", s3_destination(bucket, CompressionFormat="UNCOMPRESSED"))
    created = cli("create-delivery-stream", *name, "--extended-s3-destination-configuration", destination)
    assert created == {"DeliveryStreamARN": f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/clicks"}
    assert cli("list-delivery-streams") == {"DeliveryStreamNames": ["clicks"], "HasMoreDeliveryStreams": False}

    one = cli("put-record", *name, "--record", cli.file("record.json", {"Data": cli.data("one\n")}))
    assert one["RecordId"] and one["Encrypted"] is False
    records = [{"Data": cli.data(text)} for text in ["two\n", "", "three ☃\n"]]
    many = cli("put-record-batch", *name, "--records", cli.file("records.json", records))
    assert many["FailedPutCount"] == 0 and len(many["RequestResponses"]) == 3

    update = cli.file("update.json", {"BufferingHints": hints(2, 120)})
    at = ("--current-delivery-stream-version-id", "1", "--destination-id", DESTINATION_ID)
    cli("update-destination", *name, *at, "--extended-s3-destination-update", update)
    told = cli("describe-delivery-stream", *name)["DeliveryStreamDescription"]
    (described,) = told["Destinations"]
    assert (told["DeliveryStreamStatus"], told["VersionId"]) == ("ACTIVE", "2")
    assert described["ExtendedS3DestinationDescription"]["BufferingHints"] == hints(2, 120)

    cli("tag-delivery-stream", *name, "--tags", "Key=team,Value=web")
    assert cli("list-tags-for-delivery-stream", *name)["Tags"] == [{"Key": "team", "Value": "web"}]
    cli("untag-delivery-stream", *name, "--tag-keys", "team")

    cli.service.flush("clicks")
    delivered = b"".join(sorted(found.body for found in minio.objects(bucket)))
    assert delivered == "one\ntwo\nthree ☃\n".encode()
    cli("delete-delivery-stream", *name)


def test_the_cli_shows_refusals(cli):
    done = cli.run("describe-delivery-stream", "--delivery-stream-name", "nope")
    assert done.returncode != 0
    assert (
        "(ResourceNotFoundException) when calling the DescribeDeliveryStream operation: "
        f"Firehose nope under account {ACCOUNT} not found." in done.stderr
    ), done.stderr
    records = cli.file("records.json", [{"Data": cli.data("x")}] * 501)
    done = cli.run("put-record-batch", "--delivery-stream-name", "nope", "--records", records)
    assert "(ValidationException)" in done.stderr, done.stderr
