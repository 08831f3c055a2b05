"""What a data source reads: CSV by schema, splits, and SQL queries."""

from __future__ import annotations

import json
import math
import sqlite3
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from amazon_ml_local.learning import DataSource, LearningError, make_table, read_table, validate_schema, write_rows
from amazon_ml_local.storage import MemoryStorage
from tests.helpers.schemas import schema_text
from tests.helpers.tables import URI, cells, table

ATTRIBUTES = {"id": "CATEGORICAL", "age": "NUMERIC", "note": "TEXT", "y": "BINARY"}


def test_both_spellings_of_a_schema_mean_the_same() -> None:
    """The older member names, which AWS's API documents still show, give the same schema."""
    new = schema_text({"a": "NUMERIC", "b": "TEXT", "c": "BINARY", "w": "NUMERIC"}, rowId="b", rowWeight="w",
                      targetAttributeName="c", excludedAttributeNames=["a"], dataFileContainsHeader=True)  # fmt: skip
    old = (
        new.replace("rowId", "recordAnnotationFieldName")
        .replace("rowWeight", "recordWeightFieldName")
        .replace("targetAttributeName", "targetFieldName")
        .replace("excludedAttributeNames", "excludedVariableNames")
        .replace("attributes", "variables")
        .replace("attributeName", "fieldName")
        .replace("attributeType", "fieldType")
    )
    read = [
        read_table({"location_s3": URI, "schema": text}, MemoryStorage({URI: b"h,h,h,h\n1,2,3,4"}))
        for text in (new, old)
    ]
    assert read[0].schema == read[1].schema
    assert read[0].schema.inputs == {}
    assert cells(read[0]) == [["1", "2", "3", "4"]]


def test_values_are_read_by_line_and_quote() -> None:
    """Quotes protect commas and quotes; blank lines, a byte order mark and either line end are no matter."""
    text = '\ufeff1,30,"a, ""b""",1\r\n\r\n   \n2,,plain,0\n'
    assert cells(table(text, ATTRIBUTES)) == [["1", "30", 'a, "b"', "1"], ["2", "", "plain", "0"]]


@pytest.mark.parametrize("text", ["\n\na,b\n1,2\n", "a,b\n\n1,2"])
def test_the_header_is_the_first_line_that_is_not_blank(text: str) -> None:
    """A header is skipped where the schema says that there is one."""
    assert cells(table(text, {"a": "TEXT", "b": "TEXT"}, dataFileContainsHeader=True)) == [["1", "2"]]


def test_numbers_are_read_and_all_else_is_missing() -> None:
    """What shows no finite number is missing: blank, words, infinities, and Python's own spellings."""
    values = ["1", " -2.5 ", "1e3", "", "x", "nan", "inf", "1_000", "1e300", "+4", "1.2.3", "9" * 400]
    read = table("\n".join(f"{value},t" for value in values), {"a": "NUMERIC", "b": "TEXT"}).numbers("a")
    expected = [1, -2.5, 1000, *[math.nan] * 6, 4, math.nan, math.nan]
    assert list(read) == pytest.approx(expected, nan_ok=True)


