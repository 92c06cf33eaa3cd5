"""A world on one core: a worker, the Ledger where customers share anything, and forks of both at launch."""

from engine.host.ledger import LedgerHost
from engine.host.shard import combined
from scenarios.adversary_worker import beside, with_adversaries
from scenarios.calendar import calendar_of
from scenarios.help_desk import help_desk, helped
from scenarios.settling import OneWorker, Settling
from scenarios.worker import CohortWorker, RunPlan
from sim.world import World


class LoneWorld:
    """Customers 0 … n - 1 of a plan."""

    def __init__(self, plan: RunPlan, customers: int) -> None:
        self.plan = plan
        self.worker, self.desk = CohortWorker(plan, 0, customers), help_desk(plan, customers)
        team, self.adversaries = with_adversaries(OneWorker(self.worker), plan, customers)
        bounds = [(0, customers), *([(customers, self.adversaries.count)] if self.adversaries else [])]
        self.settling = Settling(team, plan, bounds, desk=self.desk) if plan.shares else None

    @property
    def ledger(self) -> LedgerHost | None:
        return self.settling.ledger if self.settling else None

    @property
    def digest(self) -> str:
        """Of the customers, of the adversaries and of the Ledger, where there are any."""
        shards = [self.worker.shard, *([self.adversaries.shard] if self.adversaries else [])]
        return combined([*(shard.digest() for shard in shards), *([self.ledger.digest()] if self.ledger else [])])

    def run(self, since: int | None = None, until: int | None = None) -> None:
        """Live on over [since, until); the whole run where nothing is said."""
        calendar = calendar_of(self.plan)
        driven = self.settling or helped(OneWorker(self.worker), self.desk)
        World(driven, self.plan.spans, calendar, lambda t: None, since, until, self.settling).run()
        if self.settling is not None and until is None:
            self.settling.finish()
            self.worker.close(self.worker.coupon_cells())

    def fork(self, plan: RunPlan) -> "LoneWorld":
        """The same customers at the same moment before launch, to live on under another policy."""
        twin = LoneWorld.__new__(LoneWorld)
        twin.plan, twin.worker = plan, self.worker.fork(plan)
        twin.adversaries = self.adversaries.fork(plan) if self.adversaries else None
        team = beside(OneWorker(twin.worker), twin.adversaries)
        twin.desk = help_desk(plan, len(twin.worker.shard.customers))
        twin.settling = self.settling.fork(team, plan, twin.desk) if self.settling else None
        return twin
