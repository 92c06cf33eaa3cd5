"""The deputy of a second site: it decides nothing, takes over only what it has whole, and is heard by nobody before."""

from random import Random

import pytest

from engine.host.messages import Beat, Lead, Tick
from engine.host.second_site import EPOCHS_BETWEEN_SITES, Deputy, SiteError
from engine.host.supervisor import Patience
from sim.disasters.disk import SeededDisk

LEADERS = (("ledger", "ledger.1"), ("shard-0", "shard-0.1"))
FOLLOWERS = (("ledger", "ledger.2"), ("shard-0", "shard-0.2"))
PATIENCE = Patience()


def beat(seat: str, epoch: int = 4, host: str = "", in_step: bool = True) -> Beat:
    return Beat(host or f"{seat}.1", seat, epoch, 9, True, in_step)


def deputy(*messages: Lead | Beat) -> Deputy:
    found = Deputy("second", dict(FOLLOWERS).values())
    for message in messages:
        assert found.receive(message, 0) == []
    return found


FED = (Lead(4, LEADERS, FOLLOWERS), beat("ledger"), beat("shard-0"))
LACKING = {
    "nothing heard": ((), ["nothing was ever heard of the first site"]),
    "only who leads": (FED[:1], ["ledger: ledger.2 lacks records", "shard-0: shard-0.2 lacks records"]),
    "one follows not yet": (
        (Lead(4, LEADERS, FOLLOWERS[:1], FOLLOWERS[1:]), *FED[1:]), ["shard-0: no host here follows it"],
    ),
    "one follows at the first site": (
        (Lead(4, LEADERS, (FOLLOWERS[0], ("shard-0", "shard-0.7"))), *FED[1:]), ["shard-0: no host here follows it"],
    ),
    "one is behind": ((*FED, beat("shard-0", in_step=False)), ["shard-0: shard-0.2 lacks records"]),
    "an epoch has begun since": ((*FED, Lead(5, LEADERS, FOLLOWERS)), ["ledger: ledger.2", "shard-0: shard-0.2"]),
    "said in another epoch": ((*FED[:2], beat("shard-0", epoch=3)), ["shard-0: shard-0.2 lacks records"]),
    "said by who does not lead": ((*FED[:2], beat("shard-0", host="shard-0.7")), ["shard-0: shard-0.2 lacks records"]),
    "an older epoch comes late": ((*FED, Lead(3, LEADERS)), []),
    "everything": (FED, []),
}  # fmt: skip


def test_it_knows_when_it_last_heard_of_who_led() -> None:
    found = deputy(FED[0])
    found.receive(beat("ledger"), 500)
    found.receive(Beat("ledger.2", "ledger", 4, 9, False), 900)  # one of its own
    assert found.heard_ms == 500


@pytest.mark.parametrize("name", LACKING)
def test_it_knows_what_it_lacks(name: str) -> None:
    messages, lacking = LACKING[name]
    found = deputy(*messages)
    said = found.lacking()
    assert len(said) == len(lacking) and all(one.startswith(other) for one, other in zip(said, lacking, strict=True))
    if lacking:
        with pytest.raises(SiteError):
            found.take_over(SeededDisk(Random(1)), PATIENCE, 0)


def test_its_hosts_lead_above_any_epoch_of_the_first_site() -> None:
    disk = SeededDisk(Random(1))
    supervisor = deputy(*FED).take_over(disk, PATIENCE, 0)
    assert supervisor.lead == Lead(5 + EPOCHS_BETWEEN_SITES, FOLLOWERS)
    assert EPOCHS_BETWEEN_SITES > 50_000, "one a second for half a day, by somebody who cannot be heard"
    disk.crash()
    again = deputy(*FED).take_over(disk, PATIENCE, 0)
    assert again.lead == supervisor.lead, "what it began is on its disk"


def test_what_it_starts_is_not_called_as_something_of_the_first_site() -> None:
    supervisor = deputy(*FED).take_over(SeededDisk(Random(1)), PATIENCE, 0)
    supervisor.receive(Beat("ledger.2", "ledger", supervisor.epoch, 9, True, error="no space left"), 10)
    assert list(supervisor.coming) == ["ledger.second1"]
    supervisor.receive(Tick(), 20)
