"""Files of users, before anything is stored: Cognito's CSV and JSON.

CSV: https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-using-import-tool-csv-header.html
JSON: UserType, as ListUsers prints it (W 17.9).
"""

import io
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accounts.models import UserPool
from accounts.poolfile.problems import Refused
from accounts.userimport import csv_format, json_format, rows
from accounts.userimport.rows import Row

# the sample response of GetCSVHeader on the page, and its example file for a pool without custom attributes
HEADER = [
    "name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
    "website", "email", "email_verified", "gender", "birthdate", "zoneinfo", "locale", "phone_number",
    "phone_number_verified", "address", "updated_at", "cognito:mfa_enabled", "cognito:username",
]  # fmt: skip
EXAMPLE = (
    "cognito:username,name,given_name,family_name,middle_name,nickname,preferred_username,profile,picture,website,"
    "email,email_verified,gender,birthdate,zoneinfo,locale,phone_number,phone_number_verified,address,updated_at,"
    "cognito:mfa_enabled\n"
    "John,,John,Doe,,,,,,,johndoe@example.com,TRUE,,02/01/1985,,,+12345550100,TRUE,123 Any Street,,FALSE\n"
    "Jane,,Jane,Roe,,,,,,,janeroe@example.com,TRUE,,01/01/1985,,,+12345550199,TRUE,100 Main Street,,TRUE\n"
)


@pytest.fixture
def pool() -> UserPool:
    """A pool that verifies e-mail addresses and has a custom attribute less than the pools of real life."""
    return UserPool(id="eu-west-1_Test00001", name="test", auto_verified_attributes=["email"])


def read_csv(text: str | bytes, pool: UserPool) -> list[Row]:
    data = text.encode() if isinstance(text, str) else text
    return list(csv_format.rows(io.BytesIO(data), pool))


def read_json(text: str | bytes) -> list[Row]:
    return list(json_format.rows(io.BytesIO(text.encode() if isinstance(text, str) else text)))


def one_line(pool: UserPool, **cells: str) -> Row:
    """The row of a user with a verified address and these cells; underscores of a keyword stand for colons."""
    columns = csv_format.header(pool)
    usual = {"cognito:username": "ada", "cognito:mfa_enabled": "false", "email": "a@b.test", "email_verified": "true"}
    values = usual | {name.replace("__", ":"): value for name, value in cells.items()}
    extra = [name for name in values if name not in columns]
    columns = [*columns, *extra]
    text = ",".join(columns) + "\n" + ",".join(values.get(name, "") for name in columns) + "\n"
    (row,) = read_csv(text, pool)
    return row


def attributes(row: Row) -> dict[str, str]:
    assert row.data is not None, row.reason
    return {one["Name"]: one["Value"] for one in row.data["Attributes"]}


def test_the_header_is_that_of_get_csv_header_with_custom_attributes_before_the_last_two(pool: UserPool) -> None:
    assert csv_format.header(pool) == HEADER
    pool.schema_attributes = [{"Name": "custom:tier"}]
    del pool.__dict__["schema"]
    assert csv_format.header(pool) == [*HEADER[:-2], "custom:tier", *HEADER[-2:]]


def test_the_example_of_the_page_is_read(pool: UserPool) -> None:
    john, jane = read_csv(EXAMPLE, pool)
    assert (john.line, jane.line) == (2, 3)
    assert john.data is not None
    assert (john.data["Username"], john.data["UserStatus"]) == ("John", "RESET_REQUIRED")
    assert attributes(john) == {
        "given_name": "John", "family_name": "Doe", "email": "johndoe@example.com", "email_verified": "true",
        "birthdate": "1985-02-01", "phone_number": "+12345550100", "phone_number_verified": "true",
        "address": "123 Any Street",
    }  # fmt: skip
    assert "MFAOptions" not in john.data
    assert jane.data is not None
    assert jane.data["MFAOptions"] == [{"DeliveryMedium": "SMS", "AttributeName": "phone_number"}]


