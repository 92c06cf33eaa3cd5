"""What must hold in every run: the waterfall adds up, and shards counted the coupons that the Ledger granted. A broken
sum is a bug, never a result."""

from results.coupon_catalogue import PAID
from results.query import Database
from results.store import Run
from results.tables import require

_JOINED = """
SELECT date, campaign, w.shown, w.held_out, c.exposures, c.ghosts
FROM (SELECT date, campaign, coalesce(sum(candidates) FILTER (WHERE reason = 'shown'), 0) AS shown,
             coalesce(sum(candidates) FILTER (WHERE reason = 'held_out'), 0) AS held_out
      FROM waterfall GROUP BY ALL) w
FULL JOIN (SELECT date, campaign, sum(exposures) AS exposures, sum(ghosts) AS ghosts FROM cells GROUP BY ALL) c
USING (date, campaign)
WHERE coalesce(w.shown, 0) <> coalesce(c.exposures, 0) OR coalesce(w.held_out, 0) <> coalesce(c.ghosts, 0)
ORDER BY ALL"""

_DECIDED = """
SELECT date, w.shown, d.shown
FROM (SELECT date, coalesce(sum(candidates) FILTER (WHERE reason = 'shown'), 0) AS shown FROM waterfall GROUP BY ALL) w
FULL JOIN (SELECT date, coalesce(sum(decisions) FILTER (WHERE reason = 'shown'), 0) AS shown
           FROM decisions GROUP BY ALL) d
USING (date)
WHERE coalesce(w.shown, 0) <> coalesce(d.shown, 0)
ORDER BY ALL"""

_WITHOUT_CANDIDATE = "SELECT sum(candidates) FROM waterfall WHERE reason = 'no_candidate'"
_CANDIDATES = "SELECT sum(candidates) FROM waterfall"
_DECISIONS = "SELECT sum(decisions) FROM decisions WHERE reason <> 'no_candidate'"


def check_waterfall(run: Run) -> None:
    """AssertionError unless candidates = shown + every reason, and the counts kept elsewhere agree.

    Per day and campaign: shown = exposures and held out = ghosts (`cells`). Per day: shown = decisions that showed. In
    all: candidates = the manifest's own count, where it has one, and at least one per decision that had a candidate.
    """
    with Database(run.folder) as database:
        _check_counts_agree(database)
        candidates = database.number(_CANDIDATES)
        counted = run.manifest.get("candidates")
        require(counted is None or counted == candidates, f"candidates {counted} <> shown + reasons {candidates:.0f}")
        decided = database.number(_DECISIONS)
        require(
            candidates >= decided, f"{decided:.0f} decisions had a candidate, but only {candidates:.0f} are counted"
        )


_GRANTED = """
SELECT coupon, stock.granted, issued FROM stock
LEFT JOIN (SELECT coupon, sum(granted) AS issued FROM cohorts GROUP BY coupon) USING (coupon)
WHERE stock.granted <> coalesce(issued, 0) ORDER BY coupon"""

_TAKEN_OFF = "SELECT coalesce(sum(discount), 0) / 100.0 FROM cohorts WHERE since_launch"
_PAID = f"SELECT coalesce(sum(paid), 0) / 100.0 FROM {PAID}"


def check_coupons(run: Run) -> None:
    """AssertionError unless every coupon the Ledger granted is in one cohort, and its funders pay what it took off.

    A coupon passed on at the very end is for a moment its giver's and its receiver's: those are left out.
    """
    settled = {coupon["name"] for coupon in run.manifest.get("coupons", []) if not coupon.get("transferable")}
    with Database(run.folder) as database:
        for coupon, granted, issued in database.rows(_GRANTED):
            require(coupon not in settled, f"coupon {coupon}: the Ledger granted {granted}, shards issued {issued}")
        taken, paid = database.value(_TAKEN_OFF), database.value(_PAID)
        known = database.number("SELECT count(*) FROM cohorts SEMI JOIN coupons USING (coupon)")
        every = database.number("SELECT count(*) FROM cohorts")
        require(known < every or taken == paid, f"coupons took off {taken} yuan, their funders pay {paid}")


def _check_counts_agree(database: Database) -> None:
    require(
        database.number(_WITHOUT_CANDIDATE) == 0, "waterfall: no_candidate is a decision's reason, not a candidate's"
    )
    for date, campaign, shown, held_out, exposures, ghosts in database.rows(_JOINED):
        counted = f"waterfall shown {shown}, held out {held_out}; cells exposures {exposures}, ghosts {ghosts}"
        require(False, f"{date} {campaign}: {counted}")
    for date, shown, decided in database.rows(_DECIDED):
        require(False, f"{date}: waterfall shown {shown}, decisions shown {decided}")
