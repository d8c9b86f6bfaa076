"""A table of every Hive type through the service: what is put as JSON is what pyarrow and DuckDB read."""

import base64
import datetime
import io
import itertools
import json
from decimal import Decimal, localcontext

import duckdb
import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest

from columnar import same
from service import ROLE, hints, stream

# Of each column its Hive type, its Arrow type, and pairs: a value as JSON, and what it must become. Records take them by turns,
# so that each value meets most others.
NINES, LONG = "9" * 28 + "." + "9" * 10, "long " * 20_000
EPOCH = datetime.datetime(1970, 1, 1)
DEEP = [
    {"name": "Ä", "attributes": {"a": [1, None, -(2**63)], "b": [], "c": None}, "at": "2024-02-29T12:00:00Z"},
    None,
    {"name": None, "attributes": None, "at": None},
]


def same_text(values) -> list:
    return [(json.dumps(value), value) for value in values]


def whole(bits: int) -> list:
    return same_text([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 0, -1]) + [('"7"', 7), ("12e0", 12)]


def instant(text: str, nanoseconds: int = 0) -> int:
    """Nanoseconds since 1970 of a moment in UTC."""
    since = datetime.datetime.fromisoformat(text) - EPOCH
    return (since.days * 86_400 + since.seconds) * 10**9 + nanoseconds


def exact(text: str) -> Decimal:
    with localcontext(prec=50):
        return Decimal(text)


