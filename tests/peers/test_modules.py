"""The example modules, built by their script with the real compilers, tried by `hydrant check`."""

import os
import subprocess

import pytest

from processes import program


@pytest.fixture
def check(peers, tmp_path):
    """`check("apache", lines)`: exit code, results and notes of a module over some records."""

    def check(name: str, lines: bytes) -> tuple[int, list[str], str]:
        module = peers / "modules" / f"{name}.wasm"
        if not module.is_file():
            pytest.fail(f"{module} is not built; tests/peers/run says why", pytrace=False)
        records = tmp_path / "records"
        records.write_bytes(lines)
        argv = [program(os.environ["HYDRANT_BIN"]), "check", "--transform", module, "--records", records]
        # Compiling Go's runtime without optimisation of the compiler takes a while.
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout.splitlines(), done.stderr

    return check


def test_csv_in_go_becomes_json(check):
    code, results, notes = check("csv", b'ada,36\r\n"b ""c""",\n\xc3\xa4\n')
    assert results == [
        '1: ok, 33 bytes: {"column1":"ada","column2":"36"}',
        '2: ok, 35 bytes: {"column1":"b \\"c\\"","column2":""}',
        '3: ok, 17 bytes: {"column1":"ä"}',
        "3 records: 3 ok, 0 dropped, 0 failed",
    ], notes
    assert (code, notes) == (0, "")


def test_csv_in_go_that_cannot_be_read_fails_and_goes_on(check):
    code, results, notes = check("csv", b'"open\na,b\n')
    assert code == 1, notes
    assert results[0].startswith("1: failed, Lambda.ProcessingFailedStatus: ProcessingFailed status set for record: ")
    assert results[1:] == ['2: ok, 30 bytes: {"column1":"a","column2":"b"}', "2 records: 1 ok, 0 dropped, 1 failed"]


def test_an_access_log_becomes_json(check):
    line = b'127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326'
    code, results, notes = check("apache", line + b"\n" + line[1:] + b"\nnonsense\n")
    assert code == 1, notes
    assert results[0].startswith('1: ok, 141 bytes: {"host":"127.0.0.1","authuser":"frank","@timestamp":"2000-10-10T13:55:36-07:00","requ')
    assert results[1].startswith('2: ok, 140 bytes: {"host":"27.0.0.1"')
    failed = "3: failed, Lambda.ProcessingFailedStatus: ProcessingFailed status set for record: "
    assert results[2] == failed + "not a line of an Apache access log"


def test_the_clicks_module_that_is_kept_is_the_one_that_is_built(check, peers):
    code, results, notes = check("clicks", b'{"page":"/cart/7","country":"DE"}\n')
    assert (code, notes) == (0, "")
    assert results[0] == '1: ok, 51 bytes, country=DE, section=cart: {"page":"/cart/7","country":"DE","section":"cart"}'


def test_many_records_through_go_keep_one_instance_alive(check):
    code, results, notes = check("csv", b"".join(b"name %d,%d\n" % (n, n) for n in range(3000)))
    assert results[-1] == "3,000 records: 3000 ok, 0 dropped, 0 failed", notes
    assert code == 0
