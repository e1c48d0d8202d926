"""``manage.py rotate_keys``: the keys that are due, of one pool or of all; at once, or withdrawing the old ones.

What is promised stands in the command's help; the life of a key is tests/unit/test_signing.py's.
"""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts import signing
from accounts.models import AuditEvent, SigningKey, UserPool
from tests import factories

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("rotate_keys", *arguments, stdout=out)
    return out.getvalue()


def kids(pool: UserPool) -> set[str]:
    return {key["kid"] for key in signing.published_jwks(pool)}


def test_it_says_that_no_key_is_due(pool: UserPool) -> None:
    assert run(pool.pk) == f"{pool.pk}: no key is due\n"
    assert SigningKey.objects.count() == 2


def test_at_once_makes_two_keys_and_keeps_the_old_ones_published(pool: UserPool) -> None:
    old = kids(pool)
    output = run(pool.pk, "--at-once")
    assert output.count("new id key") == output.count("new access key") == 1
    assert old < kids(pool)
    assert len(kids(pool)) == 4


def test_withdraw_takes_the_old_keys_away(pool: UserPool) -> None:
    old = kids(pool)
    run(pool.pk, "--withdraw")
    assert not old & kids(pool)
    assert len(kids(pool)) == 2


def test_another_pool_keeps_its_keys(pool: UserPool) -> None:
    other = factories.make_pool()
    before = kids(other)
    run(pool.pk, "--withdraw")
    assert kids(other) == before


def test_all_means_every_pool(pool: UserPool) -> None:
    other = factories.make_pool()
    run("--all", "--at-once")
    assert len(kids(pool)) == len(kids(other)) == 4


def test_one_pool_that_fails_does_not_stop_the_others(pool: UserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    other = factories.make_pool()
    rotate = signing.rotate

    def fail(one: UserPool, **options: bool) -> list[SigningKey]:
        if one.pk == pool.pk:
            raise ValueError("a key that cannot be opened")
        return rotate(one, **options)

    monkeypatch.setattr(signing, "rotate", fail)
    with pytest.raises(CommandError, match=rf"Not rotated: {pool.pk}: ValueError"):
        run("--all", "--at-once")
    assert len(kids(other)) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "one of the arguments"),
        (("eu-west-1_Nowhere00",), "There is no pool eu-west-1_Nowhere00"),
        (("--all", "eu-west-1_Demo00001"), "not allowed with"),
    ],
)
def test_a_call_that_names_no_pool_or_an_unknown_one_is_refused(
    pool: UserPool, arguments: tuple[str, ...], words: str
) -> None:
    with pytest.raises(CommandError, match=words):
        run(*arguments)
    assert SigningKey.objects.count() == 2


def test_each_key_is_in_the_audit_trail_without_its_private_half(pool: UserPool) -> None:
    run(pool.pk, "--withdraw")
    events = AuditEvent.objects.filter(actor="rotate_keys")
    assert {(event.action, event.user_pool) for event in events} == {("created", pool.pk)}
    assert len(events) == 2
    assert not any("private" in str(event.changes) or '"d"' in str(event.changes) for event in events)
