"""Identity providers and federated sign-ins in the console: what to register, what to map, the test, the attempts.

The redirect URI: https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-social-idp.html (W 7.1).
Claims: OpenID Connect Core 1.0 5.1, and the providers' own pages that accounts/provider_claims.py names.
"""

import ast
import html
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts import event_words, provider_claims, throttling
from accounts.authentication import Refusal
from accounts.models import AuditEvent, AuthEvent, IdentityProvider, PoolUser, ProviderDocument, UserPool
from accounts.models.events import Outcome
from accounts.pauses import Lost
from accounts.provider_examination import Finding, Verdict
from federation import errors
from federation.federated import UNKNOWN_PAGES
from federation.oauth2 import server
from federation.upstream import documents, fetching
from tests import console, factories
from tests.fakes.oidc import OidcIdp
from tests.fakes.server import Reply

ROOT = Path(__file__).resolve().parents[2]
POOL = "eu-west-1_Demo00001"
PREFIX_URI = "https://demo.auth.example.test/oauth2/idpresponse"
ATTEMPTS = "/admin/accounts/authevent/"
PROVIDERS = "/admin/accounts/identityprovider/"


@pytest.fixture
def root(pool: UserPool) -> Client:
    return console.browser(console.operator(superuser=True))


def page(row: Any, name: str = "change") -> str:
    return f"/admin/accounts/{row._meta.model_name}/{row.pk}/{name}/"


def add(kind: str) -> str:
    return f"{PROVIDERS}add/?user_pool={POOL}&provider_type={kind}"


def text_of(browser: Client, url: str) -> str:
    response = browser.get(url)
    assert response.status_code == 200, url
    return html.unescape(response.content.decode())


def make(pool: UserPool, kind: str) -> IdentityProvider:
    details = {"client_id": "c", "client_secret": "s" * 20, "authorize_scopes": "email"}
    if kind == "SignInWithApple":
        details = {"client_id": "c", "team_id": "t", "key_id": "k", "private_key": "p" * 20, "authorize_scopes": "name"}
    if kind == "SAML":
        details = {"MetadataURL": "https://idp.example.test/metadata"}
    name = "Corp" if kind == "SAML" else kind
    return factories.make_oidc_provider(
        pool, name, provider_type=kind, provider_details=details, attribute_mapping={"email": "email"}
    )


def attempt(pool: UserPool, provider: IdentityProvider | None = None, **values: Any) -> AuthEvent:
    defaults: dict[str, Any] = {"outcome": Outcome.REFUSED, "reason": "token_error", "client_id": "1abc"}
    defaults["provider_name"] = provider.provider_name if provider else ""
    return AuthEvent.objects.create(user_pool=pool, provider=provider, **defaults | values)


# --- what to register


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("OIDC", "redirect URI of the client"),
        ("Google", 'Google Cloud console, paste every one into "Authorized redirect URIs"'),
        ("Facebook", '"Valid OAuth Redirect URIs"'),
        ("LoginWithAmazon", '"Allowed Return URLs"'),
        ("SignInWithApple", '"Return URLs"'),
    ],
)
def test_the_redirect_uri_of_every_domain_is_there_to_copy_and_where_it_goes(
    root: Client, pool: UserPool, kind: str, words: str
) -> None:
    pool.domains.create(domain="sign-in.corp.example", is_custom=True)
    provider = factories.make_oidc_provider(pool) if kind == "OIDC" else make(pool, kind)
    looker = console.browser(console.operator("view_identityprovider", name="looker"))
    for browser, url in ((root, add(kind)), (root, page(provider)), (looker, page(provider))):
        text = text_of(browser, url)
        for host in ("sign-in.corp.example", "demo.auth.example.test"):
            assert f"<dt>{host}</dt>" in text
            assert f'data-copy="https://{host}/oauth2/idpresponse"' in text
        assert words in text
        assert "console/copy.js" in text


def test_a_pool_without_a_host_of_its_own_answers_under_the_issuer(root: Client, settings: Any) -> None:
    settings.USERPOOL_DOMAIN_SUFFIX = ""
    text = text_of(root, add("OIDC"))
    assert f'data-copy="https://id.example.test/{POOL}/oauth2/idpresponse"' in text
    assert "demo.auth.example.test" not in text