@pytest.mark.parametrize(
    "dress",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: "\n".join(",".join(f'"{c}"' for c in line.split(",")) for line in text.strip().split("\n")),
        lambda text: text.replace(",", " , "),
    ],
)
def test_dressed_otherwise_it_is_the_same(pool: UserPool, dress: Any) -> None:
    assert [row.data for row in read_csv(dress(EXAMPLE), pool)] == [row.data for row in read_csv(EXAMPLE, pool)]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (r"Doe\, John", "Doe, John"),
        ('"Doe, John"', "Doe, John"),
        ('"say ""so"""', 'say "so"'),
        (r"C:\dir", r"C:\dir"),
        (r"ends\\", "ends\\"),
        ('5" pipe', '5" pipe'),
        ('"two\r\nlines"', "two\r\nlines"),
        ("  around  ", "around"),
        ("=1+1", "=1+1"),
        ("Zoë 🦊", "Zoë 🦊"),
    ],
)
def test_commas_backslashes_and_quotation_marks(pool: UserPool, cell: str, value: str) -> None:
    assert attributes(one_line(pool, name=cell))["name"] == value


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"cognito__username": ""}, "cognito:username is required"),
        ({"cognito__mfa_enabled": ""}, "cognito:mfa_enabled must be true or false"),
        ({"cognito__mfa_enabled": "yes"}, "cognito:mfa_enabled must be true or false"),
        ({"email_verified": "1"}, "email_verified must be true or false"),
        ({"email_verified": "false"}, "email_verified must be true: the pool verifies it"),
        ({"email_verified": ""}, "email_verified must be true: the pool verifies it"),
        ({"email": ""}, "email is required, for email_verified is true"),
        ({"phone_number_verified": "TRUE"}, "phone_number is required"),
        ({"birthdate": "1.2.1985"}, "birthdate must be mm/dd/yyyy"),
        ({"name": "a,b"}, "22 cells where the header has 21"),
        ({"name": '"a"b'}, "Not CSV"),
        ({"name": "x" * 140_000}, "Not CSV: field larger"),
        ({"name": "x" * 1_000_000}, "longer than 200,000 characters"),
    ],
)
def test_a_bad_line_is_refused_alone_in_words(pool: UserPool, cells: dict[str, str], words: str) -> None:
    refused = one_line(pool, **cells)
    assert refused.data is None
    assert words in refused.reason
    good = EXAMPLE + ",".join(["Bad"] * 3) + "\n" + EXAMPLE.splitlines()[1].replace("John", "Jim") + "\n"
    assert [row.data is not None for row in read_csv(good, pool)] == [True, True, False, True]


def test_one_of_several_auto_verified_attributes_is_enough(pool: UserPool) -> None:
    pool.auto_verified_attributes = ["email", "phone_number"]
    assert one_line(pool, email_verified="", phone_number="+12065551212", phone_number_verified="true").data
    pool.auto_verified_attributes = []
    assert one_line(pool, email_verified="").data


def test_a_hash_in_a_column_of_its_own_confirms_the_user(pool: UserPool) -> None:
    row = one_line(pool, cognito__password_hash=r"$argon2id$v=19$m=19456\,t=2\,p=1$c2FsdHNhbHQ$" + "A" * 43)
    assert row.data is not None
    assert row.data["UserStatus"] == "CONFIRMED"
    assert row.data["PasswordHash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    empty = one_line(pool, cognito__password_hash="")
    assert empty.data is not None
    assert empty.data["UserStatus"] == "RESET_REQUIRED"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "The file is empty"),
        (b"\n \n", "The file is empty"),
        (",".join(HEADER[:-1]).encode(), "Columns are missing: cognito:username"),
        (",".join([*HEADER, "custom:none"]).encode(), "no attribute for the columns custom:none"),
        (",".join([*HEADER, "name"]).encode(), "Columns stand there twice: name"),
        (b"john;doe", "Columns are missing"),
        (EXAMPLE.encode("utf-16"), "not UTF-8"),
        (EXAMPLE.encode() + b"\xff\xfe", "not UTF-8"),
        (b"PK\x03\x04\x00\x00\x00\x00\x99\x88", "not UTF-8"),
        (EXAMPLE.encode() + b'"never closed', "Line 4: a quotation mark is opened and never closed"),
        (EXAMPLE.encode() + b'"never closed' + b"\nx" * 150_000, "Line 4: a quotation mark is opened"),
    ],
)
def test_a_file_that_is_not_the_pools_csv_is_refused_whole(pool: UserPool, data: bytes, words: str) -> None:
    with pytest.raises(Refused, match=words):
        read_csv(data, pool)


