"""MetadataExtraction against Debian's jq 1.6: every query of a corpus over every record of another.

What differs on purpose is listed in docs/jq.md; a difference that is not among KNOWN fails.
"""

import json
import os
import subprocess

import pytest

from processes import program

RECORDS = [
    r'{"a":{"b":"x","c":[1,2,{"d":"e"}]},"n":3,"t":"2024-05-06T07:08:09Z","f":1.50,"list":[3,1,2],"s":"Hello, World","u":"é漢😀"}',
    r'{"a":1,"n":-0.0,"t":"nonsense","f":1e-7,"list":[],"s":"","u":"\u00e9\ud83d\ude00"}',
    r'{"a":null,"n":1e1000,"t":null,"list":null,"s":null}',
    r'{}',
    r'{"a":{"b":1},"a":{"b":2},"n":9007199254740993,"n":12345678901234567890}',
    r'{"a":{"b":{"c":"deep"}},"n":100000000000000000000,"f":0.1,"list":["b","a"],"s":"a,b,,c"}',
    r'{"\u0061":{"\u0062":"escaped"},"n":1425599621,"s":"tab\tnul\u0000end","u":"\udc00"}',
    r'{"a":[],"n":true,"t":false,"list":[[1,2],[3,4]],"s":"2015-03-05","f":123456789.125}',
    r'{"a":"text","n":"42","list":{"k":"v","j":"w"},"s":"  padded  ","f":-17}',
    r' { "a" : { "b" : false } , "n" : 0 } ',
    r'{"a":"\ud800"}',
    r'{"a":1,}',
    r'{"a":tru}',
    r'{"a":"control	character"}',
    '{"a":' + "[" * 255 + "]" * 255 + "}",
    '{"a":' + "[" * 256 + "]" * 256 + "}",
]