COLUMNS = {
    "flag": ("boolean", pa.bool_(), [("true", True), ("false", False), ('"TRUE"', True), ("null", None)]),
    "tiny": ("tinyint", pa.int8(), whole(8)),
    "small": ("smallint", pa.int16(), whole(16)),
    "whole": ("int", pa.int32(), whole(32)),
    "big": ("bigint", pa.int64(), whole(64)),
    "real": (
        "float", pa.float32(),
        [("3.4028234663852886e38", 3.4028234663852886e38), ("1.401298464324817e-45", 1.401298464324817e-45), ("-0.0", -0.0),
         ("1.5", 1.5), ('"Infinity"', float("inf"))],
    ),
    "exact": (
        "double", pa.float64(),
        same_text([1.7976931348623157e308, 5e-324, -2.2250738585072014e-308, 0.1, 9007199254740993.0]) + [('"-Infinity"', -float("inf"))],
    ),
    "price": (
        "decimal(10,2)", pa.decimal128(10, 2),
        [(text, exact(text)) for text in ("99999999.99", "-99999999.99", "0.01", "-0.01", "0.00")] + [('"12.5"', exact("12.50"))],
    ),
    "huge": (
        "decimal(38,10)", pa.decimal128(38, 10),
        [(NINES, exact(NINES)), (f'"-{NINES}"', exact(f"-{NINES}")), ("1e-10", exact("0.0000000001"))],
    ),
    "longest": ("decimal(38,0)", pa.decimal128(38, 0), [("9" * 38, exact("9" * 38)), ("-" + "9" * 38, exact("-" + "9" * 38)), ("0", exact("0"))]),
    "fraction": ("decimal(38,38)", pa.decimal128(38, 38), [("0." + "9" * 38, exact("0." + "9" * 38)), ("-0." + "0" * 37 + "1", exact("-0." + "0" * 37 + "1"))]),
    "word": (
        "string", pa.string(),
        same_text(["", "grüße 🦆", "\0", "line\nfeed \\ \"quoted\"", "\u202e\ufeff", LONG])
        + [('"\\ud83e\\udd86"', "🦆"), ("12.50", "12.50"), ('{"a": [1]}', '{"a": [1]}')],
    ),
    "letters": ("varchar(3)", pa.string(), [('"grün"', "grü"), ('"🦆🦆🦆🦆"', "🦆🦆🦆"), ('""', "")]),
    "title": ("char(4)", pa.string(), [('"grüne"', "grün"), ('"abcd"', "abcd")]),
    "raw": ("binary", pa.binary(), [(json.dumps(base64.b64encode(data).decode()), data) for data in (b"", bytes(range(256)), b"\xff\x00")]),
    "day": (
        "date", pa.date32(),
        [('"0001-01-01"', datetime.date(1, 1, 1)), ('"9999-12-31"', datetime.date(9999, 12, 31)), ('"1582-10-10"', datetime.date(1582, 10, 10)),
         ('"1970-1-1"', datetime.date(1970, 1, 1)), ('"2024-2-29"', datetime.date(2024, 2, 29))],
    ),
    "moment": (
        "timestamp", pa.timestamp("ns"),
        [('"2024-02-29 03:04:05"', instant("2024-02-29T03:04:05")), ('"2024-2-9 3:4:5.5"', instant("2024-02-09T03:04:05", 500_000_000)),
         # ORC cannot say the second that follows, but for its first millisecond.
         ('"1969-12-31 23:59:58.999999999"', -(10**9) - 1), ('"1969-12-31 23:59:59.000999999"', -999_000_001), ('"2024-02-29T03:04:05"', instant("2024-02-29T03:04:05")),
         ('"2024-02-29T03:04:05.123456789Z"', instant("2024-02-29T03:04:05", 123_456_789)), ('"2024-01-01T00:30:00+02:00"', instant("2023-12-31T22:30:00")),
         ("1700000000", 1_700_000_000 * 10**9), ("1700000000123", 1_700_000_000_123 * 10**6), ("1700000000.25", 1_700_000_000_250 * 10**6),
         ('"1700000000123"', 1_700_000_000_123 * 10**6), ("0", 0), ("-1", -(10**9)),
         ('"2262-04-11 23:47:16.854775807"', 2**63 - 1), ('"1677-09-21 00:12:44"', -9_223_372_036 * 10**9)],
    ),
    "tags": ("array<string>", pa.list_(pa.string()), same_text([[], ["a", None, ""], [None], ["ö"] * 300]) + [('"alone"', ["alone"])]),
    "counts": (
        "map<string,int>", pa.map_(pa.string(), pa.int32()),
        [("{}", []), ('{"a":1,"b":null}', [("a", 1), ("b", None)]), ('{"":-2147483648}', [("", -(2**31))])],
    ),
    "ids": ("map<bigint,string>", pa.map_(pa.int64(), pa.string()), [('{"-9223372036854775808":"x","7":null}', [(-(2**63), "x"), (7, None)])]),
    "place": (
        "struct<lat:double,name:string,code:smallint>",
        pa.struct([("lat", pa.float64()), ("name", pa.string()), ("code", pa.int16())]),
        [("{}", {"lat": None, "name": None, "code": None}), ('{"code":"5","lat":-0.5,"other":[]}', {"lat": -0.5, "name": None, "code": 5}),
         ('[1, "p"]', {"lat": 1.0, "name": "p", "code": None})],
    ),
    "deep": (
        "array<struct<name:string,attributes:map<string,array<bigint>>,at:timestamp>>",
        pa.list_(pa.struct([
            ("name", pa.string()), ("attributes", pa.map_(pa.string(), pa.list_(pa.int64()))), ("at", pa.timestamp("ns")),
        ])),
        [("[]", []), (json.dumps(DEEP), [
            {"name": "Ä", "attributes": [("a", [1, None, -(2**63)]), ("b", []), ("c", None)], "at": instant("2024-02-29T12:00:00")},
            None,
            {"name": None, "attributes": None, "at": None},
        ])],
    ),
    "deeper": (
        "map<string,map<string,map<string,struct<x:decimal(4,1)>>>>",
        pa.map_(pa.string(), pa.map_(pa.string(), pa.map_(pa.string(), pa.struct([("x", pa.decimal128(4, 1))])))),
        [('{"a":{"b":{"c":{"x":-999.9},"d":null},"e":{}},"f":null}',
          [("a", [("b", [("c", {"x": exact("-999.9")}), ("d", None)]), ("e", [])]), ("f", None)])],
    ),
}
ROWS = 3_000
SERIALIZERS = {
    **{f"parquet-{codec.lower()}": {"ParquetSerDe": {"Compression": codec}} for codec in ("UNCOMPRESSED", "SNAPPY", "GZIP")},
    "parquet-v2": {"ParquetSerDe": {"WriterVersion": "V2", "PageSizeBytes": 65_536, "EnableDictionaryCompression": True}},
    **{f"orc-{codec.lower()}": {"OrcSerDe": {"Compression": codec, "RowIndexStride": 1_000}} for codec in ("NONE", "SNAPPY", "ZLIB")},
    "orc-v11": {"OrcSerDe": {"FormatVersion": "V0_11", "DictionaryKeyThreshold": 1, "BloomFilterColumns": ["word", "big", "day"]}},
}
ERRORS = "errors/!{firehose:error-output-type}/"


