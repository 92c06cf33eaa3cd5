"""The audit log: what was written stays as it was, or is found out; also after a crash, and when several write."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway import audit, audit_commands
from gateway.audit import FILE, HEAD, PAGE, STRANGERS_MAX, AuditError, AuditLog, Strangers, entry, read_head, write_head
from gateway.audit_chain import Entry, Head, chained, entry_of, verified
from scenarios.exits import Exit

LINES = 6


def written(folder: Path, count: int = LINES) -> list[bytes]:
    log = AuditLog(folder)
    for number in range(count):
        log.add([entry("GET /v1/customers/{customer}", f"张 {number}", "operator", bytes([number]) * 16, 200, "x")])
    log.close()
    return (folder / FILE).read_bytes().splitlines(keepends=True)


def changed(line: bytes, **told: object) -> bytes:
    return json.dumps({**json.loads(line), **told}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def healed(line: bytes, **told: object) -> bytes:
    """With a hash that fits what it says now."""
    there = entry_of(changed(line, **told))
    return chained(there, Head(there.number - 1, there.previous)).line


def rewritten(lines: list[bytes]) -> list[bytes]:
    """A whole chain made anew, by who knows how."""
    head, out = Head(), []
    for line in lines:
        out.append(chained(entry_of(line), head).line)
        head = Head(entry_of(out[-1]).number, entry_of(out[-1]).hash)
    return out


Tamper = Callable[[list[bytes]], list[bytes]]
TAMPERED: dict[str, tuple[Tamper, str]] = {
    "a field": (lambda of: [*of[:2], changed(of[2], who="somebody else"), *of[3:]], "line 3: its hash must be"),
    "a field, and its hash": (lambda of: [*of[:2], healed(of[2], status=403), *of[3:]], "line 4: must follow"),
    "the last, and its hash": (lambda of: [*of[:5], healed(of[5], status=403)], "line 6: must have the hash"),
    "a hash": (lambda of: [*of[:2], changed(of[2], hash="0" * 64), *of[3:]], "line 3: its hash must be"),
    "a line gone": (lambda of: of[:2] + of[3:], "line 3: its number must be 3 (got 4)"),
    "the first gone": (lambda of: of[1:], "line 1: its number must be 1 (got 2)"),
    "a line gone, numbers mended": (
        lambda of: [*of[:2], *[healed(line, number=json.loads(line)["number"] - 1) for line in of[3:]]],
        "line 3: must follow the entry",
    ),
    "two swapped": (lambda of: [*of[:2], of[3], of[2], *of[4:]], "line 3: its number must be 3 (got 4)"),
    "one twice": (lambda of: [*of[:3], of[2], *of[3:]], "line 4: its number must be 4 (got 3)"),
    "one put in": (
        lambda of: [*of[:3], healed(of[3], who="nobody", status=200), *of[3:]], "line 5: its number must be 5 (got 4)",
    ),
    "the end cut off": (lambda of: of[:-1], "entry 6 (got 5): its end is gone"),
    "the end cut off within a line": (lambda of: [*of[:-1], of[-1][:-9]], "entry 6 (got 5): its end is gone"),
    "everything cut off": (lambda of: [], "entry 6 (got 0): its end is gone"),
    "a field too many": (lambda of: [*of[:2], changed(of[2], more=1), *of[3:]], "line 3: must be an entry"),
    "no JSON": (lambda of: [*of[:2], b"?\n", *of[3:]], "line 3: must be an entry"),
    "other blanks": (
        lambda of: [*of[:2], json.dumps(json.loads(of[2]), ensure_ascii=False).encode() + b"\n", *of[3:]],
        "line 3: must be written as it was",
    ),
    "all written anew": (lambda of: rewritten([changed(of[0], who="x"), *of[1:]]), "line 6: must have the hash of the"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_tampered_with_is_found(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, (tamper, words) = written(tmp_path), TAMPERED[what]
    assert audit_commands.verify(tmp_path, None) == Exit.FINE
    out = capsys.readouterr().out
    assert out.startswith("6 entries, each as it was written") and f"head 6 {entry_of(lines[-1]).hash}\n" in out
    (tmp_path / FILE).write_bytes(b"".join(tamper(lines)))
    assert audit_commands.verify(tmp_path, None) == Exit.INVARIANT_BROKEN
    said = capsys.readouterr().err
    assert "broken: " in said and words in said


def test_another_head_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = written(tmp_path)
    for head, words in (
        (Head(6, "0" * 64), "line 6: must have the hash of the head"), (Head(3, entry_of(lines[5]).hash), "line 3:"),
        (Head(7, entry_of(lines[5]).hash), "entry 7 (got 6)"),
    ):  # fmt: skip
        write_head(tmp_path / HEAD, head)
        assert audit_commands.verify(tmp_path, None) == Exit.INVARIANT_BROKEN
        assert words in capsys.readouterr().err
        with pytest.raises(AuditError, match="must go on from entry"):
            AuditLog(tmp_path)
    (tmp_path / HEAD).write_text("[]")
    assert audit_commands.verify(tmp_path, None) == Exit.INVARIANT_BROKEN
    (tmp_path / HEAD).unlink()
    assert audit_commands.verify(tmp_path, None) == Exit.INVARIANT_BROKEN
    with pytest.raises(AuditError, match="must be there"):
        AuditLog(tmp_path)


def test_a_head_kept_elsewhere_sees_what_was_rewritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = written(tmp_path)
    kept = entry_of(lines[3]).hash
    assert audit_commands.verify(tmp_path, kept) == Exit.FINE
    assert "The hash you kept is on the way." in capsys.readouterr().out
    forged = rewritten([*lines[:2], changed(lines[2], who="x"), *lines[3:]])
    (tmp_path / FILE).write_bytes(b"".join(forged))
    write_head(tmp_path / HEAD, Head(6, entry_of(forged[-1]).hash))
    assert audit_commands.verify(tmp_path, None) == Exit.FINE, "nothing in the folder tells"
    assert audit_commands.verify(tmp_path, kept) == Exit.INVARIANT_BROKEN
    assert f"no entry has the hash {kept}" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["the last, and its hash", "the end cut off", "the last two swapped", "a last field"])
def test_a_broken_end_is_not_gone_on_with(what: str, tmp_path: Path) -> None:
    lines = written(tmp_path)
    more: dict[str, Tamper] = {
        "the last two swapped": lambda of: [*of[:4], of[5], of[4]],
        "a last field": lambda of: [*of[:5], changed(of[5], who="x")],
    }
    tamper = more[what] if what in more else TAMPERED[what][0]
    (tmp_path / FILE).write_bytes(b"".join(tamper(lines)))
    with pytest.raises(AuditError, match="windtunnel audit verify"):
        AuditLog(tmp_path)


def test_there_is_no_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit_commands.verify(tmp_path, None) == audit_commands.show(tmp_path, None, False) == Exit.WRONG_USE
    assert capsys.readouterr().err.count("must be the audit log of a gateway (got No such file or directory)") == 2


# --- a crash ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("whole", [0, 1, 2])
@pytest.mark.parametrize("torn", [1, 50, -1])
def test_a_torn_end_is_cut_off_and_said(whole: int, torn: int, tmp_path: Path) -> None:
    """The power went while entries were written that nobody was answered for: some lines whole, one torn."""
    lines = written(tmp_path)
    write_head(tmp_path / HEAD, Head(4 - whole, entry_of(lines[3 - whole]).hash))
    (tmp_path / FILE).write_bytes(b"".join(lines[:4]) + lines[4][:torn])
    ending = verified((tmp_path / FILE).read_bytes().splitlines(keepends=True), read_head(tmp_path / HEAD))
    assert ending == (Head(4, entry_of(lines[3]).hash), len(lines[4][:torn]), whole)
    log = AuditLog(tmp_path)
    log.add([entry("serve starts", "gateway", "gateway")])
    assert [one.what for one in log.after(4)] == ["cut off a torn line", "serve starts"]
    assert audit_commands.verify(tmp_path, entry_of(lines[3]).hash) == Exit.FINE


def test_a_disk_that_is_full_leaves_no_half_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AuditLog(tmp_path)
    log.add([entry("first", "a", "b")])

    def full(descriptor: int, text: bytes) -> None:
        os.write(descriptor, text[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(audit, "_append", full)
        with pytest.raises(OSError, match="No space"):
            log.add([entry("second", "a", "b")])
    log.add([entry("third", "a", "b")])
    assert [one.what for one in log.after(0)] == ["first", "third"]
    assert audit_commands.verify(tmp_path, None) == Exit.FINE


# --- pages, writers, bounds -------------------------------------------------------------------------------------------
def test_pages(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    total = 2 * PAGE + 7
    log.add([entry(f"w{number}", "a", "b") for number in range(1, total + 1)])
    again = AuditLog(tmp_path)
    for one in (log, again):
        for after in (0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, total - 1, total, total + 5):
            expected = [f"w{number}" for number in range(after + 1, min(after + PAGE, total) + 1)]
            assert [found.what for found in one.after(after)] == expected, after
        assert [found.number for found in one.after(None)] == list(range(total - PAGE + 1, total + 1))


def test_several_may_write(tmp_path: Path) -> None:
    """The gateway and commands: each goes on where another one ended."""

    def write(who: str) -> None:
        log = AuditLog(tmp_path)
        for _ in range(25):
            log.add([entry("x", who, "b"), entry("y", who, "b")])
        log.close()

    threads = [threading.Thread(target=write, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = AuditLog(tmp_path).after(0)
    assert len(found) == 200 and {one.who for one in found} == {"w0", "w1", "w2", "w3"}
    assert audit_commands.verify(tmp_path, None) == Exit.FINE


def test_unknown_keys_fill_no_disk() -> None:
    now = [0.0]
    strangers = Strangers(clock_s=lambda: now[0])
    said = [strangers.detail() for _ in range(1_000)]
    assert said == [""] * STRANGERS_MAX + [None] * (1_000 - STRANGERS_MAX)
    now[0] = 61.0
    assert strangers.detail() == f"and {1_000 - STRANGERS_MAX} more since the entry before"
    assert strangers.detail() == "" and strangers.others() == ""


def test_show_finds_a_customer_by_the_id_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from gateway.register import Register

    register = Register(tmp_path, 10)
    log = AuditLog(tmp_path)
    log.add([entry("GET /v1/customers/{customer}", "a", "auditor", register.token(one), 200) for one in ("c-1", "c-2")])
    assert b"c-1" not in (tmp_path / FILE).read_bytes()
    assert audit_commands.show(tmp_path, "c-2", True) == Exit.FINE
    (line,) = capsys.readouterr().out.splitlines()
    assert Entry(**json.loads(line)) == log.after(1)[0]
    assert audit_commands.show(tmp_path, None, False) == Exit.FINE
    assert [row.split("  ")[0] for row in capsys.readouterr().out.splitlines()] == ["1", "2"]