QUERIES = r"""
.a
.a.b
.a.b.c
.a?
.a.b?
.["a"]
."a"."b"
.n
.f
.t
.u
.s
.list
.list[0]
.list[-1]
.list[1:]
.list[:1]
.list[5]
.list[0][0]
.a|tostring
.n|tostring
.f|tostring
.list|tostring
.|tostring
.n|tojson
.u|tojson
.s|tojson
(.a // "none")
(.a.b // "none")
(.a.b? // "none")
(.missing // .n // 1)
(.n + 1)
(.n - 0.5)
(.n * 3)
(.n / 2)
(.n % 7)
(-.n)
(.s + "!")
(.s * 2)
(.s / ",")
(.s / "," | length)
(.list - [1])
(.list + [9] | length)
(.a * {"z":1} | tojson)
(.n == 3)
(.n > 2)
(.a < .n)
(.s == "")
(.a and .n)
(.a or .n)
(.a | not)
if .n == 3 then "three" else "other" end
if .a then "yes" elif .n then "n" else "no" end
.s[0:4]
.s[2:-1]
.s[-3:]
.u[1:2]
.s|length
.u|length
.u|utf8bytelength
.a|length
.list|length
.n|length
.s|ascii_downcase
.s|ascii_upcase
.s|ltrimstr("He")
.s|rtrimstr("ld")
.n|ltrimstr("x")
.s|startswith("He")
.s|endswith("d")
.s|split(",")|join("-")
.s|split(", *";null)|join("|")
.s|explode|implode
.s|test("l+")
.s|test("HELLO";"i")
.s|sub("l";"L")
.s|gsub("l";"L")
.s|gsub("(?<x>[a-z])";"<\(.x)>")
.s|[match("[a-z]+";"g").string]|join("/")
.s|capture("(?<first>[A-Za-z]+)").first
.s|[scan("[a-z]")]|length
.s|index("l")
.s|rindex("l")
.s|indices("l")|tojson
.u|indices("漢")|tojson
.s|contains("Wor")
.list|contains([1])
.list|inside([1,2,3,4])
.list|index(1)
.list|sort|tojson
.list|add
.list|min
.list|max
.list|first
.list|last
.list|reverse|tojson
.list|map(.)|tojson
.list|unique|tojson
.list|any
.list|all
.list|flatten|tojson
.list|transpose|tojson
.list|to_entries|tojson
.list|keys|tojson
.list|group_by(.)|length
.list|sort_by(-.)|tojson
.list|join(",")
.list|@csv
.list|@tsv
.list|tojson|fromjson|tojson
[.list[]?]|length
[.list[]?|select(. != null)]|length
[.[]]|length
[..]|length
[paths]|length
[leaf_paths]|length
[.[]|numbers]|tojson
[.[]|strings]|length
[.[]|scalars]|length
[.[]|type]|tojson
.a|type
.n|type
keys|tojson
keys_unsorted|tojson
has("a")
.a|has("b")
to_entries|map(.key)|join(",")
with_entries(.value|=tostring)|tojson
with_entries(select(.key=="a"))|tojson
del(.a)|tojson
del(.list[0])|tojson
del(.a,.n)|keys|tojson
(.a.b = 5)|.a|tojson
(.list[4] = 0)|.list|tojson
(.n += 1)|.n
(.n |= 7)|.n
(.x.y.z = 1)|.x|tojson
getpath(["a","b"])
setpath(["a"];1)|.a
delpaths([["a"]])|has("a")
[getpath(["a"],["n"])]|tojson
.n|floor
.n|sqrt
.f|round
.f|ceil
.f|fabs
.n|isnan
.n|isinfinite
.n|isnormal
pow(2;10)
log2
infinite
-infinite
nan|isnan
[nan]|sort|tojson
([1,nan]|min|tojson)
1e17
1.0
100000000000000000000
0.00001
1.5e300
.n|todate
.n|gmtime|tojson
.n|gmtime|mktime
.n|strftime("%Y/%m/%d %H:%M:%S")
.n|strftime("%A %B %j %e %y %p %I %a %b")
.t|fromdate
.t|strptime("%Y-%m-%dT%H:%M:%SZ")|mktime
.t|strptime("%Y-%m-%dT%H:%M:%SZ")|strftime("%d.%m.%Y")
.t|fromdateiso8601|todateiso8601
.s|tonumber
.n|tonumber
"05"|tonumber
@text "\(.n)"
@json "\(.u)"
@html "\(.s)<&'\">"
@uri "\(.u) a/b?c=d&e'"
@sh "\(.s)"
@base64 "\(.u)"
("aGk="|@base64d)
"\(.n)-\(.s)"
"\(.a)"
try error("x") catch .
try (.a.b.c|error) catch "caught"
(try error({"m":1}) catch .m)
.a as $x|$x|tostring
. as {n:$n,s:$s}|"\($n)\($s)"
.list as [$first]|$first
reduce .list[]? as $x (0; . + 1)
[foreach (1,2,3) as $x (0; . + $x)]|tojson
[range(5)]|tojson
[range(0;1;0.3)]|tojson
[range(5;0;-2)]|tojson
[limit(2;.list[]?)]|tojson
first(range(3;9))
[.list[]?]|first
nth(1;range(9))
isempty(empty)
[label $out|1,2,break $out,3]|tojson
[while(length < 20; . + {"\(length)":1})]|length
[until(length > 20; . + {"\(length)":1})]|length
[recurse(if type == "object" then .a else empty end)]|length
[splits("a";"b")]?|tojson
def f(x): x * 2; f(21)
def f($x; $y): $x + $y; f(1;2)
walk(if type == "number" then 0 else . end)|tojson
[.list|.[]?|tostring]|join("")
{(.s // "k" | tostring): 1}|tojson
{"a b":1, c:2}|tojson
{a:1} + {b:2} | tojson
{b:1,a:2} == {a:2,b:1}
([] < {})|tostring
([{},[],"",0,true,false,null]|sort|tojson)
input_line_number?
env.HOME
now
.a,.n
empty
ascii(65)
[1,[2,[3]]]|flatten(1)|tojson
[1,2,1,2]|indices([1,2])|tojson
[1,2,3]|bsearch(2)
"x" * 0
"ab" * 1.5
[3,1,2]|min_by(-.)
[{"k":1},{"k":2}]|max_by(.k)|.k
[{"name":"a","value":1}]|from_entries|tojson
IN(.n;3,4)
INDEX(.list[]?;.)|length
tojson|test("a")
ltrimstr("x")|tojson
splits("x")
.a|objects|tojson
.a|values|tojson
@json
combinations?
input
$ENV.HOME
$__loc__|tojson
del(.list[0,1])|tojson
del(.list[0],.list[-1])|tojson
del(.list[:1],.list[1:])|tojson
del(.list[1:])|tojson
del(.a,.s,.list[]?)|tojson
del(.a.b.c,.a.b)|tojson
delpaths([["list",0],["list",1],["zz","y"]])|tojson
delpaths([paths])|tojson
del(..)|tojson
del(.[])|tojson
.list|.[1.7]?,.[0]?|tojson
[1,2,3]|.[1.7],.[0]|tojson
[1,2,3]|[.[1.7],.[0.5]]|tojson
[[1,2,3]|del(.[0,2])]|tojson
3.7|gamma|. * 1000|floor
[.s,.n,.list]|reverse|tojson
""|reverse|tojson
{}|reverse|tojson
null|join("-")
[]|join("-")|length
null|indices([1,2])|tojson
null|indices(1)|tojson
[3,1,2]|(.[] |= empty)|tojson
-1.5|todate
[""|combinations]|tojson
{"a":1}|indices(",")|tojson
"10"|scalb(.;2)
builtins|length
limit(0;1)
""|ascii_downcase
"A"|ascii
halt
""".strip().split("\n")

