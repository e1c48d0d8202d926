"""The attribute mapping of identity providers, row by row.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-specifying-attribute-mapping.html (W 11.3);
the encoding of several values is that of application/x-www-form-urlencoded (HTML 4.01 17.13.4.1) with the exceptions
that the page lists, written out by hand.
"""

import json
from typing import Any

import pytest

from accounts.attributes import Schema
from accounts.mapping import MappingRefused, merged

SAME_NAMES = ("email", "email_verified", "phone_number", "phone_number_verified", "name", "profile", "address")
IDENTITY = {name: name for name in SAME_NAMES}


def schema(*entries: dict[str, Any]) -> Schema:
    return Schema.parse(list(entries))


def mapped(claims: dict[str, Any], stored: dict[str, str] | None = None, **options: Any) -> dict[str, str]:
    """What becomes of ``stored`` when a user who has it brings ``claims``, each mapped to the attribute of its name."""
    return merged(
        options.pop("mapping", IDENTITY),
        options.pop("schema", schema()),
        options.pop("writable", None),
        stored or {},
        claims,
        new=options.pop("new", False),
    )


def refusal(claims: dict[str, Any], stored: dict[str, str] | None = None, **options: Any) -> MappingRefused:
    with pytest.raises(MappingRefused) as caught:
        mapped(claims, stored, **options)
    return caught.value


def custom(claim: Any, **entry: Any) -> str | None:
    """What ``claim`` becomes in the custom attribute that ``entry`` describes."""
    found = mapped(
        {"claim": claim},
        mapping={"custom:x": "claim"},
        schema=schema({"Name": "custom:x", "Mutable": True} | entry),
    )
    return found.get("custom:x")


# --- required


def test_every_required_attribute_needs_a_value_and_those_that_lack_one_are_named_in_schema_order() -> None:
    required = [{"Name": name, "Required": True} for name in ("family_name", "email", "given_name", "name")]
    refused = refusal({"name": "Ada"}, schema=schema(*required), new=True)
    assert (refused.reason, refused.names) == ("attributes_required", ["given_name", "family_name", "email"])


@pytest.mark.parametrize("claim", [None, "", []])
def test_a_required_attribute_of_a_new_user_is_neither_null_nor_blank(claim: Any) -> None:
    needs_email = schema({"Name": "email", "Required": True})
    assert refusal({"email": claim}, schema=needs_email, new=True).names == ["email"]


def test_a_required_attribute_that_is_stored_need_not_come_again_but_cannot_be_cleared() -> None:
    needs_email = schema({"Name": "email", "Required": True})
    stored = {"email": "ada@example.test"}
    assert mapped({}, stored, schema=needs_email) == stored
    assert mapped({"email": None}, stored, schema=needs_email) == stored
    assert refusal({"email": ""}, stored, schema=needs_email).reason == "attributes_required"


def test_a_required_attribute_without_a_mapping_ends_the_sign_in() -> None:
    refused = refusal({"email": "a@example.test"}, mapping={}, schema=schema({"Name": "email", "Required": True}))
    assert (refused.reason, refused.names) == ("attributes_required", ["email"])


def test_a_required_attribute_that_the_client_may_not_write_ends_the_first_sign_in() -> None:
    needs_email = schema({"Name": "email", "Required": True})
    claims = {"email": "ada@example.test"}
    assert refusal(claims, schema=needs_email, writable=["name"], new=True).names == ["email"]
    assert mapped(claims, schema=needs_email, writable=["email"], new=True)["email"] == "ada@example.test"


def test_the_sub_is_required_and_nobody_has_to_map_it() -> None:
    assert "sub" in schema().required
    assert mapped({"name": "Ada"}, new=True) == {"name": "Ada"}


# --- mutable

BADGE = schema({"Name": "custom:badge", "Mutable": False})


