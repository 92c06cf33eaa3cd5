"""The supervisor of a second site. It listens, and takes over when a person says so: nobody else can know that the
first site is gone, and not just out of reach."""

from collections.abc import Container

from engine.host.disk import Disk
from engine.host.messages import Beat, Envelope, Lead, Message
from engine.host.supervisor import Patience, Seating, Supervisor

EPOCHS_BETWEEN_SITES = 1_000_000  # more than the first site can begin on its own


class SiteError(Exception):
    """The second site lacks something; says what, a sentence a seat."""


class Deputy:
    """`receive(message, now) -> envelopes`, none of them: it decides nothing until it takes over."""

    def __init__(self, site: str, hosts: Container[str]) -> None:
        """hosts: those of this site."""
        self.site, self.hosts = site, hosts
        self.lead: Lead | None = None  # the first site's latest
        self.in_step: dict[str, bool] = {}  # by seat, of that epoch: our host has all that was promised
        self.heard_ms = 0  # when we last heard of one of its leaders; what it does unheard, we do not have

    def receive(self, message: Message, now: int) -> list[Envelope]:
        if isinstance(message, Lead) and (self.lead is None or message.epoch > self.lead.epoch):
            self.lead, self.in_step = message, {}
        elif isinstance(message, Beat) and self._is_of_a_leader(message):
            self.in_step[message.seat], self.heard_ms = message.in_step, now
        return []

    def _is_of_a_leader(self, beat: Beat) -> bool:
        lead = self.lead
        return lead is not None and beat.leads and (beat.seat, beat.host) in lead.leaders and beat.epoch == lead.epoch

    def lacking(self) -> list[str]:
        """What keeps this site from having everything that was promised."""
        if self.lead is None:
            return ["nothing was ever heard of the first site"]
        followers = {seat: host for seat, host in self.lead.followers if host in self.hosts}
        return [
            f"{seat}: no host here follows it" if seat not in followers else f"{seat}: {followers[seat]} lacks records"
            for seat, _ in self.lead.leaders
            if seat not in followers or not self.in_step.get(seat)
        ]

    def take_over(self, disk: Disk, patience: Patience, now: int) -> Supervisor:
        """Those who followed lead from here on, and the first site's epochs are over. Raises SiteError."""
        lacking = self.lacking()
        if lacking:
            raise SiteError("\n".join(lacking))
        assert self.lead is not None
        seats = {seat: Seating(host) for seat, host in self.lead.followers}
        placed = {one.leader: self.site for one in seats.values()}
        epoch = self.lead.epoch + EPOCHS_BETWEEN_SITES
        return Supervisor(disk, seats, patience, False, now, placed, site=self.site, epoch=epoch)