# Queries whose keys differ for some record, and why.
NOT_OF_THE_RECORD = "sees something beside the record: refused"
KNOWN = {
    "(.n % 7)": "jq takes numbers past 64 bits for the smallest of them, hydrant for the nearest",
    '@html "\\(.s)<&\'\\">"': "jq writes a NUL as two characters",
    '@sh "\\(.s)"': "jq writes a NUL as two characters",
    'try (.a.b.c|error) catch "caught"': "an error of null cannot be caught in jq",
    "limit(0;1)": "jq gives one result",
    "[3,1,2]|(.[] |= empty)|tojson": "jq leaves out every second element",
    "-1.5|todate": "jq counts seconds before 1970 from the other side",
    '[""|combinations]|tojson': "jq takes what has no length for an empty array",
    '{"a":1}|indices(",")|tojson': "jq gives null",
    '"10"|scalb(.;2)': "not an error",
    "builtins|length": "not there",
    "[1,2,3]|bsearch(2)": "not there",
    "input_line_number?": NOT_OF_THE_RECORD,
    "env.HOME": NOT_OF_THE_RECORD,
    "$ENV.HOME": NOT_OF_THE_RECORD,
    "now": NOT_OF_THE_RECORD,
    "$__loc__|tojson": NOT_OF_THE_RECORD,
}


COMPILE_ERROR = 3

# One run of jq for all records, since it takes long to start. An error of null ends the generator without a trace, so results
# are collected; an error behind a result makes two of them.
JUDGE = """
(try fromjson catch null) | if type != "object" then [] else [try ({k: (%s)}) catch "failed"] end
"""


def judged(query: str, records: list[str]) -> list[str | None]:
    """What AWS's rules make of jq's answers: the key's text, or None where the record fails."""
    lines = "\n".join(records) + "\n"
    done = subprocess.run(["jq", "-R", "-c", JUDGE % query], input=lines.encode(), capture_output=True, timeout=60)
    answers = [key(line) for line in done.stdout.decode().splitlines()]
    if len(answers) == len(records):
        return answers
    if done.returncode == COMPILE_ERROR or len(records) == 1:
        return [None] * len(records)
    # It ended at one of the records: some are too much for it (`1e1000 | todate`).
    return [answer for record in records for answer in judged(query, [record])]


def key(line: str) -> str | None:
    # Python reads no double as jq wrote it, so numbers are taken as text.
    results = json.loads(line, parse_int=Number, parse_float=Number)
    if len(results) != 1 or not isinstance(results[0], dict):
        return None
    value = results[0]["k"]
    if value is None or value == "" or isinstance(value, (list, dict)):
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


class Number(str):
    """A number as it stands in JSON."""


def told(query: str) -> list[str | None]:
    binary = program(os.environ["HYDRANT_EXTRACT"])
    lines = "\n".join(RECORDS) + "\n"
    done = subprocess.run([binary, f"{{k: ({query})}}", "k"], input=lines.encode(), capture_output=True, timeout=60)
    if done.returncode == 2:
        return [None] * len(RECORDS)
    assert done.returncode == 0, done.stderr.decode()
    answers = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert len(answers) == len(RECORDS)
    return [answer[0] if isinstance(answer, list) else None for answer in answers]


@pytest.mark.parametrize("query", QUERIES)
def test_keys_are_those_of_jq(query):
    differing = [
        f"{record[:80]}: jq {theirs!r}, hydrant {ours!r}"
        for record, theirs, ours in zip(RECORDS, judged(query, RECORDS), told(query), strict=True)
        if theirs != ours
    ]
    if query in KNOWN:
        assert differing, f"{query} no longer differs: take it from the list, and from docs/jq.md"
    else:
        assert not differing, "\n".join([query, *differing])


def test_the_judge_is_jq_1_6():
    assert subprocess.run(["jq", "--version"], capture_output=True, text=True).stdout.strip() == "jq-1.6"