def test_saml_has_other_addresses(root: Client, pool: UserPool) -> None:
    for url in (add("SAML"), page(make(pool, "SAML"))):
        assert "/oauth2/idpresponse" not in text_of(root, url)


# --- the mapping


def suggested(text: str) -> list[str]:
    """Return what the column of claims suggests."""
    found = re.search(r'<datalist id="attribute_mapping-claim">(.*?)</datalist>', text, re.S)
    assert found is not None
    return re.findall(r'<option value="([^"]*)">', found[1])


# OpenID Connect Core 1.0, table 1 in section 5.1
CORE_5_1 = {
    "sub", "name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
    "website", "email", "email_verified", "gender", "birthdate", "zoneinfo", "locale", "phone_number",
    "phone_number_verified", "address", "updated_at",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("OIDC", CORE_5_1),
        ("Google", {"sub", "email", "email_verified", "hd", "birthdays", "phoneNumbers"}),
        ("Facebook", {"id", "email", "name", "first_name", "last_name", "middle_name", "picture", "birthday"}),
        ("LoginWithAmazon", {"user_id", "name", "email", "postal_code"}),
        ("SignInWithApple", {"email", "email_verified", "firstName", "lastName", "name"}),
    ],
)
def test_the_claims_of_each_kind_are_suggested(root: Client, kind: str, names: set[str]) -> None:
    assert names <= set(suggested(text_of(root, add(kind))))


def test_what_is_suggested_for_google_is_in_its_id_token_or_a_field_of_the_people_api() -> None:
    """The payload of an ID token, and the values of personFields, as the two pages list them."""
    id_token = {
        "sub",
        "email",
        "email_verified",
        "name",
        "given_name",
        "family_name",
        "picture",
        "profile",
        "locale",
        "hd",
    }
    person_fields = {
        "addresses", "ageRanges", "biographies", "birthdays", "calendarUrls", "clientData", "coverPhotos",
        "emailAddresses", "events", "externalIds", "genders", "imClients", "interests", "locales", "locations",
        "memberships", "metadata", "miscKeywords", "names", "nicknames", "occupations", "organizations",
        "phoneNumbers", "photos", "relations", "sipAddresses", "skills", "urls", "userDefined",
    }  # fmt: skip
    assert set(provider_claims.KNOWN["Google"]) <= id_token | person_fields