def badge(claim: str | None, stored: str, new: bool = False) -> str | None:
    found = mapped(
        {"badge": claim},
        {"custom:badge": stored} if stored else {},
        mapping={"custom:badge": "badge"},
        schema=BADGE,
        new=new,
    )
    return found.get("custom:badge")


@pytest.mark.parametrize(
    ("claim", "stored", "new", "expected"),
    [("7", "", True, "7"), ("7", "7", False, "7"), (None, "7", False, "7"), (None, "", False, None)],
)
def test_an_immutable_attribute_is_set_when_the_user_is_made_and_then_only_confirmed(
    claim: str | None, stored: str, new: bool, expected: str | None
) -> None:
    assert badge(claim, stored, new) == expected


@pytest.mark.parametrize(("claim", "stored"), [("8", "7"), ("", "7"), ("7", "")])
def test_an_immutable_attribute_of_a_user_who_exists_does_not_change(claim: str, stored: str) -> None:
    with pytest.raises(MappingRefused) as caught:
        badge(claim, stored)
    assert (caught.value.reason, caught.value.names) == ("attribute_immutable", ["custom:badge"])


# --- WriteAttributes


def test_what_the_client_may_not_write_is_passed_over_silently() -> None:
    claims = {"email": "new@example.test", "name": "Ada"}
    assert mapped(claims, {"name": "old"}, writable=["email"])["name"] == "old"
    assert mapped(claims, {"name": "old"}, writable=[]) == {"name": "old"}
    assert mapped(claims, {"name": "old"}, writable=None)["name"] == "Ada"


def test_what_is_passed_over_cannot_end_the_sign_in() -> None:
    assert mapped({"name": "x" * 3000}, {"name": "Ada"}, writable=["email"]) == {"name": "Ada"}
    values = mapped({"b": "8"}, {"custom:badge": "7"}, mapping={"custom:badge": "b"}, schema=BADGE, writable=["email"])
    assert values == {"custom:badge": "7"}


@pytest.mark.parametrize(
    ("writable", "expected"), [(["email"], "true"), (["phone_number"], None), (["email_verified"], None)]
)
def test_a_flag_goes_with_the_attribute_that_it_is_about(writable: list[str], expected: str | None) -> None:
    """UserPoolClientType lists no *_verified among the attributes that a client writes."""
    claims = {"email": "ada@example.test", "email_verified": True}
    assert mapped(claims, writable=writable).get("email_verified") == expected


# --- missing, blank


def test_a_missing_claim_keeps_and_so_does_null() -> None:
    stored = {"name": "Ada", "profile": "p"}
    assert mapped({"name": None}, stored) == stored


@pytest.mark.parametrize("claim", ["", []])
def test_a_blank_claim_clears(claim: Any) -> None:
    assert mapped({"name": claim}, {"name": "Ada", "profile": "p"}) == {"profile": "p"}


def test_a_blank_claim_of_what_was_never_there_stores_nothing() -> None:
    assert mapped({"name": ""}) == {}


@pytest.mark.parametrize("claim", [False, 0, {}])
def test_false_zero_and_an_empty_object_are_values(claim: Any) -> None:
    assert mapped({"name": claim}, {"name": "Ada"})["name"] == json.dumps(claim)


def test_what_is_not_mapped_stays_and_what_was_given_is_not_changed() -> None:
    stored, claims = {"gender": "f", "name": "Ada"}, {"name": "Augusta", "gender": "x"}
    assert mapped(claims, stored, mapping={"name": "name"}) == {"gender": "f", "name": "Augusta"}
    assert stored == {"gender": "f", "name": "Ada"}


