"""Parquet and ORC files of every Hive type, read by pyarrow, DuckDB and ORC's own Java reader."""

import json
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest

from columnar import expected, same

ROOT = Path(__file__).resolve().parents[2]
COUNTS = (0, 1, 30_000)
INTEGERS = ("id", "tiny", "small", "whole", "big")
TEXTS = ("word", "kind", "letters", "title")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """What the example `columnar` writes."""
    directory = tmp_path_factory.mktemp("columnar")
    command = ["cargo", "run", "--locked", "--quiet", "--package", "hydrant-transforms", "--example", "columnar", "--"]
    subprocess.run([*command, str(directory)], cwd=ROOT, check=True)
    return directory


@pytest.fixture(scope="module")
def tables(files) -> dict:
    """The values by number of rows and unit of timestamps."""
    return {(count, unit): expected(files / f"rows-{count}.ndjson", unit) for count in COUNTS for unit in ("ns", "us")}


def matching(files: Path, pattern: str, least: int) -> list[Path]:
    found = sorted(files.glob(pattern))
    assert len(found) >= least, found
    return found


def wanted(tables: dict, file: Path) -> pa.Table:
    nanos = file.suffix == ".orc" or "nanos" in file.name
    return tables[int(file.name.split("-")[0]), "ns" if nanos else "us"]


def test_pyarrow_reads_every_parquet_file(files, tables):
    for file in matching(files, "*.parquet", 27):
        same(pq.read_table(file), wanted(tables, file))


def test_duckdb_reads_every_parquet_file(files, tables):
    for file in matching(files, "*.parquet", 27):
        same(duckdb.sql(f"SELECT * FROM read_parquet('{file}')").to_arrow_table(), wanted(tables, file))


def test_pyarrow_reads_every_orc_file(files, tables):
    for file in matching(files, "*.orc", 54):
        same(orc.read_table(file), wanted(tables, file))


def test_files_have_several_row_groups_and_stripes(files):
    for file in matching(files, "30000-*.parquet", 9):
        assert pq.ParquetFile(file).num_row_groups > 1, file.name
    for file in matching(files, "30000-*.orc", 18):
        assert orc.ORCFile(file).nstripes > 1, file.name


def test_parquet_statistics_are_true(files, tables):
    checked = 0
    for file in matching(files, "30000-*.parquet", 9):
        rows, start = wanted(tables, file), 0
        metadata = pq.ParquetFile(file).metadata
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            part = rows.slice(start, group.num_rows)
            start += group.num_rows
            for at in range(group.num_columns):
                column = group.column(at)
                if "." in column.path_in_schema or column.path_in_schema not in (*INTEGERS, *TEXTS, "day", "price", "huge"):
                    continue
                values, told = part[column.path_in_schema], column.statistics
                assert told.null_count == values.null_count
                true = ends(values)
                if column.path_in_schema in TEXTS:
                    # Long ones are cut, towards the outside.
                    assert told.min.encode() <= true[0] and true[1] <= told.max.encode(), (file.name, column.path_in_schema)
                else:
                    assert (told.min, told.max) == true, (file.name, column.path_in_schema)
                checked += 1
        assert start == rows.num_rows
    assert checked > 300


def ends(values: pa.ChunkedArray) -> tuple:
    if pa.types.is_string(values.type):
        values = values.cast(pa.binary())
    told = pc.min_max(values)
    return told["min"].as_py(), told["max"].as_py()


def test_queries_for_one_row_find_it_and_read_one_row_group(files, tables):
    rows = tables[30_000, "us"]
    for file in matching(files, "30000-*.parquet", 9):
        for wanted_id in (0, 1_999, 15_001, 29_999):
            word = rows["word"][wanted_id].as_py()
            found = duckdb.execute(f"SELECT id, word FROM read_parquet('{file}') WHERE id = {wanted_id}").fetchall()
            assert found == [(wanted_id, word)]
            condition = ds.field("id") == wanted_id
            dataset = ds.dataset(file)
            assert dataset.to_table(filter=condition)["word"].to_pylist() == [word]
            (fragment,) = dataset.get_fragments()
            assert len(fragment.subset(condition).row_groups) == 1
    for file in matching(files, "30000-snappy-*.orc", 6):
        found = ds.dataset(file, format="orc").to_table(filter=ds.field("id") == 15_001)
        assert found["word"].to_pylist() == [rows["word"][15_001].as_py()]


