"""Tables of a Glue data catalog (moto's), in streams that convert their records to the rows of one."""

import base64
import io
import itertools
import json

import boto3
import botocore.config
import botocore.exceptions
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from processes import Process, free_port, program
from service import ROLE, hints, s3_destination, stream
from stores import ACCESS_KEY, SECRET_KEY

ACCOUNT = "123456789012"  # moto's


class Glue(Process):
    """moto's server, with a client of its Glue."""

    def __init__(self, peers, folder):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        argv = [program(peers / "venv/bin/moto_server"), "-H", "127.0.0.1", "-p", str(port)]
        super().__init__("moto", argv, folder / "moto.log", {"HOME": str(folder), "PATH": "/usr/bin:/bin"})
        config = botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60)
        self.client = boto3.client(
            "glue", endpoint_url=self.url, region_name="us-east-1", config=config,
            aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
        )
        self.databases = itertools.count(1)

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/moto-api/", timeout=2).ok
        except requests.RequestException:
            return False

    def database(self) -> str:
        """Makes a database that no other test uses."""
        name = f"sales_{next(self.databases)}"
        self.client.create_database(DatabaseInput={"Name": name})
        return name

    def create(self, database: str, table: str, columns: dict[str, str]):
        self.client.create_table(DatabaseName=database, TableInput=table_input(table, columns))

    def change(self, database: str, table: str, columns: dict[str, str]):
        self.client.update_table(DatabaseName=database, TableInput=table_input(table, columns))


def table_input(name: str, columns: dict[str, str]) -> dict:
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": [{"Name": "day", "Type": "string"}],
        "StorageDescriptor": {
            "Columns": [{"Name": column, "Type": kind} for column, kind in columns.items()],
            "Location": "s3://lake/clicks/",
            "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
        },
    }


@pytest.fixture(scope="module")
def glue(peers, tmp_path_factory):
    server = Glue(peers, tmp_path_factory.mktemp("moto"))
    try:
        server.start()
        server.await_ready(server.answers, seconds=60)
        yield server
    finally:
        server.clear_away()


def conversion(database: str, table: str = "clicks", serializer: str = "ParquetSerDe", **schema) -> dict:
    return {
        "SchemaConfiguration": {"RoleARN": ROLE, "DatabaseName": database, "TableName": table, **schema},
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
        "OutputFormatConfiguration": {"Serializer": {serializer: {}}},
    }


def create(service, name: str, configuration: dict):
    destination = s3_destination("lake", DataFormatConversionConfiguration=configuration)
    service.firehose.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration=destination)


def refusal(call) -> str:
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        call()
    error = refused.value.response["Error"]
    assert error["Code"] == "InvalidArgumentException", error
    return error["Message"]


def extended(service, name: str) -> dict:
    described = service.firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
    (destination,) = described["Destinations"]
    return destination["ExtendedS3DestinationDescription"]


def test_a_stream_is_created_over_a_table_of_glue(glue, hydrant):
    database = glue.database()
    glue.create(database, "clicks", {"page": "string", "at": "timestamp", "tags": "array<struct<name:string,n:int>>"})
    service = hydrant(glue_endpoint=glue.url)
    create(service, "clicks", conversion(database))
    described = extended(service, "clicks")
    assert described["DataFormatConversionConfiguration"] == conversion(database) | {"Enabled": True}
    assert described["BufferingHints"] == hints(128, 300)
    # As Glue does, names are compared in lower case; the catalog of an account is its own.
    create(service, "upper", conversion(database.upper(), "Clicks", CatalogId=ACCOUNT, VersionId="LATEST"))


def test_what_glue_does_not_have_is_refused_in_its_words(glue, hydrant):
    database = glue.database()
    glue.create(database, "clicks", {"page": "string"})
    glue.create(database, "union", {"either": "uniontype<int,string>"})
    service = hydrant(glue_endpoint=glue.url)
    message = refusal(lambda: create(service, "s", conversion(database, "orders")))
    assert "(Service: AWSGlue; Status Code: 400; Error Code: EntityNotFoundException" in message
    assert f"put {database}.orders.json there" in message
    assert "EntityNotFoundException" in refusal(lambda: create(service, "s", conversion("nowhere")))
    assert "EntityNotFoundException" in refusal(lambda: create(service, "s", conversion(database, VersionId="99")))
    # Another region has other tables.
    assert "EntityNotFoundException" in refusal(lambda: create(service, "s", conversion(database, Region="eu-west-1")))
    message = refusal(lambda: create(service, "s", conversion(database, "union")))
    assert "uniontype" in message and '"either"' in message
    assert service.firehose.list_delivery_streams()["DeliveryStreamNames"] == []


def test_a_version_of_a_table_stays_what_it_is(glue, hydrant):
    database = glue.database()
    glue.create(database, "clicks", {"page": "string"})
    glue.change(database, "clicks", {"page": "string", "at": "timestamp"})
    versions = glue.client.get_table_versions(DatabaseName=database, TableName="clicks")["TableVersions"]
    columns = {
        version["VersionId"]: [column["Name"] for column in version["Table"]["StorageDescriptor"]["Columns"]]
        for version in versions
    }
    assert sorted(columns.values()) == [["page"], ["page", "at"]]
    service = hydrant(glue_endpoint=glue.url)
    for number, (version, of_version) in enumerate(columns.items()):
        # Bloom filters are for columns of the table: of this version, then.
        def orc(column: str, version=version) -> dict:
            configuration = conversion(database, VersionId=version)
            serializer = {"OrcSerDe": {"BloomFilterColumns": [column]}}
            return configuration | {"OutputFormatConfiguration": {"Serializer": serializer}}

        if "at" in of_version:
            create(service, f"s{number}", orc("at"))
        else:
            assert "BloomFilterColumns" in refusal(lambda: create(service, f"s{number}", orc("at")))
            create(service, f"s{number}", orc("page"))


