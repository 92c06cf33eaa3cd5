"""What is sealed opens for whom it was sealed alone, and what is erased is nowhere."""

import random
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.asking import identifying
from gateway.bodies import Profile
from gateway.identifying import FIELDS, check_digit, masked, passes_luhn, problems
from gateway.sealing import (
    NONCE_BYTES,
    VARIABLE,
    SealError,
    SecretKey,
    VaultKeyError,
    key_of,
    master_key,
    new_key,
    write_master_key,
)
from gateway.vault import FILE, PROFILE, Duty, DutyError, Vault, VaultError

SAID = {"phone": "13812345678", "card_number": "6222021234567890128", "identity_number": "11010519491231002X",
        "name": "张三"}  # fmt: skip
KEY = SecretKey(bytes(range(16)))
NOW, TODAY = 1_800_000_000_000, "2027-01-15"
LAW = Duty("anti-money-laundering law", "2031-01-01")

# field, value, what is said of it: nothing where it is as it must be
FORMATS = """
phone            13812345678           -
phone            +8613812345678        -
phone            +12025550123          -
phone            12812345678           11 digits
phone            1381234567            11 digits
phone            138123456789          11 digits
phone            +861012345678         11 digits
phone            +0123456789           11 digits
phone            138-1234-5678         11 digits
card_number      6222021234567890128   -
card_number      4111111111111111      -
card_number      4111111111111112      Luhn
card_number      4111-1111-1111-1111   12 to 19 digits
card_number      41111111111           12 to 19 digits
identity_number  11010519491231002X    -
identity_number  11010519491231002x    -
identity_number  440524188001010014    -
identity_number  110105194912310021    check digit must fit
identity_number  11010519491331002X    date of birth
identity_number  11010519490229002X    date of birth
identity_number  1101051949123100      17 digits
"""


@pytest.mark.parametrize("row", FORMATS.strip().splitlines())
def test_how_what_identifies_is_written(row: str) -> None:
    field, value, words = row.split(None, 2)
    said = problems({field: value})
    if words == "-":
        assert said == []
    else:
        ((path, message),) = said
        assert path == f"$.{field}" and words in message and value not in message


def test_check_digits_by_their_definitions() -> None:
    """GB 11643-1999, appendix B: the sum of digit × 2^(18 − place) over all 18, X being 10, is 1 modulo 11. Any other
    digit, and most swaps of neighbours, are seen by both."""
    chance = random.Random(1)
    for _ in range(200):
        body = "".join(chance.choices("0123456789", k=17))
        whole = body + check_digit(body)
        total = sum((10 if digit == "X" else int(digit)) * 2**place for place, digit in enumerate(reversed(whole)))
        assert total % 11 == 1
        card = "".join(chance.choices("0123456789", k=15))
        assert sum(passes_luhn(card + digit) for digit in "0123456789") == 1


def test_what_is_shown_masked() -> None:
    assert masked(SAID) == {
        "phone": "138****5678",
        "card_number": "****0128",
        "identity_number": "1****X",
        "name": "张**",
    }
    assert masked({"phone": "+1234567"}) == {"phone": "+1****67"}


def test_sm4_gcm_of_the_standard() -> None:
    """RFC 8998, appendix A.2.1."""
    key = key_of("0123456789abcdeffedcba9876543210", "it")
    nonce, bound = bytes.fromhex("00001234567800000000abcd"), bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    plain = b"".join(bytes([byte]) * 8 for byte in bytes.fromhex("aabbccddeeffeeaa"))
    cipher = bytes.fromhex(
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"
        "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
    )
    tag = bytes.fromhex("83de3541e4c2b58177e065a9bf7b62ec")
    assert key.opened(nonce + cipher + tag, bound) == plain
    assert key.opened(key.seal(plain, bound, 1), bound) == plain


def flipped(text: bytes, place: int) -> bytes:
    return bytes(byte ^ (place == at) for at, byte in enumerate(text))


def test_what_is_moved_or_changed_does_not_open() -> None:
    sealed = KEY.seal(b"text", b"1:phone", 1)
    for key, text, bound in (
        (KEY, sealed, b"2:phone"), (KEY, sealed, b"1:name"), (new_key(), sealed, b"1:phone"), (KEY, b"", b"1:phone"),
        *((KEY, flipped(sealed, place), b"1:phone") for place in range(len(sealed))),
    ):  # fmt: skip
        with pytest.raises(SealError):
            key.opened(text, bound)


