"""What fraud rules said, of whom, and what it came to, as the columns of a run's tables: counts since launch."""

from collections.abc import Iterable, Mapping

import numpy as np

from engine.fraud_records import RuleCell
from engine.host.ledger import LedgerHost
from engine.policy.document import Policy
from engine.policy.tables import CompiledPolicy
from engine.records import Tallies
from scenarios.adversaries_build import NAMES
from scenarios.origins_build import FIELDS, shares_of
from scenarios.outputs import Columns, append, empty
from scenarios.population_document import Population
from sim.adversaries.underworld import Takings
from sim.judged import KINDS, Judged, Standing
from sim.origin_model import FRAUD, HONEST, Account

FRAUD_TABLES = ("rules", "rule_pairs", "accounts")
STATISTICS = ("rules", "together", "asks", "standings")  # of workers, that these tables are made of
_BY_TRUTH = ("fired", "alone", "answered", "stopped", "alone_face")
_TAKEN = ("crews", "persons", "face", "resale", "rewards", "costs", "honest", "refused", "let_through")
_STOOD = tuple(standing.name.lower() for standing in Standing)


def kind_name(account: Account) -> str:
    """As documents call it."""
    return NAMES.get(account) or FIELDS.get(account) or account.name.lower()


def who_is_who(population: Population, policy: Policy) -> dict[str, list[str]]:
    """What a manifest says of fraud: kinds of attackers, groups of good customers, rules that are not off. Empty where
    nobody says who is who."""
    attackers = [*population.adversaries.crews.given()] if population.adversaries else []
    shares = zip(HONEST, shares_of(population.origins), strict=True)
    groups = [kind_name(kind) for kind, people in shares if people]
    rules = [name for name, row in policy.fraud.rows().items() if row.is_on] if attackers or groups else []
    return {"attackers": attackers, "groups": groups, "rules": rules}


class FraudOutputs:
    """Tables of fraud rules, from the statistics and tallies of all workers, the Ledger, and what crews took."""

    def __init__(
        self,
        compiled: CompiledPolicy,
        statistics: Mapping[str, np.ndarray],
        tallies: Tallies,
        ledger: LedgerHost | None,
        takings: Iterable[Takings],
    ) -> None:
        self.compiled, self.statistics = compiled, statistics
        self.cells = tallies.rules.sum(axis=0)
        if ledger is not None:
            self.cells = self.cells + ledger.found.cells.sum(axis=0)[: len(self.cells)]
        self.takings = {taking.kind: taking for taking in takings}

    def tables(self) -> dict[str, Columns]:
        return {"rules": self.rules(), "rule_pairs": self.rule_pairs(), "accounts": self.accounts()}

    def rules(self) -> Columns:
        """Each rule that is not off: what it looked at, and at whom it fired. Money in fen."""
        counted = [cell.name.lower() for cell in RuleCell]
        columns = empty(
            ["rule", "mode", "answer", *counted, *(f"{m}_{w}" for m in _BY_TRUTH for w in ("fraud", "good"))]
        )
        said, rows = self.statistics["rules"], self.compiled.policy.fraud.rows()
        for name, slot in self.compiled.rules.items():
            if rows[name].is_on:
                truths = {
                    "fraud": said[list(FRAUD), slot].sum(axis=0),
                    "good": said[: Account.OWN + 1, slot].sum(axis=0),
                }
                append(
                    columns, rule=name, mode=rows[name].mode or "active", answer=rows[name].answer or "",
                    **{word: int(self.cells[slot, cell]) for cell, word in enumerate(counted)},
                    **{
                        f"{measure}_{word}": int(cells[Judged[measure.upper()]])
                        for measure in _BY_TRUTH for word, cells in truths.items()
                    },
                )  # fmt: skip
        return columns

    def rule_pairs(self) -> Columns:
        """Asks at which two rules fired together."""
        columns = empty(["rule", "other", "fraud", "good"])
        good, fraud = self.statistics["together"]
        for name, slot in self.compiled.rules.items():
            for other, at in self.compiled.rules.items():
                if slot < at and good[slot, at] + fraud[slot, at] > 0:
                    append(columns, rule=name, other=other, fraud=int(fraud[slot, at]), good=int(good[slot, at]))
        return columns

    def accounts(self) -> Columns:
        """Each kind of account that there is: how many met what, and what crews took, in fen."""
        columns = empty(["kind", "truth", "asks", *_STOOD, *_TAKEN, "let_through_share"])
        standings, asks = self.statistics["standings"], self.statistics["asks"]
        for account in (*HONEST, *FRAUD):
            taking = self.takings.get(account)
            stood = dict(zip(_STOOD, standings[account].tolist(), strict=True))
            if taking is not None:
                stood["accounts"] = taking.accounts
            if not stood["accounts"] and taking is None:
                continue
            append(
                columns, kind=kind_name(account), truth="fraud" if account in FRAUD else "good",
                asks=int(asks[account].sum()), **stood,
                **{name: getattr(taking, name) if taking else 0 for name in _TAKEN},
                let_through_share=self.compiled.policy.fraud.let_through,
            )  # fmt: skip
        return columns


assert len(FRAUD) == len(NAMES) and max(FRAUD) < KINDS