def test_a_stream_outlives_its_table_and_glue_itself(peers, tmp_path, hydrant):
    glue = Glue(peers, tmp_path)
    try:
        glue.start()
        glue.await_ready(glue.answers, seconds=60)
        database = glue.database()
        glue.create(database, "clicks", {"page": "string"})
        service = hydrant(glue_endpoint=glue.url)
        create(service, "clicks", conversion(database))
        glue.client.delete_table(DatabaseName=database, Name="clicks")
        assert service.stop() == 0
        service.up()
        assert "EntityNotFoundException" in refusal(lambda: create(service, "more", conversion(database)))
        glue.kill()
        assert service.stop() == 0
        service.up()
        assert extended(service, "clicks")["DataFormatConversionConfiguration"]["Enabled"] is True
        assert "did not give it" in refusal(lambda: create(service, "more", conversion(database)))
    finally:
        glue.clear_away()


@pytest.mark.parametrize("fixed", [False, True])
def test_records_become_rows_of_the_table(glue, hydrant, minio, tmp_path, fixed):
    database, bucket = glue.database(), minio.bucket()
    glue.create(database, "clicks", {"page": "string", "n": "bigint", "at": "timestamp", "who": "struct<name:string>"})
    schema = {}
    if fixed:
        (version,) = glue.client.get_table_versions(DatabaseName=database, TableName="clicks")["TableVersions"]
        schema = {"VersionId": version["VersionId"]}
    clicks = stream(
        bucket,
        Prefix="clicks/",
        ErrorOutputPrefix="errors/!{firehose:error-output-type}/",
        BufferingHints=hints(128, 900),
        DataFormatConversionConfiguration=conversion(database, **schema),
    )
    service = hydrant(minio, streams={"clicks": clicks}, glue_endpoint=glue.url)
    rows = [
        {"page": f"/{n}", "n": n, "at": f"2026-07-13 14:05:{n % 60:02}", "who": {"name": ["ada", "bob"][n % 2]}}
        for n in range(1000)
    ]
    records = [json.dumps(row).encode() for row in rows]
    bad = [b'{"page":"/x","n":"oops"}', b"no JSON"]
    service.put("clicks", [*records, *bad])
    service.flush("clicks")
    (found,) = minio.objects(bucket, "clicks/")
    assert found.key.endswith(".parquet") and found.content_encoding is None
    table = pq.read_table(io.BytesIO(found.body))
    assert table.schema.names == ["page", "n", "at", "who"]
    told = table.drop_columns("at").to_pylist()
    assert told == [{name: row[name] for name in ("page", "n", "who")} for row in rows]
    assert [str(value) for value in table["at"].cast(pa.timestamp("us")).to_pylist()] == [row["at"] for row in rows]
    file = tmp_path / "clicks.parquet"
    file.write_bytes(found.body)
    counted = duckdb.sql(f"SELECT who.name, sum(n) FROM '{file}' GROUP BY ALL ORDER BY ALL").fetchall()
    assert counted == [("ada", sum(range(0, 1000, 2))), ("bob", sum(range(1, 1000, 2)))]
    (entries,) = minio.objects(bucket, "errors/format-conversion-failed/")
    entries = [json.loads(line) for line in entries.body.splitlines()]
    assert sorted(base64.b64decode(entry["rawData"]) for entry in entries) == sorted(bad)
    for entry in entries:
        assert entry["lastErrorCode"].startswith("DataFormatConversion.")
        assert entry["dataCatalogTable"] == {
            "catalogId": "000000000000", "databaseName": database, "tableName": "clicks", "region": "us-east-1",
            "versionId": schema.get("VersionId", "LATEST"), "roleArn": ROLE,
        }
    # A table that is changed is read anew, at the latest in a minute; a restart asks at once. A version stays what it is.
    glue.change(database, "clicks", {"page": "string", "more": "int"})
    assert service.stop() == 0
    service.up()
    service.put("clicks", [b'{"page":"/new","more":7}'])
    service.flush("clicks")
    (new,) = [one for one in minio.objects(bucket, "clicks/") if one.key != found.key]
    names = ["page", "n", "at", "who"] if fixed else ["page", "more"]
    assert pq.read_schema(io.BytesIO(new.body)).names == names


def test_records_wait_for_a_table_that_went_away(glue, hydrant, minio):
    database, bucket = glue.database(), minio.bucket()
    glue.create(database, "clicks", {"page": "string"})
    clicks = stream(bucket, Prefix="clicks/", DataFormatConversionConfiguration=conversion(database))
    # How loudly that is told is no part of the promise.
    service = hydrant(minio, streams={"clicks": clicks}, glue_endpoint=glue.url, expected_errors=["EntityNotFound"])
    glue.client.delete_table(DatabaseName=database, Name="clicks")
    assert service.stop() == 0
    service.up()
    service.put("clicks", [b'{"page":"/"}'])
    assert requests.post(f"{service.url}/streams/clicks/flush", params={"wait": 3}, timeout=30).status_code == 504
    assert service.waiting("clicks") == 1 and minio.keys(bucket) == []
    assert "DataFormatConversion.EntityNotFound" in json.dumps(service.status("clicks"))
    glue.create(database, "clicks", {"page": "string"})
    service.flush("clicks")
    (found,) = minio.objects(bucket, "clicks/")
    assert pq.read_table(io.BytesIO(found.body)).to_pylist() == [{"page": "/"}]