def rows() -> tuple[list[str], pa.Schema, dict[str, list]]:
    """Objects as JSON, and of each column the values that they must become."""
    wanted, texts = {"number": list(range(ROWS))}, [[f'"number":{row}'] for row in range(ROWS)]
    for step, (name, (_, _, cases)) in enumerate(COLUMNS.items()):
        # As JSON says null, and as it says nothing.
        turns = itertools.cycle([*cases, ("null", None), (None, None)] if step % 2 else [(None, None), *cases, ("null", None)])
        # Long values are for some rows only.
        values = [case if len(case[0] or "") < 10_000 or row % 50 == 0 else ('""', "") for row, case in zip(range(ROWS), turns)]
        wanted[name] = [value for _, value in values]
        for members, (text, _) in zip(texts, values):
            if text is not None:
                members.append(f"{json.dumps(name)}:{text}")
    schema = pa.schema([("number", pa.int64()), *((name, kind) for name, (_, kind, _) in COLUMNS.items())])
    return ["{" + ",".join(members) + "}" for members in texts], schema, wanted


def records(objects: list[str]) -> list[bytes]:
    """One object a record, or several, with or without something between them."""
    told, rest = [], iter(objects)
    for number in itertools.count():
        some = list(itertools.islice(rest, 1 + number % 3))
        if not some:
            return told
        told.append(["", " ", "\n"][number % 3].join(some).encode() + b"\n" * (number % 2))


def conversion(serializer: dict, deserializer: dict | None = None, table: str = "everything") -> dict:
    return {
        "SchemaConfiguration": {"RoleARN": ROLE, "DatabaseName": "lake", "TableName": table},
        "InputFormatConfiguration": {"Deserializer": deserializer or {"OpenXJsonSerDe": {}}},
        "OutputFormatConfiguration": {"Serializer": serializer},
    }


def converting(bucket: str, name: str, configuration: dict) -> dict:
    return stream(
        bucket, Prefix=f"{name}/", ErrorOutputPrefix=ERRORS, BufferingHints=hints(128, 900), DataFormatConversionConfiguration=configuration,
    )