# --- several values


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", "b"], "[a,b]"),
        (["one"], "[one]"),
        ([""], "[]"),
        (["", ""], "[,]"),
        (["two words", "b"], "[two+words,b]"),
        (["Doe, Jane", "x"], "[Doe%2C+Jane,x]"),
        (["R&D"], "[R%26D]"),
        (["~user"], "[%7Euser]"),
        (["Zürich", "Ärzte"], "[Z%C3%BCrich,%C3%84rzte]"),
        (["東京"], "[%E6%9D%B1%E4%BA%AC]"),
        (["a.b-c*d_e"], "[a.b-c*d_e]"),
        (["1+1=2", "50%", "a/b", "[x]"], "[1%2B1%3D2,50%25,a%2Fb,%5Bx%5D]"),
        (["cn=ada,ou=users"], "[cn%3Dada%2Cou%3Dusers]"),
        (["line\r\nbreak", "\x00"], "[line%0D%0Abreak,%00]"),
        ([1, 2.5, True, None], "[1,2.5,true,null]"),
        ([["a"], {"b": 1}], "[%5B%22a%22%5D,%7B%22b%22%3A1%7D]"),
    ],
)
def test_several_values_are_one_string_of_form_encoded_values(values: list[Any], expected: str) -> None:
    """ "... flattens the values into a comma-delimited string, and form-URL-encodes all but alphanumerics . - * _"."""
    assert mapped({"profile": values})["profile"] == expected


def test_half_a_surrogate_pair_among_several_values_is_replaced() -> None:
    assert mapped({"profile": ["\ud83d", "b"]})["profile"] == "[%3F,b]"


# --- data types


@pytest.mark.parametrize(
    ("claim", "expected"),
    [(True, "true"), (False, "false"), (7, "7"), (2.5, "2.5"), ({"a": ["ü"]}, '{"a":["ü"]}'), (" x ", " x ")],
)
def test_what_is_no_string_is_kept_as_json(claim: Any, expected: str) -> None:
    assert custom(claim) == expected


@pytest.mark.parametrize(
    ("claim", "expected"),
    [(9, "9"), ("9", "9"), (0, "0"), (-3, "-3"), (1_700_000_000.0, "1700000000"), (10**17, "1" + "0" * 17)],
)
def test_a_number_is_whole(claim: Any, expected: str) -> None:
    assert custom(claim, AttributeDataType="Number") == expected


@pytest.mark.parametrize("claim", ["nine", "9.5", "", [9], {"a": 1}, True, 10**18, 1e300, float("inf"), "٣"])
def test_what_is_no_number_does_not_get_into_one(claim: Any) -> None:
    number = {"Name": "custom:x", "AttributeDataType": "Number", "Mutable": True}
    if claim == "":
        assert custom(claim, AttributeDataType="Number") is None
        return
    refused = refusal({"claim": claim}, mapping={"custom:x": "claim"}, schema=schema(number))
    assert (refused.reason, refused.names) == ("attribute_invalid", ["custom:x"])


@pytest.mark.parametrize(("claim", "good"), [(17, False), (18, True), (99, True), (100, False)])
def test_the_bounds_of_a_number_hold(claim: int, good: bool) -> None:
    bounds = {"AttributeDataType": "Number", "NumberAttributeConstraints": {"MinValue": "18", "MaxValue": "99"}}
    if good:
        assert custom(claim, **bounds) == str(claim)
        return
    with pytest.raises(MappingRefused) as caught:
        custom(claim, **bounds)
    assert "18" in caught.value.words
    assert "99" in caught.value.words


@pytest.mark.parametrize(
    ("claim", "expected"),
    [(True, "true"), ("true", "true"), ("TRUE", "true"), ("True", "true"), (False, "false"), ("yes", "false"),
     (1, "false"), ("1", "false"), (["true"], "[true]"), ("", None)],
)  # fmt: skip
def test_a_boolean_is_true_when_it_says_so(claim: Any, expected: str | None) -> None:
    if isinstance(claim, list):
        with pytest.raises(MappingRefused):
            custom(claim, AttributeDataType="Boolean")
        return
    assert custom(claim, AttributeDataType="Boolean") == expected