@pytest.fixture(scope="module")
def looks(files, peers) -> list[list[str]]:
    """What ORC's own reader says of the files; see OrcLook.java. It compares what it seeks with what it reads."""
    jars = sorted((peers / "orc").glob("orc-tools-*-uber.jar"))
    if not jars or not shutil.which("java"):
        pytest.fail("orc-tools or java is not installed; tests/peers/run says why", pytrace=False)
    names = [files / f"30000-{kind}.orc" for kind in ("none-v11-keyed", "zlib-v12-direct", "snappy-v12-keyed")]
    argv = ["java", "-Duser.timezone=UTC", "-cp", str(jars[-1]), str(Path(__file__).with_name("OrcLook.java")), *map(str, names)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_orcs_own_reader_skips_row_groups_and_finds_rows_where_the_index_says(looks):
    seeks = [look[2:] for look in looks if look[0] == "seek"]
    for column, value, read, found in seeks:
        absent = column == "word" and bytes.fromhex(value).startswith(b"a word not there")
        assert (int(found) == 0) == absent, (column, value)
        if column == "id":
            assert 0 < int(read) <= 1_000 and int(found) == 1
    # Of words that are not there, only a bloom filter can tell: of 30 row groups, one in twenty is taken for having one.
    absent = [int(read) for column, _, read, found in seeks if column == "word" and found == "0"]
    assert len(absent) == 3 * 5
    assert sum(absent) <= len(absent) * 30_000 * 0.15


def test_orcs_own_reader_never_misses_a_row_for_a_bloom_filter(looks):
    # OrcLook.java fails where it does; here, that it has looked, and that filters were of use.
    found = [look[2:] for look in looks if look[0] == "found"]
    read: dict[str, list[int]] = {}
    for column, _, rows in found:
        read.setdefault(column, []).append(int(rows))
    assert len(read) == 11, read
    for column in ("whole", "price", "huge", "title", "day", "moment"):
        assert sum(read[column]) < len(read[column]) * 30_000 * 0.6, column


def test_orc_statistics_are_true(files, looks):
    rows = [json.loads(line) for line in (files / "rows-30000.ndjson").read_text().splitlines()]
    lengths: dict[str, list[int]] = {}
    for look in looks:
        if look[0] == "rows":
            lengths.setdefault(look[1], []).append(int(look[3]))
    assert lengths and all(sum(stripes) == len(rows) for stripes in lengths.values())
    checked = 0
    for file, of, number, column, values, has_null, *told in (look[1:] for look in looks if look[0] == "statistics"):
        start = sum(lengths[file][: int(number)]) if of == "stripe" else 0
        part = rows[start : start + lengths[file][int(number)]] if of == "stripe" else rows
        there = [row[column] for row in part if row[column] is not None]
        assert (int(values), has_null) == (len(there), str(len(there) < len(part)).lower()), (file, of, number, column)
        true = summary(column, there)
        if column == "big" and told[2] == "-":
            true[2] = "-"  # the sum passed 64 bits on the way
        assert told == true, (file, of, number, column)
        checked += 1
    assert checked > 300


def summary(column: str, values: list) -> list[str]:
    """Least, most, and sum, as OrcLook.java prints them; `-` where the type has none."""
    if not values:
        return ["-", "-", "0"]
    if column in INTEGERS:
        return [str(min(values)), str(max(values)), str(sum(values))]
    if column in TEXTS:
        texts = [value.encode() for value in values]
        return [min(texts).hex(), max(texts).hex(), str(sum(map(len, texts)))]
    if column in ("day", "moment"):
        return [str(min(values)), str(max(values)), "-"]
    if column in ("price", "huge"):
        scale = {"price": 2, "huge": 10}[column]
        return [plain(min(map(int, values)), scale), plain(max(map(int, values)), scale), "-"]
    if column == "flag":
        return ["-", "-", str(sum(values))]
    if column == "raw":
        return ["-", "-", str(sum(len(value) // 2 for value in values))]
    if column in ("tags", "counts", "places", "deep"):
        sizes = [len(value) for value in values]
        return [str(min(sizes)), str(max(sizes)), str(sum(sizes))]
    return ["-", "-", "-"]


def plain(unscaled: int, scale: int) -> str:
    text = f"{Decimal(unscaled).scaleb(-scale):f}" if abs(unscaled) < 10**20 else f"{str(unscaled)[:-scale]}.{str(unscaled)[-scale:]}"
    return text.rstrip("0").rstrip(".") if "." in text else text