def test_what_the_provider_lists_and_what_it_sent_is_suggested(root: Client, pool: UserPool) -> None:
    """OpenID Connect Discovery 1.0 section 3, claims_supported; what the token says of itself is nobody's attribute."""
    provider = factories.make_oidc_provider(pool)
    listed = '{"claims_supported": ["sub", "email", "department", "nonce", 7, "<b>"]}'
    ProviderDocument.objects.create(provider=provider, kind="discovery", url="https://a.example", body=listed)
    steps = [{"step": "ID token verified", "claims": "cost_centre, exp, sub"}, {"step": "userInfo answered"}]
    attempt(pool, provider, steps=steps)
    other = factories.make_oidc_provider(factories.make_pool())
    attempt(other.user_pool, other, steps=[{"step": "userInfo answered", "claims": "foreign"}])
    found = suggested(root.get(page(provider)).content.decode())
    assert {"department", "cost_centre", "&lt;b&gt;"} | CORE_5_1 == set(found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("body", ["", "[]", "not json", '{"claims_supported": "email"}', "[" * 100_000])
def test_a_document_that_says_nothing_suggests_nothing(root: Client, pool: UserPool, body: str) -> None:
    provider = factories.make_oidc_provider(pool)
    ProviderDocument.objects.create(provider=provider, kind="discovery", url="https://a.example", body=body)
    assert set(suggested(text_of(root, page(provider)))) == CORE_5_1


def test_a_name_that_was_cut_off_is_not_suggested(root: Client, pool: UserPool) -> None:
    provider = factories.make_oidc_provider(pool)
    fact = ", ".join(f"claim_number_{n:03}" for n in range(40))[:300]
    attempt(pool, provider, steps=[{"step": "userInfo answered", "claims": fact}])
    found = suggested(text_of(root, page(provider)))
    assert "claim_number_000" in found
    assert all(re.fullmatch(r"claim_number_\d{3}", name) for name in found if name.startswith("claim"))


def test_the_username_is_said_to_be_mapped_already(root: Client) -> None:
    assert "username is mapped automatically" in text_of(root, add("OIDC"))


@pytest.mark.parametrize(("name", "words"), [("sub", "the pool's own"), ("identities", "the pool's own")])
def test_what_is_the_pools_own_is_not_mapped(root: Client, pool: UserPool, name: str, words: str) -> None:
    provider = factories.make_oidc_provider(pool)
    data = console.values(root, page(provider)) | {"attribute_mapping-0-attribute": name}
    assert words in str(console.errors(root.post(page(provider), data))["attribute_mapping"])


# --- testing a configuration

examined: list[tuple[int, bool]] = []


def examine(provider: IdentityProvider) -> list[Finding]:
    """Stands for federation's: remembers that it was called, and whether a transaction was open."""
    examined.append((provider.pk, connection.in_atomic_block))
    return [
        Finding("Settings", "Complete."),
        Finding("PKCE", "Not offered.", Verdict.NOTE),
        Finding("Keys", "<script>alert(1)</script>", Verdict.BAD),
    ]


@pytest.fixture
def _examined(settings: Any) -> None:
    settings.USERPOOL_PROVIDER_EXAMINATION = "tests.wire.test_console_providers.examine"
    examined.clear()


@pytest.mark.usefixtures("_examined")
@pytest.mark.django_db(transaction=True)
def test_a_post_calls_the_provider_outside_of_any_transaction_and_shows_what_was_found(
    root: Client, pool: UserPool
) -> None:
    provider = factories.make_oidc_provider(pool)
    url = page(provider, "test_configuration")
    text = text_of(root, url)
    assert "The provider is called now" in text
    assert "No sign-in is made" in text
    assert examined == []
    response = root.post(url)
    assert response.status_code == 200
    assert examined == [(provider.pk, False)]
    assert "no-store" in response["Cache-Control"]
    text = " ".join(response.content.decode().split())
    for icon, what, verdict, words in (
        ("check_circle", "Settings", "good", "Complete."),
        ("info", "PKCE", "note", "Not offered."),
        ("error", "Keys", "must be mended", "&lt;script&gt;"),
    ):
        assert re.search(rf'aria-hidden="true">{icon}<.*?{what}<.*?>{verdict}<.*?{re.escape(words)}', text), what
    assert f'href="{page(provider)}"' in text
    assert not AuditEvent.objects.exists()


@pytest.mark.usefixtures("_examined")
def test_who_may_only_look_does_not_call_the_provider(pool: UserPool) -> None:
    provider = factories.make_oidc_provider(pool)
    url = page(provider, "test_configuration")
    looker = console.browser(console.operator("view_identityprovider"))
    assert "/test_configuration/" not in text_of(looker, page(provider))
    assert [looker.get(url).status_code, looker.post(url).status_code] == [403, 403]
    writer = console.browser(
        console.operator("view_identityprovider", "change_identityprovider", name="writer"), enforce_csrf_checks=True
    )
    assert f'href="{url}"' in text_of(writer, page(provider))
    assert writer.post(url).status_code == 403  # without the token of the form
    assert examined == []


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({}, "RS256 (1)"),
        ({"issuer": "https://evil.example"}, "another issuer's: https://evil.example"),
        ({"jwks_uri": None}, "jwks_uri is missing"),
    ],
)
def test_a_provider_is_tested_over_http(
    root: Client, pool: UserPool, settings: Any, metadata: dict[str, Any], words: str
) -> None:
    settings.USERPOOL_UPSTREAM_ALLOW_PRIVATE = True
    with OidcIdp() as idp:
        idp.metadata = metadata
        provider = factories.make_oidc_provider(pool)
        provider.provider_details["oidc_issuer"] = idp.issuer
        provider.save()
        text = html.unescape(root.post(page(provider, "test_configuration")).content.decode())
        assert words in text
        assert "upstream-secret" not in text
        assert {call.path for call in idp.calls} <= {"/.well-known/openid-configuration", "/jwks"}
        idp.misbehave("/.well-known/openid-configuration", Reply("gone", 404))
        assert "answered with an error (404)" in root.post(page(provider, "test_configuration")).content.decode()


# --- the list of providers