def test_a_few_unreadable_records_are_set_aside() -> None:
    """Up to a tenth of the records may be ragged or have a broken quote; they keep their place as empty rows."""
    lines = [f"{n},1,t,1" for n in range(30)]
    lines[3], lines[7], lines[9] = "3,1", '7,"1,t,1', "9,1,t,1,extra"
    read = table("\n".join(lines), ATTRIBUTES)
    assert read.unreadable == [3, 7, 9]
    assert len(read) == 27


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            b"1,2,t,1\n1,2\n",
            "s3://bucket/in/data.csv, line 2: 2 values where the schema has 4 attributes. 1 of 2 records",
        ),
        (b'1,2,"t,1\n', "s3://bucket/in/data.csv, line 1: a broken quote. 1 of 1 records"),
        (b"1,2,t,1\n1,2,\xff,1\n", "s3://bucket/in/data.csv, line 2: not UTF-8 text"),
        (b"\n\n", "No record in s3://bucket/in/data.csv"),
    ],
)
def test_a_bad_file_says_where(body: bytes, message: str) -> None:
    """The message names file and line, and what is wrong there."""
    with pytest.raises(LearningError) as error:
        read_table({"location_s3": URI, "schema": schema_text(ATTRIBUTES)}, MemoryStorage({URI: body}))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "has 0 attributes"),
        ('{"attributes": {}}', "attributes in the data schema must be a list"),
        ('{"attributes": [1]}', "Attribute 1 of the data schema is not a JSON object"),
        ('{"attributes": [{"attributeType": "TEXT"}]}', "Attribute 1 of the data schema has no attributeName"),
        (
            schema_text({"a": "NUMBER"}),
            "Attribute 'a' of the data schema has attributeType 'NUMBER'; use one of BINARY",
        ),
        (schema_text({"a": "TEXT"}, targetAttributeName="b"), "targetAttributeName in the data schema names 'b'"),
        (
            schema_text({"a": "TEXT"}, excludedAttributeNames=["b"]),
            "excludedAttributeNames in the data schema names 'b'",
        ),
        (schema_text({"a": "TEXT"}, rowId=3), "rowId in the data schema must be a string"),
        (schema_text({"a": "TEXT"}, dataFormat="JSON"), "only CSV is known"),
        (json.dumps({"attributes": [{"attributeName": "a", "attributeType": "TEXT"}] * 2}), "'a' twice"),
        (schema_text({f"a{n}": "TEXT" for n in range(1001)}), "has 1001 attributes"),
    ],
)
def test_a_bad_schema_says_what_is_wrong(text: Any, message: str) -> None:
    """Every mistake in a schema is named."""
    with pytest.raises(ValueError, match=message):
        validate_schema(text)


def rows(**split: object) -> list[str]:
    """Return the first values of the hundred rows that a split takes."""
    return [row[0] for row in cells(table("\n".join(map(str, range(100))), {"a": "NUMERIC"}, split))]


@pytest.mark.parametrize(
    "strategy",
    [{}, {"strategy": "random", "randomSeed": "s"}, {"strategy": "random", "strategyParams": {"randomSeed": "s"}}],
)
def test_a_split_and_its_complement_share_the_rows(strategy: dict[str, Any]) -> None:
    """The two parts have every row once, in order; the complement may be a boolean or a string."""
    part = rows(percentBegin=0, percentEnd=70, **strategy)
    for complement in (True, "true"):
        rest = rows(percentBegin=0, percentEnd=70, complement=complement, **strategy)
        assert sorted(part + rest, key=int) == [str(n) for n in range(100)]
        assert all(int(a) < int(b) for found in (part, rest) for a, b in pairwise(found))
    assert rows(percentBegin=70, percentEnd=100, **strategy) == rest
    assert 55 <= len(part) <= 85


def test_a_sequential_split_takes_rows_by_place() -> None:
    """Without a strategy the rows from percentBegin to percentEnd are taken."""
    assert rows(percentBegin=10, percentEnd=13) == ["10", "11", "12"]
    assert rows() == [str(n) for n in range(100)]


def test_the_seed_decides_a_random_split() -> None:
    """One seed, one split, wherever the seed stands; another seed, another split."""
    random = {"percentEnd": 50, "strategy": "random"}
    assert rows(randomSeed="a", **random) == rows(strategyParams={"randomSeed": "a"}, **random)
    assert rows(randomSeed="a", **random) != rows(randomSeed="b", **random)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"percentBegin": 70, "percentEnd": 10}, "percentBegin 70 is above percentEnd 10"),
        ({"percentEnd": 101}, "percentEnd must be a whole number from 0 to 100"),
        ({"percentBegin": "many"}, "percentBegin must be a whole number from 0 to 100"),
        ({"strategy": "best"}, "strategy 'best' is neither"),
        ({"complement": "perhaps"}, "complement must be true or false"),
        ({"percentage": 3}, "unknown members: percentage"),
    ],
)
def test_a_bad_split_says_what_is_wrong(split: dict[str, Any], message: str) -> None:
    """Every mistake in DataRearrangement is named."""
    with pytest.raises(LearningError, match=message):
        rows(**split)


