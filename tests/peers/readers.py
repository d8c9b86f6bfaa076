"""Other people's programs that read what hydrant packed: one for each CompressionFormat."""

import gzip
import io
import re
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

import pytest
from snappy.snappy import HadoopStreamDecompressor

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def read_gzip(packed: bytes) -> bytes:
    """Python's gzip and GNU gzip must agree."""
    told = subprocess.run(["gzip", "-dc"], input=packed, capture_output=True, check=True).stdout
    assert told == gzip.decompress(packed)
    return told


def read_zip(packed: bytes) -> bytes:
    """Python's zipfile and Info-ZIP must agree on one deflated entry named by a UUID."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        (entry,) = archive.infolist()
        assert re.fullmatch(UUID, entry.filename), entry.filename
        assert entry.compress_type == zipfile.ZIP_DEFLATED
        told = archive.read(entry)
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        file.write(packed)
        file.flush()
        assert subprocess.run(["unzip", "-p", file.name], capture_output=True, check=True).stdout == told
    return told


def read_snappy(packed: bytes, peers: Path) -> bytes:
    """snappy-java's own input stream, which would take a bare block too: so the stream's magic is looked at."""
    assert packed.startswith(b"\x82SNAPPY\0"), packed[:16]
    jars = sorted((peers / "snappy").glob("snappy-java-*.jar"))
    if not jars or not shutil.which("java"):
        pytest.fail("snappy-java or java is not installed; tests/peers/run says why", pytrace=False)
    reader = Path(__file__).with_name("SnappyCat.java")
    # Left to itself it takes its musl library where musl's loader is on the machine, as it is after a static build.
    argv = ["java", f"-Dorg.xerial.snappy.lib.path={jars[-1].parent}", "-cp", str(jars[-1]), str(reader)]
    done = subprocess.run(argv, input=packed, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def read_hadoop_snappy(packed: bytes) -> bytes:
    """python-snappy's reader of Hadoop's block stream."""
    reader = HadoopStreamDecompressor()
    told = reader.decompress(packed)
    assert not reader.remains, "the last block is cut short"
    return told


def unpack(compression: str, packed: bytes, peers: Path) -> bytes:
    match compression:
        case "UNCOMPRESSED":
            return packed
        case "GZIP":
            return read_gzip(packed)
        case "ZIP":
            return read_zip(packed)
        case "Snappy":
            return read_snappy(packed, peers)
        case "HADOOP_SNAPPY":
            return read_hadoop_snappy(packed)
    raise AssertionError(compression)