def microseconds(table: pa.Table) -> pa.Table:
    """As Parquet has it: what is behind the sixth digit is cut off, towards the past."""

    def cut(array):
        kind = array.type
        if pa.types.is_timestamp(kind):
            nanoseconds = array.cast(pa.int64()).to_pylist()
            return pa.array([None if value is None else value // 1000 for value in nanoseconds], pa.timestamp("us"))
        if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
            inner = array.flatten()
            fields = [pa.field(field.name, pa.timestamp("us") if pa.types.is_timestamp(field.type) else field.type) for field in kind.value_type]
            children = [cut(inner.field(at)) for at in range(kind.value_type.num_fields)]
            items = pa.StructArray.from_arrays(children, fields=fields, mask=inner.is_null())
            return pa.ListArray.from_arrays(array.offsets, items, mask=array.is_null())
        return array

    columns = [cut(column.combine_chunks()) for column in table.columns]
    return pa.Table.from_arrays(columns, names=table.column_names)


@pytest.fixture(scope="module")
def schemas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("schemas")
    columns = ",\n  ".join(f"`{name}` {hive}" for name, (hive, _, _) in COLUMNS.items())
    (folder / "lake.everything.sql").write_text(f"CREATE EXTERNAL TABLE everything (\n  number bigint,\n  {columns}\n)\nSTORED AS PARQUET")
    glue = [{"Name": name, "Type": kind} for name, kind in (("Name", "string"), ("at", "timestamp"), ("a_b", "int"), ("who", "struct<First_Name:string>"), ("m", "map<string,int>"))]
    (folder / "lake.spelled.json").write_text(json.dumps({"Table": {"Name": "spelled", "StorageDescriptor": {"Columns": glue}}}))
    return folder


@pytest.fixture(scope="module")
def everything() -> tuple[list[bytes], pa.Table]:
    objects, schema, wanted = rows()
    return records(objects), pa.Table.from_arrays([pa.array(wanted[field.name], field.type) for field in schema], schema=schema)


def bodies(folder, name: str) -> list[bytes]:
    """Objects in the destination on disk."""
    return [file.read_bytes() for file in sorted((folder / name).rglob("*")) if file.is_file()]


def by_duckdb(body: bytes, tmp_path) -> pa.Table:
    file = tmp_path / "object.parquet"
    file.write_bytes(body)
    return duckdb.sql(f"SELECT * FROM read_parquet('{file}')").to_arrow_table()


def test_every_type_and_compression_holds_what_was_put(hydrant, schemas, everything, tmp_path):
    told, wanted = everything
    in_microseconds = microseconds(wanted)
    service = hydrant(
        streams={name: converting("lake", name, conversion(serializer)) for name, serializer in SERIALIZERS.items()}, schemas=schemas,
    )
    objects = service.data / "objects/lake"
    for name in SERIALIZERS:
        service.put(name, told)
        service.flush(name)
        assert not (objects / "errors").exists(), bodies(objects, "errors")[0][:2000]
        (body,) = bodies(objects, name)
        if name.startswith("orc"):
            same(orc.read_table(io.BytesIO(body)), wanted)
        else:
            assert pq.ParquetFile(io.BytesIO(body)).metadata.num_rows == ROWS
            same(pq.read_table(io.BytesIO(body)), in_microseconds)
            same(by_duckdb(body, tmp_path), in_microseconds)


@pytest.mark.parametrize("name", ["parquet-snappy", "orc-zlib"])
def test_it_does_in_s3_over_several_objects_and_a_kill(hydrant, minio, schemas, everything, tmp_path, name):
    told, wanted = everything
    bucket = minio.bucket()
    service = hydrant(minio, streams={name: converting(bucket, name, conversion(SERIALIZERS[name]))}, schemas=schemas)
    for part in range(3):
        service.put(name, told[part::3])
        if part == 1:
            service.kill()
            service.up()
        else:
            service.flush(name)
    tables = []
    for found in minio.objects(bucket):
        assert found.key.startswith(f"{name}/"), found.body[:2000]
        tables.append(orc.read_table(io.BytesIO(found.body)) if name.startswith("orc") else by_duckdb(found.body, tmp_path))
    assert len(tables) > 1
    read = pa.concat_tables([table.cast(tables[0].schema) for table in tables])
    order = pa.array(sorted(range(read.num_rows), key=read["number"].to_pylist().__getitem__))
    same(read.combine_chunks().take(order), wanted if name.startswith("orc") else microseconds(wanted))



@pytest.mark.parametrize("kind", ["ParquetSerDe", "OrcSerDe"])
def test_keys_are_matched_as_openx_says(hydrant, schemas, kind):
    loose = {"OpenXJsonSerDe": {"ConvertDotsInJsonKeysToUnderscores": True, "ColumnToJsonKeyMappings": {"at": "Timestamp"}}}
    exact_case = {"OpenXJsonSerDe": {"CaseInsensitive": False}}
    streams = {
        "loose": converting("lake", "loose", conversion({kind: {}}, loose, "spelled")),
        "exact": converting("lake", "exact", conversion({kind: {}}, exact_case, "spelled")),
    }
    service = hydrant(streams=streams, schemas=schemas)
    told = [
        b'{"NAME":"x","timestamp":1700000000,"a.b":1,"Who":{"first.name":"Ada"},"M":{"KEY":1}}',
        b'{"name":"y","at":"1999-01-01 00:00:00","a_b":2,"who":{"first_name":"Bob"},"m":{"KEY":1,"key":2}}',
    ]
    found = {}
    for name in streams:
        service.put(name, told)
        service.flush(name)
        (body,) = bodies(service.data / "objects/lake", name)
        table = orc.read_table(io.BytesIO(body)) if kind == "OrcSerDe" else pq.read_table(io.BytesIO(body))
        assert table.column_names == ["name", "at", "a_b", "who", "m"]
        table = table.set_column(1, "at", table["at"].cast(pa.timestamp("s")))
        found[name] = table.to_pylist()
    at = datetime.datetime(2023, 11, 14, 22, 13, 20)
    assert found["loose"] == [
        {"name": "x", "at": at, "a_b": 1, "who": {"first_name": "Ada"}, "m": [("key", 1)]},
        {"name": "y", "at": None, "a_b": 2, "who": {"first_name": "Bob"}, "m": [("key", 2)]},
    ]
    assert found["exact"] == [
        {"name": None, "at": None, "a_b": None, "who": None, "m": None},
        {"name": "y", "at": datetime.datetime(1999, 1, 1), "a_b": 2, "who": {"first_name": "Bob"}, "m": [("KEY", 1), ("key", 2)]},
    ]


@pytest.mark.parametrize("kind", ["ParquetSerDe", "OrcSerDe"])
def test_timestamps_are_read_by_the_patterns_of_hive(hydrant, schemas, kind):
    formats = ["yyyy/MM/dd'T'HH:mm:ss.SSS", "dd MMM yyyy hh:mm a Z", "millis"]
    deserializer = {"HiveJsonSerDe": {"TimestampFormats": formats}}
    service = hydrant(streams={"hive": converting("lake", "hive", conversion({kind: {}}, deserializer, "spelled"))}, schemas=schemas)
    cases = {
        '"2024/02/29T03:04:05.678"': datetime.datetime(2024, 2, 29, 3, 4, 5, 678_000),
        '"29 Feb 2024 11:30 PM +0200"': datetime.datetime(2024, 2, 29, 21, 30),
        '"1700000000123"': datetime.datetime(2023, 11, 14, 22, 13, 20, 123_000),
        '"2024-02-29 03:04:05.25"': datetime.datetime(2024, 2, 29, 3, 4, 5, 250_000),
        "null": None,
    }
    bad = [b'{"name":"x","at":"29.02.2024"}', b'{"name":"x","at":[]}', b'{"name":{},"at":null}']
    service.put("hive", [f'{{"Name":"x","AT":{text}}}'.encode() for text in cases] + bad)
    service.flush("hive")
    (body,) = bodies(service.data / "objects/lake", "hive")
    table = orc.read_table(io.BytesIO(body)) if kind == "OrcSerDe" else pq.read_table(io.BytesIO(body))
    assert [value for value in table["at"].cast(pa.timestamp("us")).to_pylist()] == list(cases.values())
    (errors,) = bodies(service.data / "objects/lake", "errors/format-conversion-failed")
    entries = [json.loads(line) for line in errors.splitlines()]
    assert [base64.b64decode(entry["rawData"]) for entry in entries] == bad