def test_a_date_time_is_a_string_of_at_most_2048_characters() -> None:
    assert custom("2026-10-06T12:00:00Z", AttributeDataType="DateTime") == "2026-10-06T12:00:00Z"
    with pytest.raises(MappingRefused):
        custom("2" * 2049, AttributeDataType="DateTime")


@pytest.mark.parametrize(("length", "good"), [(2, False), (3, True), (5, True), (6, False)])
def test_the_lengths_of_a_string_hold(length: int, good: bool) -> None:
    bounds = {"StringAttributeConstraints": {"MinLength": "3", "MaxLength": "5"}}
    if good:
        assert custom("x" * length, **bounds) == "x" * length
        return
    with pytest.raises(MappingRefused) as caught:
        custom("x" * length, **bounds)
    assert caught.value.reason == "attribute_invalid"


@pytest.mark.parametrize(
    ("attribute", "claim"),
    [("email", "no address"), ("phone_number", "555-0100"), ("birthdate", "10.12.1815"), ("updated_at", -1)],
)
def test_the_standard_attributes_have_their_forms(attribute: str, claim: Any) -> None:
    refused = refusal({"c": claim}, mapping={attribute: "c"})
    assert (refused.reason, refused.names) == ("attribute_invalid", [attribute])
    assert refused.words
    assert str(claim) not in refused.words, "the words go to the app: they say the rule and not the value"


# --- length and characters


@pytest.mark.parametrize("character", ["x", "ü", "\U0001f600"])
def test_a_value_has_at_most_2048_characters(character: str) -> None:
    assert len(mapped({"profile": character * 2048})["profile"]) == 2048
    refused = refusal({"profile": character * 2049})
    assert (refused.reason, refused.names) == ("attribute_too_long", ["profile"])


def test_several_values_are_measured_as_the_string_that_they_become() -> None:
    assert len(mapped({"profile": ["x" * 2046]})["profile"]) == 2048
    assert refusal({"profile": ["x" * 2047]}).reason == "attribute_too_long"
    assert refusal({"profile": ["ü" * 400]}).reason == "attribute_too_long"


def test_the_tokens_of_the_provider_fit_into_a_custom_attribute_of_2048() -> None:
    token = {"mapping": {"custom:t": "access_token"}, "schema": schema({"Name": "custom:t", "Mutable": True})}
    assert mapped({"access_token": "t" * 2048}, **token)["custom:t"] == "t" * 2048
    assert refusal({"access_token": "t" * 2049}, **token).reason == "attribute_too_long"


@pytest.mark.parametrize("value", ["a\x00b", "\ud800", "a\udfff", {"a": "\x00\ud800"}])
def test_what_no_database_stores_is_refused(value: Any) -> None:
    """PostgreSQL's text has no U+0000, and half a surrogate pair is no UTF-8 (RFC 3629 3)."""
    refused = refusal({"name": value})
    assert (refused.reason, refused.names) == ("attribute_invalid", ["name"])


# --- verified or not

ADA = {"email": "ada@example.test", "email_verified": "true", "phone_number": "+12065551212",
       "phone_number_verified": "true"}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [("email", "new@example.test"), ("phone_number", "+12065551213")])
def test_an_address_that_changes_is_not_verified_unless_the_provider_says_so(name: str, value: str) -> None:
    flag = f"{name}_verified"
    assert mapped({name: value}, ADA)[flag] == "false"
    assert mapped({name: value, flag: None}, ADA)[flag] == "false"
    assert mapped({name: value, flag: True}, ADA)[flag] == "true"
    assert mapped({name: value, flag: True}, ADA, mapping={name: name})[flag] == "false", "the flag is not mapped"


def test_a_new_address_is_not_verified() -> None:
    assert mapped({"email": "ada@example.test"}, new=True) == {"email": "ada@example.test", "email_verified": "false"}


def test_an_address_that_stays_keeps_its_flag() -> None:
    assert mapped({"email": ADA["email"], "phone_number": ADA["phone_number"]}, ADA) == ADA