def shown_in_list(browser: Client) -> dict[str, str]:
    text = browser.get(PROVIDERS).content.decode()
    rows = re.findall(r"<tr.*?</tr>", text, re.S)
    cells = [[" ".join(re.sub("<[^>]*>", " ", cell).split()) for cell in re.findall("<t[dh].*?</t[dh]>", row, re.S)]
             for row in rows]  # fmt: skip
    return {cell[1]: " ".join(cell[2:]) for cell in cells if len(cell) > 3}


def test_the_list_says_how_the_last_sign_in_went(root: Client, pool: UserPool) -> None:
    corp, google, new = factories.make_oidc_provider(pool), make(pool, "Google"), make(pool, "Facebook")
    attempt(pool, corp)
    last = attempt(pool, corp, outcome=Outcome.SUCCEEDED, reason="")
    attempt(pool, google)
    shown = shown_in_list(root)
    assert f"Signed in {last.at:%Y-%m-%d %H:%M}" in shown[corp.provider_name]
    assert "Refused" in shown[google.provider_name]
    assert "Signed in" not in shown[google.provider_name]
    assert not re.search("Signed in|Refused", shown[new.provider_name])


def test_the_list_of_providers_asks_as_much_for_one_as_for_twelve(root: Client, pool: UserPool) -> None:
    def cost() -> int:
        root.get(PROVIDERS)
        with CaptureQueriesContext(connection) as queries:
            root.get(PROVIDERS)
        return len(queries)

    attempt(pool, factories.make_oidc_provider(pool))
    few = cost()
    for number in range(11):
        attempt(pool, factories.make_oidc_provider(pool, f"Corp{number}"))
    assert cost() == few


def test_who_may_not_see_attempts_sees_nothing_of_them(pool: UserPool, user: PoolUser) -> None:
    provider = factories.make_oidc_provider(pool)
    row = attempt(pool, provider, user=user)
    looker = console.browser(console.operator("view_identityprovider", "view_pooluser"))
    for url in (PROVIDERS, page(provider), page(user), "/admin/"):
        text = text_of(looker, url)
        assert "Refused" not in text
        assert ATTEMPTS not in text
    assert looker.get(ATTEMPTS).status_code == 403
    assert looker.get(page(row)).status_code == 403


# --- the attempts


@pytest.fixture
def looker(pool: UserPool) -> Client:
    """Who may see attempts, providers and users, and change nothing."""
    return console.browser(console.operator("view_authevent", "view_identityprovider", "view_pooluser", name="looker"))


def listed(browser: Client, **query: str) -> set[int]:
    response = browser.get(ATTEMPTS, query)
    assert response.status_code == 200
    return {row.pk for row in response.context["cl"].result_list}


def test_attempts_are_in_the_sidebar_and_nobody_writes_them(looker: Client, root: Client, pool: UserPool) -> None:
    assert f'href="{ATTEMPTS}"' in text_of(looker, "/admin/")
    assert "Events" in text_of(looker, "/admin/")
    assert listed(looker) == set()
    row = attempt(pool, factories.make_oidc_provider(pool))
    for browser in (looker, root):
        assert listed(browser) == {row.pk}
        assert 'name="_save"' not in text_of(browser, page(row))
        for url in (f"{ATTEMPTS}add/", page(row, "delete")):
            assert browser.get(url).status_code == 403
            assert browser.post(url, {"post": "yes"}).status_code == 403
        assert browser.post(page(row), {"reason": "none"}).status_code == 403
    row.refresh_from_db()
    assert row.reason == "token_error"


def test_the_newest_attempt_comes_first_and_nothing_is_counted(looker: Client, pool: UserPool) -> None:
    first, second = attempt(pool), attempt(pool)
    with CaptureQueriesContext(connection) as queries:
        response = looker.get(ATTEMPTS)
    assert [row.pk for row in response.context["cl"].result_list] == [second.pk, first.pk]
    of_attempts = [query["sql"] for query in queries if 'FROM "accounts_authevent"' in query["sql"]]
    assert len(of_attempts) == 1
    assert "COUNT(" not in of_attempts[0].upper()
    assert of_attempts[0].split("ORDER BY")[1].split("LIMIT")[0].strip() == '"accounts_authevent"."id" DESC'


