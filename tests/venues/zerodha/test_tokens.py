"""The file with the day's login: whole, for its owner only, shown to none but the address that made it."""

import os
import stat
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.errors import CannotStart, Fatal
from alphapanda.times import IST, to_ns
from alphapanda.venues.zerodha.roots import Roots, roots_at
from alphapanda.venues.zerodha.tokens import Token, Tokens, expiry_of

KITE = Roots()
LOCAL = roots_at("http://127.0.0.1:8686")
SECRET = "f1ea146bdcb5ba42"  # what an access token looks like
LOGIN = datetime(2026, 4, 15, 8, 45, tzinfo=IST)


def token(roots=KITE, login_time=LOGIN, **changes):
    known = {"user_id": "AB1234", "user_name": "A. B.", "access_token": SECRET, "api_key": "key"}
    return Token(root=roots.api, login_time=login_time, expires=expiry_of(login_time), **known | changes)


def written(folder, roots=KITE, **changes):
    tokens = Tokens(folder, roots)
    tokens.write(token(roots, **changes))
    return tokens


@pytest.mark.parametrize(
    ("login", "dies"),
    [
        ((15, 0, 0), (15, 6, 0)),
        ((15, 5, 59), (15, 6, 0)),
        ((15, 6, 0), (16, 6, 0)),
        ((15, 9, 15), (16, 6, 0)),
        ((30, 23, 59), (31, 6, 0)),
    ],
)
def test_a_login_is_good_until_six_in_the_morning(login, dies):
    assert expiry_of(datetime(2026, 3, *login, tzinfo=IST)) == datetime(2026, 3, *dies, tzinfo=IST)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1)))
def test_a_login_never_outlives_a_day_and_ends_at_six(moment):
    login = moment.replace(tzinfo=IST)
    expires = expiry_of(login)
    assert timedelta(0) < expires - login <= timedelta(days=1)
    assert (expires.hour, expires.minute, expires.second, expires.microsecond) == (6, 0, 0, 0)


def test_what_is_written_is_read_again(tmp_path):
    tokens = written(tmp_path)
    assert tokens.read("key") == tokens.read() == token()
    assert tokens.read().login_time.utcoffset() == timedelta(hours=5, minutes=30)
    assert [path.name for path in tmp_path.iterdir()] == ["zerodha.token"]


def test_the_file_says_in_ist_when_the_login_was_and_when_it_ends(tmp_path):
    document = msgspec.json.decode(written(tmp_path).path.read_bytes())
    assert document["login_time"] == "2026-04-15T08:45:00+05:30"
    assert document["expires"] == "2026-04-16T06:00:00+05:30"
    assert document["root"] == "https://api.kite.trade"


def test_the_login_of_an_exchange_here_is_another_file(tmp_path):
    kite, local = written(tmp_path), written(tmp_path, LOCAL)
    assert (kite.path.name, local.path.name) == ("zerodha.token", "zerodha-rehearsal.token")
    assert kite.read() == token()
    assert local.read() == token(LOCAL)