def test_the_provider_may_take_its_word_back() -> None:
    assert mapped({"email": ADA["email"], "email_verified": False}, ADA)["email_verified"] == "false"


@pytest.mark.parametrize("claims", [{"email": ""}, {"email": "", "email_verified": True}])
def test_without_an_address_there_is_no_flag(claims: dict[str, Any]) -> None:
    assert not {"email", "email_verified"} & set(mapped(claims, ADA))
    assert mapped({"email_verified": True}) == {}


def test_the_flag_does_not_go_with_another_address_than_the_one_that_came() -> None:
    """A client that may not write the address may not verify it either: the claim is about another one."""
    values = mapped(
        {"email": "new@example.test", "email_verified": True}, ADA | {"email_verified": "false"}, writable=[]
    )
    assert (values["email"], values["email_verified"]) == ("ada@example.test", "false")


@pytest.mark.parametrize("email", [{}, {"email": None}])
@pytest.mark.parametrize("mapping", [IDENTITY, {"email_verified": "email_verified"}])
def test_a_flag_that_comes_alone_verifies_nothing(email: dict[str, Any], mapping: dict[str, str]) -> None:
    """It speaks of the address that the provider knows, which need not be the one that is stored."""
    stored = {"email": "typed-by-hand@example.test", "email_verified": "false"}
    assert mapped({"email_verified": True} | email, stored, mapping=mapping) == stored
    assert (
        mapped(
            {"email": "me@example.test", "email_verified": True}, stored, mapping={"email_verified": "email_verified"}
        )
        == stored
    )


@pytest.mark.parametrize(("claim", "expected"), [(1.0, "1"), (1.9, None), (float("inf"), None), (float("nan"), None)])
def test_a_fraction_is_no_whole_number(claim: float, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(MappingRefused, match="attribute_invalid"):
            custom(claim, AttributeDataType="Number")
    else:
        assert custom(claim, AttributeDataType="Number") == expected


@pytest.mark.parametrize(
    ("claim", "expected"),
    [(True, "true"), ("true", "true"), ("TRUE", "true"), (False, "false"), ("yes", "false"), (1, "false")],
)
def test_email_verified_is_true_or_the_word(claim: Any, expected: str) -> None:
    assert mapped({"email": "ada@example.test", "email_verified": claim})["email_verified"] == expected


# --- names


@pytest.mark.parametrize("name", ["username", "sub", "identities"])
def test_the_pools_own_attributes_are_never_written(name: str) -> None:
    stored = {"identities": "[]", "sub": "s"}
    assert mapped({"claim": "evil", name: "evil"}, stored, mapping={name: "claim"}) == stored


@pytest.mark.parametrize("claim", ["sub", "username", "identities"])
def test_claims_of_these_names_may_fill_other_attributes(claim: str) -> None:
    assert mapped({claim: "u1"}, mapping={"name": claim}) == {"name": "u1"}


def test_a_mapping_to_an_attribute_that_the_schema_lacks_is_passed_over() -> None:
    assert mapped({"x": "1", "name": "Ada"}, mapping={"custom:gone": "x", "name": "name"}) == {"name": "Ada"}


def test_one_claim_may_fill_several_attributes() -> None:
    assert mapped({"n": "Ada"}, mapping={"name": "n", "nickname": "n"}) == {"name": "Ada", "nickname": "Ada"}


def test_an_address_is_its_formatted_text() -> None:
    """OpenID Connect Core 5.1.1: the claim is an object, the attribute one string."""
    assert mapped({"address": {"formatted": "1 Main St\nX", "locality": "X"}})["address"] == "1 Main St\nX"
    assert json.loads(mapped({"address": {"locality": "X"}})["address"]) == {"locality": "X"}
    assert mapped({"address": "1 Main St"})["address"] == "1 Main St"
    assert json.loads(mapped({"name": {"formatted": "Ada"}})["name"]) == {"formatted": "Ada"}