@pytest.mark.filterwarnings("ignore:DateTimeField .* received a naive datetime")  # the theme's filter; UTC is meant
def test_attempts_are_filtered(looker: Client, pool: UserPool) -> None:
    corp, other = factories.make_oidc_provider(pool), factories.make_pool()
    ours = attempt(pool, corp)
    good = attempt(pool, corp, outcome=Outcome.SUCCEEDED, reason="")
    theirs = attempt(other, None, provider_name="Gone", reason="state_expired")
    AuthEvent.objects.filter(pk=theirs.pk).update(at="2020-01-01T00:00Z")
    for query, found in (
        ({"user_pool__id__exact": pool.pk}, {ours.pk, good.pk}),
        ({"provider__id__exact": str(corp.pk)}, {ours.pk, good.pk}),
        ({"provider_name__icontains": "gone"}, {theirs.pk}),
        ({"outcome__exact": "succeeded"}, {good.pk}),
        ({"reason__icontains": "expired"}, {theirs.pk}),
        ({"client_id__exact": "1abc"}, {ours.pk, good.pk, theirs.pk}),
        ({"client_id__exact": "1ab"}, set()),
        ({"at_to_0": "2020-12-31", "at_to_1": "00:00:00"}, {theirs.pk}),
    ):
        assert listed(looker, **query) == found, query


def test_attempts_are_found(looker: Client, pool: UserPool, user: PoolUser) -> None:
    request_id = "0b6f3c50-7a0c-4a8e-9a57-6a2c3f0f8a11"
    one = attempt(pool, request_id=request_id, subject="upstream|4711", reason="user_disabled", user=user)
    two = attempt(pool, subject=f"about {request_id}", client_id="9xyz", reason="state_foreign")
    for typed, found in (
        (request_id, {one.pk}),
        (request_id.upper(), {one.pk}),
        (request_id[:20], {two.pk}),
        ("4711", {one.pk}),
        ("disabled", {one.pk}),
        ("9xyz", {two.pk}),
        ("9xy", set()),
        ("ad", {one.pk}),
        ("nobody", set()),
        ("x" * 36, set()),
        ("a-b-c-d-" + "e" * 28, set()),
    ):
        assert listed(looker, q=typed) == found, typed


def test_an_attempt_is_told_step_by_step(looker: Client, pool: UserPool) -> None:
    provider = factories.make_oidc_provider(pool)
    steps = [
        {"step": "sent to the provider", "ms": 12},
        {"step": "token endpoint refused", "ms": 340, "words": "The <b>secret</b> is wrong.", "status": 401,
         "error": "invalid_client"},
    ]  # fmt: skip
    row = attempt(
        pool, provider, steps=steps, subject="upstream-1", error="invalid_request", request_id="r-1",
        description="Corp Error - 401 error getting token",
    )  # fmt: skip
    text = text_of(looker, page(row))
    raw = looker.get(page(row)).content.decode()
    for words in (
        "Refused", "upstream-1", "token_error", "invalid_request", "Corp Error - 401 error getting token", "r-1",
        "sent to the provider", "12 ms", "token endpoint refused", "340 ms", "status: 401", "error: invalid_client",
        event_words.WORDS["token_error"], f'href="{page(provider)}"',
    ):  # fmt: skip
        assert words in text, words
    assert "The &lt;b&gt;secret&lt;/b&gt; is wrong." in raw
    assert "upstream-secret" not in raw


def test_an_attempt_that_worked_has_nothing_to_explain(looker: Client, pool: UserPool, user: PoolUser) -> None:
    row = attempt(pool, factories.make_oidc_provider(pool), outcome=Outcome.SUCCEEDED, reason="", user=user)
    text = text_of(looker, page(row))
    assert "Sign-in" in text
    assert "Succeeded" in text
    assert f'href="{page(user)}"' in text
    assert "What the app was told" not in text


def test_an_attempt_outlives_its_provider_and_a_reason_that_nobody_knows(looker: Client, pool: UserPool) -> None:
    provider = factories.make_oidc_provider(pool)
    row = attempt(pool, provider, reason="of_next_year", steps=[{"step": "x"}, "odd", {"ms": 3}])
    provider.delete()
    text = text_of(looker, page(row))
    assert "Corp" in text
    assert "of_next_year" in text


