"""The values that the example `columnar` writes, as Arrow tables that readers' results can be held against."""

import json
from decimal import Decimal, localcontext
from pathlib import Path

import pyarrow as pa


def schema(unit: str) -> pa.Schema:
    """Of the example's rows, with timestamps of `unit`."""
    text, at = pa.string(), pa.timestamp(unit)
    place = pa.struct([("lat", pa.float64()), ("name", text), ("code", pa.int16())])
    deep = pa.struct([("name", text), ("attributes", pa.map_(text, pa.list_(pa.int64()))), ("at", at)])
    return pa.schema(
        [
            ("id", pa.int64()),
            ("flag", pa.bool_()),
            ("tiny", pa.int8()),
            ("small", pa.int16()),
            ("whole", pa.int32()),
            ("big", pa.int64()),
            ("real", pa.float32()),
            ("exact", pa.float64()),
            ("price", pa.decimal128(10, 2)),
            ("huge", pa.decimal128(38, 10)),
            ("word", text),
            ("kind", text),
            ("letters", text),
            ("title", text),
            ("nothing", text),
            ("raw", pa.binary()),
            ("day", pa.date32()),
            ("moment", at),
            ("tags", pa.list_(text)),
            ("counts", pa.map_(text, pa.int32())),
            ("place", place),
            ("places", pa.map_(pa.int32(), place)),
            ("deep", pa.list_(deep)),
        ]
    )


def expected(ndjson: Path, unit: str) -> pa.Table:
    """What a file of these rows holds, where timestamps are stored in `unit`."""
    rows = [json.loads(line) for line in ndjson.read_text().splitlines()]
    columns = schema(unit)
    arrays = [pa.array([value(row[field.name], field.type) for row in rows], field.type) for field in columns]
    return pa.Table.from_arrays(arrays, schema=columns)


def value(told, kind: pa.DataType):
    if told is None:
        return None
    if pa.types.is_decimal(kind):
        with localcontext(prec=80):
            return Decimal(told).scaleb(-kind.scale)
    if pa.types.is_floating(kind):
        return float(told)
    if pa.types.is_binary(kind):
        return bytes.fromhex(told)
    if pa.types.is_timestamp(kind):
        # Cut off towards the past, as Python's division does.
        return told // {"ns": 1, "us": 1_000}[kind.unit]
    if pa.types.is_map(kind):
        return [(value(key, kind.key_type), value(item, kind.item_type)) for key, item in told]
    if pa.types.is_list(kind):
        return [value(item, kind.value_type) for item in told]
    if pa.types.is_struct(kind):
        return {field.name: value(told[field.name], field.type) for field in kind}
    return told


def same(read: pa.Table, wanted: pa.Table) -> None:
    """Fails where a column has another value, or another type but for the names within lists."""
    assert read.column_names == wanted.column_names
    assert read.num_rows == wanted.num_rows
    for name in wanted.column_names:
        one, other = read[name].combine_chunks(), wanted[name].combine_chunks()
        one = one.cast(other.type)
        # One not-a-number is not equal to another: those columns are written out, which takes longer.
        if not one.equals(other):
            assert repr(one.to_pylist()) == repr(other.to_pylist()), name