def test_a_file_that_is_too_large_is_not_read(pool: UserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_BYTES", 100)
    with pytest.raises(Refused, match="larger than"):
        read_csv(EXAMPLE, pool)


@example("\\,")
@example("ends\\")
@example('\\"\n,""')
@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from(',\\"\n\r=x') | st.characters(exclude_categories=["Cs"]), max_size=40))
def test_what_is_written_is_read_again(value: str) -> None:
    """Whatever stands in an attribute, but for the white space around it, which Cognito cuts off."""
    pool = UserPool(id="eu-west-1_Test00001", name="test")
    user = {"Username": "ada", "Attributes": {"name": value, "address": value}}
    columns = csv_format.header(pool)
    text = csv_format.line(columns) + csv_format.line(csv_format.to_cells(columns, user))
    (row,) = read_csv(text, pool)
    expected = value.strip()
    assert attributes(row) == ({"name": expected, "address": expected} if expected else {})


# --- JSON

ADA = {"Username": "ada", "Attributes": [{"Name": "email", "Value": "ada@example.test"}]}
BOB = {"Username": "bob", "Enabled": True}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([ADA, BOB]),
        json.dumps([ADA, BOB], indent=4),
        "\ufeff" + json.dumps([ADA, BOB]),
        f"{json.dumps(ADA)}\n{json.dumps(BOB)}\n",
        f"{json.dumps(ADA)}\r\n\r\n{json.dumps(BOB)}",
        f"{json.dumps(ADA, indent=2)}\n{json.dumps(BOB, indent=2)}",
        json.dumps({"Users": [ADA, BOB]}),
        json.dumps({"Users": [ADA, BOB], "PaginationToken": "CAIS..."}, indent=2),
        json.dumps({"PaginationToken": None, "Users": [ADA, BOB]}),
        json.dumps({"Users": [ADA], "PaginationToken": "x"}) + json.dumps({"Users": []}) + json.dumps({"Users": [BOB]}),
        json.dumps([{"User": ADA}, {"User": BOB}]),
    ],
)
def test_json_in_each_of_its_forms(text: str) -> None:
    found = read_json(text)
    assert [row.data for row in found] == [ADA, BOB]
    assert [(row.line, row.username) for row in found] == [(1, "ada"), (2, "bob")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{broken}", "Not JSON: Expecting property name"),
        ('"ada"', "Not an object"),
        ("nonsense", "Not JSON"),
        ('{"Username": "ada", "Username": "eve"}', "given twice"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": ' + "9" * 5000 + "}", "too large or nested"),
        ('{"a": ' + "[" * 20_000 + "]" * 20_000 + "}", "too large or nested"),
        ('{"Username": "' + "x" * 2_000_000 + '"}', "more than 200,000 characters"),
        ('{"Username": "' + "x" * 300_000 + '"}', "more than 200,000 characters"),
    ],
)
def test_of_one_object_a_line_a_broken_line_is_refused_alone(line: str, words: str) -> None:
    first, bad, last = read_json(f"{json.dumps(ADA)}\n{line}\n{json.dumps(BOB)}\n")
    assert (first.data, last.data) == (ADA, BOB)
    assert bad.data is None
    assert words in bad.reason


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        '[{"Username": "ada"}',
        '[{"Username": "ada"} {"Username": "bob"}]',
        '[{"Username": "ada"},]',
        '[{"Username": NaN}]',
        "[" * 100_000,
        '{"Users": [{"Username": "ada"}], "Groups": []}',
        '[{"Username": "' + "x" * 2_000_000,
        b'[{"Username": "\xff"}]',
    ],
)
def test_a_broken_array_is_refused_whole(text: str | bytes) -> None:
    with pytest.raises(Refused):
        read_json(text)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
)


@settings(max_examples=20, deadline=None)
@given(st.lists(_VALUES, max_size=5), st.sampled_from([None, 2]))
def test_an_array_of_anything_is_read_row_by_row(values: list[Any], indent: int | None) -> None:
    found = read_json(json.dumps(values, indent=indent))
    assert [row.data for row in found] == [value if isinstance(value, dict) else None for value in values]