def test_a_providers_page_and_a_users_page_lead_to_their_attempts(
    looker: Client, root: Client, pool: UserPool, user: PoolUser
) -> None:
    corp, google = factories.make_oidc_provider(pool), make(pool, "Google")
    of_corp, of_user = attempt(pool, corp), attempt(pool, google, user=user)
    for browser in (looker, root):
        for row, found in ((corp, of_corp), (user, of_user)):
            address = re.search(rf'href="({ATTEMPTS}\?[^"]*)"', text_of(browser, page(row)))
            assert address is not None
            rows = browser.get(address[1]).context["cl"].result_list
            assert [one.pk for one in rows] == [found.pk]


@pytest.mark.parametrize(
    "query", ["p=x", "user__id__exact=x", "provider__id__exact=x", "at_from_0=x", "q=%22%5C", "e=1"]
)
def test_a_bad_address_is_no_fault_of_ours(root: Client, query: str) -> None:
    assert root.get(f"{ATTEMPTS}?{query}").status_code in (200, 302)


def test_who_may_only_look_at_a_provider_sees_no_secret_of_any_kind(
    looker: Client, root: Client, pool: UserPool
) -> None:
    for kind in ("Google", "Facebook", "LoginWithAmazon", "SignInWithApple"):
        provider = make(pool, kind)
        for browser in (looker, root):
            text = text_of(browser, page(provider))
            assert "s" * 20 not in text
            assert "p" * 20 not in text
        assert 'name="_save"' not in text_of(looker, page(provider))
        assert reverse("admin:accounts_identityprovider_delete", args=(provider.pk,)) not in text_of(
            looker, page(provider)
        )


# --- every reason has words


