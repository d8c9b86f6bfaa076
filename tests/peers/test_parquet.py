"""Partitioned Parquet as a new user meets it: the demo's and the documentation's own commands, with DuckDB and pyarrow."""

import ast
import collections
import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow.dataset
import pyarrow.parquet
import pytest

from processes import Process, free_port, program

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/parquet.md").read_text()
# DuckDB's command line, as far as `duckdb -c QUERY` goes: the engine is the real one.
DUCKDB = f"""#!{sys.executable}
import sys
import duckdb
_, option, query = sys.argv
assert option == "-c"
print(duckdb.sql(query).fetchall())
"""


@pytest.fixture
def user(tmp_path):
    """The environment of somebody who has installed hydrant and DuckDB, and a clone."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "hydrant").symlink_to(program(os.environ["HYDRANT_BIN"]))
    (folder / "duckdb").write_text(DUCKDB)
    (folder / "duckdb").chmod(0o755)
    (tmp_path / "docker").symlink_to(ROOT / "docker")
    return {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}


def typed(line: str, env: dict, cwd: Path) -> str:
    done = subprocess.run(["bash", "-euc", line], env=env, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{line}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_what_the_demo_says_to_type_works(user, tmp_path):
    told = typed("hydrant demo", user, tmp_path)
    assert "50,000 records in 20 objects: each that was accepted, exactly once, byte for byte" in told
    parts = re.search(r"50,000 records in (\d+) objects: .* in the folder of its country and section", told)
    assert parts and int(parts[1]) == 18, told
    lines = dict(re.findall(r"^(look at them|query them): +(.*)$", told, re.MULTILINE))
    assert typed(lines["look at them"], user, tmp_path).count("\n") == 3
    rows = ast.literal_eval(typed(lines["query them"], user, tmp_path))
    countries, sections = ["BR", "DE", "FR", "IN", "JP", "US"], ["campaigns", "cart", "products"]
    assert [row[:2] for row in rows] == [(country, section) for country in countries for section in sections]
    assert sum(row[2] for row in rows) == 50_000

    shop = pyarrow.dataset.dataset(tmp_path / "hydrant-demo/objects/demo/shop", partitioning="hive").to_table()
    assert sorted(shop["number"].to_pylist()) == list(range(50_000))
    counted = collections.Counter(zip(shop["country"].to_pylist(), shop["section"].to_pylist()))
    assert [(*key, count) for key, count in sorted(counted.items())] == [row[:3] for row in rows]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_from_nothing_to_parquet_is_true(user, tmp_path):
    serve, look, _compose = blocks("sh")
    install, serve = serve.splitlines()
    assert install == "cargo install --locked --path ."
    port = free_port()
    user |= {"HYDRANT_LISTEN": f"127.0.0.1:{port}", "HYDRANT_ENDPOINT": f"http://127.0.0.1:{port}"}
    service = Process("hydrant", ["bash", "-c", f"exec {serve}"], tmp_path / "log", user, tmp_path)
    try:
        service.start()
        service.await_ready(lambda: subprocess.run(["bash", "-c", "hydrant health"], env=user, capture_output=True).returncode == 0)
        told = typed(look.replace(":4573", f":{port}"), user, tmp_path)
    finally:
        service.clear_away()
    assert '"accepted":4' in told and "main delivered    2 records" in told and "errors delivered  1 record" in told
    assert "  device  struct<kind:string,system:string>" in told
    objects = re.findall(r"^hydrant-data/objects/lake/(.*)/[^/]*$", told, re.MULTILINE)
    assert sorted(re.sub(r"\d\d\d\d/\d\d/\d\d", "DAY", folder) for folder in objects) == [
        "errors/format-conversion-failed/DAY", "shop/country=DE/section=cart", "shop/country=FR/section=products",
    ]
    (rows,) = re.findall(r"^\[\(.*\)\]$", told, re.MULTILINE)
    assert "('DE', 'cart', datetime.datetime(2026, 7, 13, 14, 5, 9), '/cart/7', 990)" in rows
    assert "('FR', 'products', datetime.datetime(2026, 7, 13, 14, 5, 10), '/products/17', 1250)" in rows
    shop = tmp_path / "hydrant-data/objects/lake/shop"
    # Folders and columns do not meet, so that every reader takes the whole.
    assert sorted(pyarrow.parquet.read_table(shop)["section"].to_pylist()) == ["cart", "products"]
    query = f"select device.system from read_parquet('{shop}/**/*.parquet', hive_partitioning=true) where country = 'DE'"
    assert duckdb.sql(query).fetchall() == [("iOS",)]


def test_the_folders_of_compose_pass_the_check(user, tmp_path):
    told = typed(
        "hydrant check --streams docker/streams --schemas docker/schemas --modules docker/modules", user, tmp_path
    )
    assert "shop.yaml" in told, told