def test_a_folder_is_read_file_by_file() -> None:
    """All files under a folder are one data source; the rows of each are known, the schema file beside them is none."""
    storage = MemoryStorage(
        {
            "s3://b/in/1.csv": b"h\n1\n2\n",
            "s3://b/in/2.csv": b"h\n3\n",
            "s3://b/in/.schema": b"{}",
            "s3://b/inside.csv": b"h\n9\n",
            "s3://b/s.json": schema_text({"a": "NUMERIC"}, dataFileContainsHeader=True).encode(),
        }
    )
    for location in ("s3://b/in/", "s3://b/in"):
        read = read_table({"location_s3": location, "schema_location_s3": "s3://b/s.json"}, storage)
        assert cells(read) == [["1"], ["2"], ["3"]]
        assert [(file.uri, file.first, file.last) for file in read.files] == [
            ("s3://b/in/1.csv", 0, 2),
            ("s3://b/in/2.csv", 2, 3),
        ]
        assert (read.number_of_files, read.size_in_bytes) == (2, 10)


def test_a_file_without_a_last_line_end_has_the_size_of_its_bytes() -> None:
    """The line end that is added for reading is not counted, so the next file's offsets are right too."""
    read = table("1\n2", {"a": "NUMERIC"})
    assert (cells(read), read.size_in_bytes) == ([["1"], ["2"]], 3)


def test_missing_data_and_missing_schema_are_told_apart() -> None:
    """The message names the object that is not there."""
    with pytest.raises(LearningError, match="No data file at s3://b/nothing"):
        read_table({"location_s3": "s3://b/nothing", "schema": schema_text({"a": "TEXT"})}, MemoryStorage())
    with pytest.raises(LearningError, match="data schema cannot be read. No object at s3://b/s"):
        read_table({"location_s3": URI, "schema_location_s3": "s3://b/s"}, MemoryStorage({URI: b"1"}))


def test_a_query_gives_the_same_rows_as_a_file(tmp_path: Path) -> None:
    """Values come in the schema's order, NULL is missing, and % and : in the query are its own."""
    path = tmp_path / "db.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("create table t (id int, age real, note text, y int)")
        database.executemany(
            "insert into t values (?, ?, ?, ?)", [(1, 30.5, 'two\nlines, "x"', 1), (2, None, "12:30 5%", 0)]
        )
    rows = BytesIO()
    write_rows(f"sqlite:///{path}", "select * from t where note not like '%:zz%' order by id", rows)
    rows.seek(0)
    source: DataSource = {"schema": schema_text(ATTRIBUTES, dataFileContainsHeader=True)}
    assert cells(make_table({URI: rows}, source, has_header=False)) == [
        ["1", "30.5", 'two lines, "x"', "1"],
        ["2", "", "12:30 5%", "0"],
    ]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "The sqlite database None did not answer the data source's query: no such table: t"),
        ("not a url geheim", "not mapped to an SQLAlchemy URL"),
        ("postgresql+nothing://user:geheim@host/db", "Can't load plugin"),
        (
            "sqlite://user:geheim@/nowhere/geheim.db",
            "did not answer the data source's query: unable to open database file",
        ),
    ],
)
def test_a_query_that_fails_tells_no_password(url: str, message: str) -> None:
    """The message says what the database said, and never the password."""
    with pytest.raises(LearningError) as error:
        write_rows(url, "select * from t", BytesIO())
    assert message in str(error.value)
    assert "geheim" not in str(error.value)
    assert error.value.__cause__ is None
