"""A switch carries out what the supervisor orders: who takes over has the disk of the lost one or is not started."""

from pathlib import Path

from engine.host.messages import Replace
from engine.host.switch import Switch

SEAT = "shard-0"
TAKES_OVER = Replace(SEAT, ("shard-0.1",), "shard-0.2")


class NoFleet:
    """Processes end when they are told to; which are started is remembered by whoever starts them."""

    def end(self, host: str) -> None:
        """At once."""


class Room:
    """A switch on a folder, and whom it started."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.started = folder, list[str]()
        self.switch = Switch(NoFleet(), folder, lambda host, seat, own, node: self.started.append(host))  # type: ignore[arg-type]

    def has(self, host: str, text: str) -> None:
        (self.folder / host).mkdir(parents=True)
        (self.folder / host / "journal").write_text(text)

    def kept(self) -> dict[str, str]:
        return {file.parent.name: file.read_text() for file in self.folder.rglob("journal")}


def test_who_takes_over_has_the_disk_of_the_lost_one(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.has("shard-0.1", "all")
    for _ in range(3):  # it is said until it is done
        room.switch._order(TAKES_OVER)
    assert (room.started, room.kept()) == (["shard-0.2"], {"shard-0.2": "all"})


def test_who_was_to_take_over_when_we_ended_does(tmp_path: Path) -> None:
    """The folder was renamed, and nobody had heard of the new host."""
    room = Room(tmp_path)
    room.has("shard-0.2", "all")
    room.switch._order(TAKES_OVER)
    assert (room.started, room.kept()) == (["shard-0.2"], {"shard-0.2": "all"})


def test_a_disk_is_not_put_over_another_one(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.has("shard-0.1", "old")
    room.has("shard-0.2", "all")
    room.switch._order(TAKES_OVER)
    assert room.kept() == {"shard-0.1": "old", "shard-0.2": "all"}


def test_nobody_is_started_on_a_disk_that_is_not_there(tmp_path: Path) -> None:
    room = Room(tmp_path)
    for _ in range(3):
        room.switch._order(TAKES_OVER)
    assert (room.started, room.switch.diskless) == ([], {"shard-0.2": ("shard-0.1",)})
    assert [event.what for event in room.switch.events] == ["no disk"], "told once"
    room.switch._order(Replace(SEAT, (), "shard-0.3", afresh=True))
    assert room.started == ["shard-0.3"] and (tmp_path / "shard-0.3").is_dir()