def test_nobody_but_the_owner_may_read_it_from_its_first_byte(tmp_path, monkeypatch):
    modes = []

    def fsync(number, real=os.fsync):
        modes.append(os.fstat(number).st_mode)
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    before = os.umask(0)
    try:
        path = written(tmp_path / "var").path
    finally:
        os.umask(before)
    files = [stat.S_IMODE(mode) for mode in modes if stat.S_ISREG(mode)]
    assert files == [0o600]
    assert any(stat.S_ISDIR(mode) for mode in modes), "the new name is on the disk too"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_login_that_cannot_be_written_leaves_the_old_one_and_no_other_file(tmp_path, monkeypatch):
    tokens = written(tmp_path)
    monkeypatch.setattr(
        os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(Fatal, match=r"zerodha\.token cannot be written: No space left on device"):
        tokens.write(token(access_token="another"))
    assert tokens.read() == token()
    assert [path.name for path in tmp_path.iterdir()] == ["zerodha.token"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_writes_belongs_to_whoever_has_the_folder(tmp_path):
    folder = tmp_path / "var"
    folder.mkdir()
    os.chown(folder, 12345, 12346)
    found = written(folder).path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12345, 12346, 0o600)


def test_nobody_has_logged_in_where_there_is_no_file(tmp_path):
    assert Tokens(tmp_path, KITE).read() is None
    assert Tokens(tmp_path / "no such folder", KITE).read() is None
    assert Tokens(tmp_path, KITE).signature() is None


def _folder(path):
    path.unlink()
    path.mkdir()


def _pipe(path):
    path.unlink()
    os.mkfifo(path, 0o600)


def _circle(path):
    path.unlink()
    path.symlink_to(path)


def _changed(**fields):
    def change(path):
        path.write_bytes(msgspec.json.encode(msgspec.json.decode(path.read_bytes()) | fields))

    return change


DAMAGE = {
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-20]), "is damaged"),
    "empty": (lambda path: path.write_bytes(b""), "is damaged"),
    "not text": (lambda path: path.write_bytes(b"\xff\xfe\x00" * 100), "is damaged"),
    "no token in it": (_changed(access_token=""), "is damaged"),
    "a token of two lines": (_changed(access_token="one\r\ntwo"), "is damaged"),
    "a number for a token": (_changed(access_token=7), "is damaged"),
    "no zone": (_changed(expires="2026-04-16T06:00:00"), "is damaged"),
    "for the group": (lambda path: path.chmod(0o640), r"is open to others \(mode 0640\)"),
    "for all": (lambda path: path.chmod(0o606), r"is open to others \(mode 0606\)"),
    "a folder": (_folder, "is (a folder|no file)"),
    "a pipe": (_pipe, "is no file"),
    "unreadable": (_circle, "cannot be read: Too many levels of symbolic links"),
    "another root": (_changed(root="https://sandbox.kite.trade"), "at https://sandbox.kite.trade, not at"),
    "of an exchange here": (_changed(root="http://127.0.0.1:1"), "at http://127.0.0.1:1, not at"),
    "another key": (_changed(api_key="other"), "another zerodha.api_key"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_file_that_is_no_login_of_ours_is_refused_in_one_line_that_says_what_to_do(tmp_path, kind):
    tokens = written(tmp_path)
    damage, said = DAMAGE[kind]
    damage(tokens.path)
    with pytest.raises(CannotStart, match=said) as error:
        tokens.read("key")
    line = str(error.value)
    assert line.startswith(str(tokens.path))
    assert "`alphapanda login`" in line
    assert "\n" not in line
    assert SECRET not in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_of_another_user_is_refused_with_the_reason(tmp_path):
    tokens = written(tmp_path)
    tokens.path.chmod(0)
    with pytest.raises(CannotStart, match="cannot be read: Permission denied"):
        tokens.read()


@given(st.data())
def test_no_part_of_a_login_is_taken_for_one(tmp_path_factory, data):
    tokens = written(tmp_path_factory.mktemp("cut"))
    whole = tokens.path.read_bytes().rstrip()
    tokens.path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(CannotStart, match="is damaged"):
        tokens.read()


def test_the_login_of_another_exchange_on_this_machine_is_none(tmp_path):
    written(tmp_path, roots_at("http://127.0.0.1:9999"))
    assert Tokens(tmp_path, LOCAL).read() is None


def test_it_ends_by_the_clock_except_at_an_exchange_here_which_has_its_own(tmp_path):
    six = to_ns(datetime(2026, 4, 16, 6, tzinfo=IST))
    kite, local = Tokens(tmp_path, KITE), Tokens(tmp_path, LOCAL)
    assert not kite.expired(token(), six - 1)
    assert kite.expired(token(), six)
    assert not local.expired(token(LOCAL), six + 10**18)


def test_it_is_removed_with_what_a_killed_write_left(tmp_path):
    tokens = written(tmp_path)
    other = written(tmp_path, LOCAL)
    (tmp_path / ".zerodha.token.half").write_text("token")
    assert tokens.remove()
    assert [path.name for path in tmp_path.iterdir()] == [other.path.name]
    assert not tokens.remove()
    assert not Tokens(tmp_path / "no such folder", KITE).remove()


def test_what_cannot_be_removed_or_replaced_is_said(tmp_path):
    tokens = Tokens(tmp_path, KITE)
    tokens.path.mkdir()
    with pytest.raises(Fatal, match="cannot be removed: "):
        tokens.remove()
    with pytest.raises(Fatal, match="cannot be written: "):
        tokens.write(token())
    assert [path.name for path in tmp_path.iterdir()] == [tokens.path.name]


def test_its_signature_changes_with_every_login_even_of_the_same_token(tmp_path):
    tokens = written(tmp_path)
    one = tokens.signature()
    assert tokens.signature() == one
    tokens.write(token())
    assert tokens.signature() != one


def test_a_login_that_is_printed_has_no_token():
    for text in (repr(token()), str(token()), f"{token()}"):
        assert SECRET not in text
        assert "AB1234" in text