BODIES: list[dict[str, Any]] = [
    {"phone": 13812345678}, {"phone": ["13812345678"]}, {"phone": "1381234567813812345678"},
    {"phone": {"13812345678": 1}}, {"name": "13812345678" * 6}, {"identity_number": 13812345678.0},
    {"card_number": "13812345678" * 2}, {"phone": None}, {"phone": True},
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
def test_no_message_and_no_repr_quotes_what_identifies(body: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.json.decode(msgspec.json.encode(body), type=Profile)
    assert "138123" not in str(error.value), "of whom it is, is in no message"
    profile = msgspec.convert(SAID, Profile)
    assert identifying(profile) == SAID
    assert not any(value in repr(profile) + str(profile) for value in SAID.values())
    assert "0123" not in repr(KEY) and bytes(range(16)).hex() not in repr(vars(Vault))


# --- the vault --------------------------------------------------------------------------------------------------------
def test_what_is_put_is_told_and_what_is_left_out_stays(tmp_path: Path) -> None:
    vault = Vault(tmp_path, KEY)
    assert vault.put(7, SAID, {"balance": "20.00", "tags": ["a"]}, NOW) is False
    vault.put(7, {"phone": "13900000000"}, {"balance": "1.00"}, NOW + 5)
    vault.close()
    file = Vault(tmp_path, KEY).file(7)
    (record,) = file.records
    assert (file.since_ms, file.erased_ms, file.duties, record.is_locked) == (NOW, None, [], False)
    assert record.said == SAID | {"phone": "13900000000"}
    assert record.profile == {"balance": "1.00", "tags": ["a"]}
    assert not any(value in repr(file) + repr(record) for value in SAID.values())
    kept = (tmp_path / FILE).read_bytes() + b"".join(path.read_bytes() for path in tmp_path.glob("*"))
    assert not any(value.encode() in kept for value in (*SAID.values(), "13900000000", "balance", "20.00"))
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0


def test_a_ciphertext_cannot_be_moved_to_another(tmp_path: Path) -> None:
    """By who can write the file: to another customer, to another field, or the key along with it."""
    vault = Vault(tmp_path, KEY)
    for number in (1, 2):
        vault.put(number, SAID, {}, NOW)
    moved = "UPDATE sealed SET text = (SELECT text FROM sealed"
    for sql in (
        f"{moved} WHERE record = 1 AND field = 'phone') WHERE record = 1 AND field = 'name'",
        f"{moved} WHERE record = 2 AND field = 'phone') WHERE record = 1 AND field = 'phone'",
        "UPDATE records SET wrapped = (SELECT wrapped FROM records WHERE id = 2) WHERE id = 1",
        "UPDATE records SET number = 1 WHERE id = 2",
    ):
        vault._do("BEGIN")
        vault._do(sql)
        with pytest.raises(SealError):
            vault.file(1)
        vault._do("ROLLBACK")
    assert vault.file(1).records[0].said == SAID


def test_nonces_never_repeat_under_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even when chance gives the same every time, and over starts."""
    monkeypatch.setattr("gateway.sealing.secrets.token_bytes", lambda count: bytes(count))
    seen: set[tuple[int, bytes]] = set()
    wraps: set[bytes] = set()
    count = 0
    for _ in range(5):
        vault = Vault(tmp_path, KEY)
        for number in range(3):
            vault.put(number, SAID, {"points": count}, NOW)
            rows = vault._do("SELECT record, text FROM sealed JOIN records ON id = record WHERE number = ?", number)
            assert len(rows) == len(SAID) + 1
            seen |= {(record, text[:NONCE_BYTES]) for record, text in rows}
            count += len(rows)
        vault.erase(2, NOW, TODAY)
        wraps |= {wrapped[:NONCE_BYTES] for (wrapped,) in vault._do("SELECT wrapped FROM records")}
        wraps |= {checked[:NONCE_BYTES] for (checked,) in vault._do("SELECT checked FROM beginning")}
        vault.close()
    assert len(seen) == count and len(wraps) == 3


def test_what_is_erased_is_in_no_byte_of_any_file(tmp_path: Path) -> None:
    """Among thousands, in pages that were split and joined: neither the key nor what it opened, also after a kill."""
    chance = random.Random(2)
    vault = Vault(tmp_path, KEY)
    numbers = chance.sample(range(10_000), 3_000)

    def write(number: int) -> Any:
        return lambda: vault.put(
            number, SAID if chance.random() < 0.5 else {}, {"tags": ["t"] * chance.randrange(60)}, NOW
        )

    for begin in range(0, 3_000, 500):
        vault.together([write(number) for number in numbers[begin : begin + 500]])
        vault.together([write(number) for number in chance.sample(numbers[: begin + 500], 200)])
    gone = chance.sample(numbers, 150)
    dead = [bytes(wrapped) for number in gone for (wrapped,) in vault._do(
        "SELECT wrapped FROM records WHERE number = ?", number)]  # fmt: skip
    texts = [bytes(text) for number in gone for (text,) in vault._do(
        "SELECT text FROM sealed JOIN records ON id = record WHERE number = ?", number)]  # fmt: skip

    def left() -> int:
        kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        return sum(one in kept for one in (*dead, *texts))

    assert left() == len(dead) + len(texts), "it is looked for where it is"
    for number in gone[:100]:
        vault.together([partial(vault.erase, number, NOW, TODAY)])
    vault.together([partial(vault.erase, number, NOW, TODAY) for number in gone[100:]])
    assert left() == 0
    assert all(vault.file(number).records == [] for number in gone)
    assert all(len(vault.file(number).records) == 1 for number in set(numbers) - set(gone))


def test_a_kill_between_erasing_and_scrubbing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = Vault(tmp_path, KEY)
    vault.put(1, SAID, {}, NOW)
    ((wrapped,),) = vault._do("SELECT wrapped FROM records")
    monkeypatch.setattr(vault, "_scrub", lambda: None)
    vault.together([lambda: vault.erase(1, NOW, TODAY)])
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert wrapped in b"".join(files.values())
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in (FILE, f"{FILE}-wal"):
        (killed / name).write_bytes(files[name])
    again = Vault(killed, KEY)
    assert wrapped not in b"".join(path.read_bytes() for path in killed.iterdir())
    assert again.file(1).erased_ms == NOW and again.leaving() == [1]


def test_a_duty_locks_what_is_erased_until_its_day_has_passed(tmp_path: Path) -> None:
    vault = Vault(tmp_path, KEY)
    vault.put(1, SAID, {"points": 1}, NOW)
    assert vault.retain(1, LAW) == [LAW]
    assert vault.retain(1, Duty("court order", "2028-06-30")) == [Duty("court order", "2028-06-30"), LAW]
    erasure = vault.erase(1, NOW, TODAY)
    assert (erasure.erased_ms, erasure.is_locked, len(erasure.duties), erasure.is_leaving) == (NOW, True, 2, True)
    vault.left(1)
    again = vault.erase(1, NOW + 9, TODAY)
    assert (again.erased_ms, again.is_locked, again.is_leaving) == (NOW, True, False), "the same answer"
    assert [(one.is_locked, one.said) for one in vault.file(1).records] == [(True, SAID)]
    vault.put(1, {"phone": "13900000000"}, {}, NOW + 20)  # who comes back has another record
    assert [one.is_locked for one in vault.file(1).records] == [True, False]
    assert vault.file(1).erased_ms is None and vault.file(1).since_ms == NOW + 20
    for day, destroyed in (("2028-07-01", []), ("2031-01-01", []), ("2031-01-02", [1]), ("2031-01-03", [])):
        assert vault.expire(day) == destroyed, day
    assert [one.said for one in vault.file(1).records] == [{"phone": "13900000000"}]
    assert vault.erase(1, NOW + 30, "2031-01-03").is_locked is False
    with pytest.raises(DutyError, match="nothing left"):
        vault.retain(1, LAW)


def test_a_duty_moved_to_another_day_and_too_many_of_them(tmp_path: Path) -> None:
    vault = Vault(tmp_path, KEY)
    vault.put(1, {}, {}, NOW)
    vault.retain(1, LAW)
    assert vault.retain(1, Duty(LAW.duty, "2029-01-01")) == [Duty(LAW.duty, "2029-01-01")]
    became = vault.together([partial(vault.retain, 1, Duty(f"d{name}", "2029-01-01")) for name in range(20)])
    assert sum(isinstance(one, DutyError) for one in became) == 5 and len(vault.file(1).duties) == 16


def test_an_erasure_is_told_to_the_shard_until_it_was(tmp_path: Path) -> None:
    vault = Vault(tmp_path, KEY)
    vault.put(1, SAID, {}, NOW)
    vault.erase(1, NOW, TODAY)
    assert (vault.erased(), vault.leaving()) == ({1}, [1])
    assert vault.put(1, {}, {}, NOW + 1) is True, "and by who comes back meanwhile"
    assert (vault.erased(), vault.leaving()) == (set(), [1])
    vault.left(1)
    assert vault.leaving() == [] and vault.put(1, {}, {}, NOW + 2) is False


def test_a_job_that_fails_leaves_nothing_and_the_others_stand(tmp_path: Path) -> None:
    vault = Vault(tmp_path, KEY)

    def fails() -> None:
        vault.put(2, SAID, {}, NOW)
        raise DutyError("planted")

    became = vault.together([lambda: vault.put(1, SAID, {}, NOW), fails, lambda: vault.put(3, SAID, {}, NOW)])
    assert [type(one) for one in became] == [bool, DutyError, bool]
    assert [len(vault.file(number).records) for number in (1, 2, 3)] == [1, 0, 1]


def test_without_a_key_nothing_is_sealed_and_erasure_holds(tmp_path: Path) -> None:
    vault = Vault(tmp_path, None)
    assert vault.seals is False
    erasure = vault.erase(1, NOW, TODAY)
    assert (erasure.is_locked, vault.file(1).records, vault.file(1).erased_ms) == (False, [], NOW)
    assert vault.put(1, {}, {"points": 1}, NOW) is True and vault.file(1).records == []


# --- its key ----------------------------------------------------------------------------------------------------------
def test_another_key_than_it_was_begun_with_is_refused(tmp_path: Path) -> None:
    Vault(tmp_path, None).close()
    Vault(tmp_path, KEY).close()
    for key, words in ((new_key(), "got another"), (None, "got none")):
        with pytest.raises(VaultError, match=f"the key it was begun with.*{words}"):
            Vault(tmp_path, key)
    assert Vault(tmp_path, KEY).seals


def test_where_a_key_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, file = tmp_path / "folder", tmp_path / "key"
    folder.mkdir()
    monkeypatch.delenv(VARIABLE, raising=False)
    assert master_key(None, folder) is None
    write_master_key(file)
    assert file.stat().st_mode & 0o777 == 0o600
    found = master_key(file, folder)
    assert found is not None and found.opened(key_of(file.read_text(), "it").seal(b"x", b"", 0), b"") == b"x"
    monkeypatch.setenv(VARIABLE, file.read_text())
    assert master_key(None, folder) is not None
    assert master_key(None, folder) is None, "it is not left to processes that we start"


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("00" * 15, 0o600, "32 hexadecimal digits .got 30."),
        ("zz" * 16, 0o600, "32 hexadecimal digits .got something else."),
        ("ab" * 16, 0o640, "chmod 600 .* .got mode 640."),
    ],
)
def test_a_key_that_is_none(text: str, mode: int, words: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(VaultKeyError, match=words) as error:
        master_key(file, tmp_path / "folder")
    assert text not in str(error.value)


def test_a_key_in_the_wrong_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    write_master_key(file)
    for path, folder, words in ((file, tmp_path, "kept apart"), (tmp_path / "none", tmp_path / "x", "No such file")):
        with pytest.raises(VaultKeyError, match=words):
            master_key(path, folder)
    with pytest.raises(VaultKeyError, match="must be a new file"):
        write_master_key(file)
    monkeypatch.setenv(VARIABLE, "00" * 16)
    with pytest.raises(VaultKeyError, match="got both"):
        master_key(file, tmp_path / "folder")


def test_every_field_that_identifies_has_a_mask_and_a_place() -> None:
    assert set(masked(SAID)) == set(FIELDS) == set(SAID) and PROFILE not in FIELDS
    assert set(FIELDS) < set(Profile.__struct_fields__)