class Reasons:
    """The reasons that the code gives, read from its syntax tree: first arguments, with what flows into them."""

    RAISED = (
        "UpstreamFailed",
        "IdentityRefused",
        "MappingRefused",
        "SamlFailed",
        "BadXml",
        "HostedPageError",
        "_refuse",
    )
    GIVEN = ("refused", "happened")
    # its BadXml end in pysaml2's hands: the check of the signature, or of the decryption, then says what was wrong
    UNHEARD = ROOT / "federation/upstream/saml/crypto.py"

    def __init__(self) -> None:
        rest = ("linking.py", "mapping.py", "signing.py")
        files = [*(ROOT / "federation").rglob("*.py"), *(ROOT / "accounts" / name for name in rest)]
        trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in files if path != self.UNHEARD}
        self.calls = [
            (function, call)
            for tree in trees.values()
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef)
            for call in ast.walk(function)
            if isinstance(call, ast.Call)
        ]
        self.homes = {node: path for path, tree in trees.items() for node in ast.walk(tree)}
        self.constants: dict[tuple[Path, str], set[str]] = {}
        for path, tree in trees.items():
            for node in tree.body:
                if isinstance(node, ast.Assign):
                    self._note(path, node.targets[0], node.value)
        self.imported = {
            (path, alias.name): node.module
            for path, tree in trees.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        self.in_sign_ins = [
            node
            for path, tree in trees.items()
            if "upstream" in path.parts or path.name in ("federated.py", "signin.py")
            for node in ast.walk(tree)
        ]

    def _note(self, path: Path, target: ast.expr, value: ast.expr) -> None:
        pairs = zip(target.elts, value.elts, strict=True) if isinstance(target, ast.Tuple) and isinstance(
            value, ast.Tuple) else [(target, value)]  # fmt: skip
        for name, constant in pairs:
            if isinstance(name, ast.Name) and isinstance(constant, ast.Constant):
                self.constants[path, name.id] = {str(constant.value)}

    def all(self) -> set[str]:
        found = {str(why.value) for why in Lost}
        for function, call in self.calls:
            name = self.name(call.func)
            if name in self.RAISED and call.args:
                found |= self.values(call.args[0], function)
            elif name in (*self.GIVEN, "_record"):
                constants = (argument.value for argument in call.args if isinstance(argument, ast.Constant))
                found |= {value for value in constants if isinstance(value, str) and value}  # "" is no client
        return {reason for reason in found if reason} | self.codes()  # an empty one is made for its words

    def codes(self) -> set[str]:
        """The codes of errors that carry no reason: they are recorded by their code."""
        found = set()
        for node in self.in_sign_ins:
            kind = getattr(errors, self.name(node), None) if isinstance(node, ast.Name | ast.Attribute) else None
            if isinstance(kind, type) and issubclass(kind, errors.OAuthError) and kind is not errors.OAuthError:
                found |= {kind.code} if kind is not errors.UpstreamFailed else set()
        return found

    def values(self, node: ast.expr, function: ast.FunctionDef) -> set[str]:
        match node:
            case ast.Constant():
                return {str(node.value)}
            case ast.IfExp():
                return self.values(node.body, function) | self.values(node.orelse, function)
            case ast.JoinedStr():
                parts = [self.values(part, function) for part in node.values]
                return {"".join(chosen) for chosen in product(*parts)}
            case ast.FormattedValue():
                return self.values(node.value, function)
            case ast.Subscript(value=ast.Name(id="UNKNOWN_PAGES")):
                return set(UNKNOWN_PAGES.values())
            case ast.Attribute(attr="code"):
                return set()  # of an OAuthError, all of which are here
            case ast.Attribute(value=ast.Name(id="kind"), attr="name"):
                return {documents.DISCOVERY.name, documents.JWKS.name}
            case ast.Attribute(attr="cause"):
                return set(fetching.CAUSES)
            case ast.Attribute(attr="reason"):
                return set()  # handed on: it was given where that was raised
            case ast.Name(id=name) if name.isupper():
                return self.constants[self.homes[function], name]
            case ast.Name(id=name) if name not in {argument.arg for argument in function.args.args}:
                assigned = [one for one in ast.walk(function) if isinstance(one, ast.Assign)]
                found = [one.value for one in assigned if self.name(one.targets[0]) == name]
                return set().union(*(self.values(value, function) for value in found))
            case ast.Name():
                return set().union(*self.passed(function, node.id))
        raise AssertionError(f"{function.name}: {ast.unparse(node)} is more than this test can follow")

    def passed(self, function: ast.FunctionDef, parameter: str) -> Iterator[set[str]]:
        names = [argument.arg for argument in function.args.args if argument.arg != "self"]
        place = names.index(parameter)
        for caller, call in self.calls:
            if self.name(call.func) == function.name and self.knows(call, function):
                if caller is not function and caller.name == function.name:
                    continue  # an override that hands on what it was given
                given = {word.arg: word.value for word in call.keywords} | dict(zip(names, call.args, strict=False))
                yield self.values(given[names[place]], caller)

    def knows(self, call: ast.Call, function: ast.FunctionDef) -> bool:
        """Whether a call may mean this function: it is of the same module, or imported from there, or its class is."""
        here, there = self.homes[call], self.homes[function]
        module = ".".join(there.relative_to(ROOT).with_suffix("").parts)
        if not isinstance(call.func, ast.Attribute):
            return here == there or self.imported.get((here, function.name)) == module
        own, method = function.name.startswith("_"), function.args.args[:1] and function.args.args[0].arg == "self"
        if not method:  # module.function
            return f"{self.imported.get((here, self.name(call.func.value)))}.{self.name(call.func.value)}" == module
        return not own or here == there or module in {of for (path, _), of in self.imported.items() if path == here}

    @staticmethod
    def name(node: ast.AST) -> str:
        return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def test_every_reason_has_words_and_no_words_are_without_a_reason() -> None:
    reasons = Reasons().all()
    assert {"jwks_timeout", "token_not_json", "id_token_nonce", "access_denied", "request_outdated"} <= reasons
    assert {"audience", "response_issuer", "conditions_never", "dtd", "metadata_tls", "logout_status"} <= reasons
    assert sorted(reason for reason in reasons if not event_words.why(reason[:48])) == []
    reasons |= {why.value for why in Refusal} | {f"{kind}_locked" for kind in throttling.FREE_FAILURES}
    reasons |= {f"rate_{kind}" for kind in ("address", "client", "pool")}  # federation/limiting.py
    reasons |= {refusal.code for refusal in server._BY_CODE.values()}  # what the engine refuses at both endpoints
    # what is no argument of a call: said to the engine, and by a name
    reasons |= {"code_verifier", "redirect_uri_differs", "withdrawn", "csrf", "request_not_supported", "invalid_target"}
    assert sorted(reason for reason in reasons if not event_words.why(reason[:48])) == []
    assert sorted(set(event_words.WORDS) - reasons) == []
    assert set(event_words.CAUSES) == set(fetching.CAUSES)
    assert event_words.why("made_up") == event_words.why("jwks_made_up") == ""
