"""The journal: what was synced is found again after any crash, what was not is cut off, and damage is refused."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.host.disk import FolderDisk
from engine.host.journal import HEAD, MARK, SEGMENT_HEAD, Journal, JournalError, Record, packed, parsed
from sim.disasters.disk import Faults, SeededDisk

SMALL = 2_000  # bytes of a segment, so that there are many


def opened(disk: SeededDisk | FolderDisk, segment_bytes: int = SMALL) -> tuple[Journal, list[Record]]:
    journal = Journal(disk, "shard", segment_bytes)
    return journal, list(journal.records())


def payload(random: Random) -> bytes:
    return random.randbytes(random.choice((0, 1, 40, 700, 3_000)))


# --- lives and crashes ------------------------------------------------------------------------------------------------
@given(st.integers(0, 2**32), st.booleans())
def test_what_was_synced_is_kept_and_what_was_not_is_a_clean_end(seed: int, faulty: bool) -> None:
    """Several lives, each ended by a loss of power somewhere: the journal holds all that was durable, in order, perhaps
    some of what was not, and nothing else."""
    random = Random(seed)
    disk = SeededDisk(random)
    written: list[Record] = []
    promised = 0
    for epoch in range(1, random.randrange(2, 6)):
        disk.faults = Faults()
        journal, found = opened(disk)
        assert found == written[: len(found)] and len(found) >= promised
        written = found
        if faulty:
            disk.faults = Faults(0.02, 0.05, random.choice((0, 20_000)))
        try:
            for _ in range(random.randrange(40)):
                data = payload(random)
                number = journal.append(epoch, data)
                written.append(Record(epoch, number, data))
                if random.random() < 0.4:
                    journal.sync()
                    promised = journal.durable
        except JournalError:
            with pytest.raises(JournalError, match="takes nothing more until it is read again"):
                journal.append(epoch, b"")
        promised = max(promised, journal.durable)
        disk.crash()


@given(st.integers(0, 2**32))
def test_forgetting_keeps_what_is_asked_for(seed: int) -> None:
    random, disk = Random(seed), SeededDisk(Random(seed))
    journal, _ = opened(disk)
    kept = 0
    for number in range(1, 40):
        journal.append(1, payload(random))
        journal.sync()
        if random.random() < 0.2:
            kept = random.randrange(max(kept, 1), number + 1)
            journal.keep_from(kept)
    again, found = opened(disk)
    assert [record.number for record in found] == list(range(found[0].number, 40))
    assert found[0].number <= max(kept, 1)
    assert again.number == 39
    assert len(disk.files) == 1 + again._last - again._first + 1, "segments that nobody needs are gone"


def test_what_was_to_be_forgotten_when_power_went_is_forgotten_later() -> None:
    disk = SeededDisk(Random(1))
    journal, _ = opened(disk)
    for _ in range(20):
        journal.append(1, bytes(500))
    journal.sync()
    removing, disk.remove = disk.remove, lambda name: None  # type: ignore[method-assign]
    journal.keep_from(12)
    disk.remove = removing  # type: ignore[method-assign]
    assert ONE in disk.files
    opened(disk)
    assert ONE not in disk.files


# --- damage -----------------------------------------------------------------------------------------------------------
def flip(data: bytearray, at: int) -> None:
    data[at] ^= 0x10


def second_record(data: bytearray) -> int:
    found = parsed(bytes(data), SEGMENT_HEAD.size)
    assert found is not None
    return found[2]


Damage = Callable[[dict[str, bytearray]], None]
ONE, LAST = "shard-00000001", "shard-00000003"
DAMAGES: list[tuple[str, Damage, str]] = [
    ("a bit of a payload", lambda f: flip(f[ONE], second_record(f[ONE]) + HEAD.size + 3), "record 2 is damaged"),
    ("a bit of a length", lambda f: flip(f[ONE], second_record(f[ONE]) + 8), "record 2 is damaged"),
    ("a bit of a mark", lambda f: flip(f[ONE], second_record(f[ONE])), "record 2 is damaged"),
    (
        "a bit where nothing follows but records",
        lambda f: flip(f[LAST], second_record(f[LAST]) + HEAD.size + 3),
        "record 10 is damaged, and record 11 says that it was kept",
    ),
    ("the end of a segment", lambda f: f[ONE].__delitem__(slice(-1, None)), "follows"),
    ("a segment", lambda f: f.__delitem__("shard-00000002") or None, "is missing"),  # type: ignore[func-returns-value]
    ("the version", lambda f: flip(f[ONE], 4), "not a journal of version 1"),
    ("the list of segments", lambda f: f["shard"].__setitem__(slice(0, 1), b"x"), "must list segments"),
    ("a record that came before", lambda f: f[ONE].extend(packed(Record(1, 1, b""), 0)), "is missing"),
    ("a lower epoch", lambda f: f[LAST].extend(packed(Record(1, 13, b""), 0)), "comes after epoch 2"),
]


@pytest.mark.parametrize(("what", "damage", "said"), DAMAGES, ids=[what for what, _, _ in DAMAGES])
def test_damage_is_refused_and_nothing_is_guessed(what: str, damage: Damage, said: str) -> None:
    disk = SeededDisk(Random(1))
    journal, _ = opened(disk)
    for number in range(12):
        journal.append(1 + number // 6, bytes([number]) * 500)
        journal.sync()
    files = {name: file.data for name, file in disk.files.items()}
    before = {name: bytes(data) for name, data in files.items()}
    damage(files)
    disk.files = {name: file for name, file in disk.files.items() if name in files}
    after = {name: bytes(data) for name, data in files.items()}
    assert after != before
    with pytest.raises(JournalError, match=said):
        opened(disk)
    assert {name: bytes(file.data) for name, file in disk.files.items()} == after, "a refused journal is left as it is"


def test_what_is_read_again_after_a_failed_sync_is_kept_from_then_on() -> None:
    """A failed sync may leave its data to be read, and lost at the next crash, whatever syncs come in between."""
    for seed in range(40):
        disk = SeededDisk(Random(seed))
        journal, _ = opened(disk)
        journal.append(1, bytes(700))
        disk.faults = Faults(sync_fails=1.0)
        with pytest.raises(JournalError, match="could not sync"):
            journal.sync()
        disk.faults = Faults()
        journal, found = opened(disk)
        assert journal.durable == len(found)
        journal.append(1, b"on")
        journal.sync()
        disk.crash()
        assert len(opened(disk)[1]) == len(found) + 1


def test_a_torn_last_record_is_cut_off() -> None:
    """Wherever the last write was cut: nobody was promised it."""
    for left in range(1, HEAD.size + 500):
        disk = SeededDisk(Random(1))
        journal, _ = opened(disk, 10_000)
        for number in range(3):
            journal.append(1, MARK * (number + 100))  # what looks like the beginning of records is none
        del disk.files[ONE].data[-left:]
        journal, found = opened(disk, 10_000)
        kept = 2 - (left > HEAD.size + 408)
        assert [record.number for record in found] == [1, 2][:kept]
        assert journal.append(2, b"on") == kept + 1
        journal.sync()
        assert [record.epoch for record in opened(disk, 10_000)[1]] == [1] * kept + [2]


# --- a real folder ----------------------------------------------------------------------------------------------------
def test_a_folder_keeps_it(tmp_path: Path) -> None:
    disk = FolderDisk(tmp_path)
    journal, _ = opened(disk)
    for number in range(20):
        journal.append(3, bytes([number]) * 400)
    journal.sync()
    journal.keep_from(12)
    disk.close()
    again, found = opened(FolderDisk(tmp_path))
    assert [record.payload[0] for record in found] == list(range(found[0].number - 1, 20))
    assert (again.number, again.epoch, again.durable) == (20, 3, 20)
    with pytest.raises(JournalError, match="epoch 2 is lower than 3"):
        again.append(2, b"")


def test_a_full_disk_is_said_and_nothing_is_promised(tmp_path: Path) -> None:
    """/dev/full takes nothing: the error names the cause, and nothing counts as kept."""
    journal, _ = opened(FolderDisk(tmp_path))
    journal.append(1, b"kept")
    journal.sync()
    full = FolderDisk(tmp_path)
    journal.disk = full
    (tmp_path / "full").symlink_to("/dev/full")
    journal.file = lambda segment: "full"  # type: ignore[method-assign]
    with pytest.raises(JournalError, match="could not write the disk: No space left on device"):
        journal.append(1, b"lost")
    assert (journal.number, journal.durable) == (1, 1)
    assert [record.payload for record in opened(FolderDisk(tmp_path))[1]] == [b"kept"]
