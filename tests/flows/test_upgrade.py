"""The release before this code serves on the schema of this code, and they may take turns (docs/operations.md).

A rolling upgrade, and back: the old release signs people in, the database is migrated under it, it goes on; this code
takes over with everything that the old one began; the old one comes back and goes on with what this code began.
Without a release tag there is no release before this one; then the walk is tried over a migration of the history.
"""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.flows import pools, releases
from tests.flows.authlib_app import App
from tests.flows.person import Person
from tests.flows.server import ROOT, Server, deployment, serving
from tests.services import free_port

CLIENTS = (pools.PUBLIC, pools.SECRET_OIDC)


def signed_in(server: Server, client: pools.AppClient, person: Person) -> App:
    app = App(server, client)
    app.redeem(person.open(app.link(), until=pools.CALLBACK))
    return app


def goes_on(server: Server, apps: list[App], person: Person) -> None:
    """Every app goes on with the tokens that it has, the person with their session, and somebody new comes in."""
    for app in apps:
        app.server = server
        assert app.userinfo()["email"] == pools.ATTRIBUTES["email"]
        assert app.refresh()["cognito:username"] == pools.USERNAME
    sign_ins = person.signed_in
    signed_in(server, pools.PUBLIC, person)
    assert person.signed_in == sign_ins, "the session was lost"
    newcomer = Person()
    assert signed_in(server, pools.SECRET, newcomer).userinfo()["username"] == pools.USERNAME
    newcomer.browser.close()


def upgraded_and_back(old_root: Path, python: str, folder: Path, person: Person, new_root: Path = ROOT) -> None:
    """Walk from the code in ``old_root`` to the one in ``new_root`` and back, on one database and at one address."""
    port = free_port()
    with deployment(folder, old_root, python) as old:
        new = replace(old, root=new_root, python=sys.executable)
        old.apply(pools.pool_file("http://localhost:3001/"))
        with serving(old, pools.POOL_ID, port=port) as server:
            apps = [signed_in(server, client, person) for client in CLIENTS]
            new.manage("migrate", "--verbosity", "0")
            goes_on(server, apps, person)
        with serving(new, pools.POOL_ID, port=port) as server:
            goes_on(server, apps, person)
            apps += [signed_in(server, client, person) for client in CLIENTS]
        with serving(old, pools.POOL_ID, port=port) as server:
            goes_on(server, apps, person)


def release_before() -> str:
    """The newest release, or a skip that says why there is none."""
    try:
        return releases.newest_release(ROOT)
    except releases.NoHistory as missing:
        pytest.skip(f"needs an earlier release to upgrade from: {missing}")


def test_the_release_before_serves_on_the_schema_of_this_code(tmp_path: Path, person: Person) -> None:
    old_root = releases.check_out(ROOT, release_before(), tmp_path / "old")
    upgraded_and_back(old_root, releases.python_of(old_root), tmp_path, person)


def test_the_walk_works_over_a_migration_of_the_history(tmp_path: Path, person: Person) -> None:
    """So that it is known to work on the day of the first release; from then on the test above does more."""
    try:
        releases.newest_release(ROOT)
    except releases.NoHistory:
        pass
    else:
        pytest.skip("a real release is walked from instead")
    try:
        before, after = releases.newest_upgrade(ROOT)
    except releases.NoHistory as missing:
        pytest.skip(f"needs the history of the repository: {missing}")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(clone)], check=True)
    releases.git(clone, "tag", "v0.0.1", before)
    old_root = releases.check_out(clone, releases.newest_release(clone), tmp_path / "old")
    new_root = releases.check_out(clone, after, tmp_path / "new")
    assert releases.migrations_of(old_root) < releases.migrations_of(new_root)
    upgraded_and_back(old_root, sys.executable, tmp_path, person, new_root)


def test_which_release_is_the_one_before(tmp_path: Path) -> None:
    """By version, not by date; of a release, the one before it; none that is not in the history."""
    with pytest.raises(releases.NoHistory):
        releases.newest_release(tmp_path)
    options = ("-c", "user.name=t", "-c", "user.email=t@example.test", "-c", "commit.gpgsign=false")
    releases.git(tmp_path, "init", "--quiet")

    def commit(*tags: str) -> None:
        releases.git(tmp_path, *options, "commit", "--quiet", "--allow-empty", "--message", "x")
        for tag in tags:
            releases.git(tmp_path, "tag", tag)

    commit("nightly")
    with pytest.raises(releases.NoHistory, match="no release tag yet"):
        releases.newest_release(tmp_path)
    commit("v0.10.0")
    with pytest.raises(releases.NoHistory, match="no release tag yet"):
        releases.newest_release(tmp_path)
    commit("v0.9.1")
    assert releases.newest_release(tmp_path) == "v0.10.0"
    commit()
    releases.git(tmp_path, "checkout", "--quiet", "-b", "elsewhere")
    commit("v9.0.0")
    releases.git(tmp_path, "checkout", "--quiet", "-")
    assert releases.newest_release(tmp_path) == "v0.10.0"
    shallow = tmp_path / "shallow"
    url = tmp_path.as_uri()
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", "--no-tags", url, str(shallow)], check=True)
    with pytest.raises(releases.NoHistory, match="this clone is shallow"):
        releases.newest_release(shallow)
