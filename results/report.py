"""A run's folder -> one HTML file that opens offline: estimates, sections, one template."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from results import (
    breaker_sections,
    coupon_pictures,
    coupon_sections,
    desk_sections,
    fraud_sections,
    fraud_truth_sections,
    pictures,
    sections,
)
from results.lead import KNOWN_CASE, lead
from results.markup import queried, source
from results.metrics import metrics, shared_bound
from results.pages import TEMPLATES, rendered, written
from results.query import Database
from results.review_sections import reviews
from results.statistics import Estimate
from results.store import open_run
from results.words import channel, goal, plain


def render(run_folder: Path, found: dict[str, Estimate] | None = None) -> Path:
    """Write `report.html` into the run's folder, whole or not at all; returns its path. found: its metrics if known."""
    folder = Path(run_folder)
    run = open_run(folder)
    with Database(folder) as database:
        content = _content(database, run.manifest, found or metrics(run))
        html = rendered("report.html.j2", content, {"plain": plain, "channel": channel})
    return written(folder / "report.html", html)


def plain_lead(run_folder: Path, found: dict[str, Estimate] | None = None) -> str:
    """The report's first sentences as plain text. found: the run's metrics if known."""
    run = open_run(run_folder)
    with Database(run_folder) as database:
        base = queried(database, "SELECT customer_base FROM run", "count")
        answer = lead(run.manifest, found or metrics(run), base)
    return " ".join(" ".join(str(part.striptags()).split()) for part in (answer.sentences, answer.risk) if part)


def _content(database: Database, manifest: dict[str, Any], found: dict[str, Estimate]) -> dict[str, Any]:
    """Everything the template places, in the order it is read."""
    base = {
        name: queried(database, f"SELECT {name} FROM run", "count") for name in ("customers", "customer_base", "events")
    }
    answer = lead(manifest, found, base["customer_base"])
    leading = manifest["primary"]
    campaigns = sorted(manifest["campaigns"], key=lambda campaign: campaign["name"] != leading)
    tested = [campaign for campaign in campaigns if len(campaign["arms"]) > 1]
    first = campaigns[0] if leading else None
    return {
        "manifest": manifest,
        "days": _days(manifest),
        "lead": answer,
        "lead_source": source(*(q for key in answer.keys for q in (found[key].query, found[key].counts_query))),
        "known_case": KNOWN_CASE if manifest["known_case"] else "",
        "base": base,
        "uptake": pictures.uptake(first["name"], goal(first["goal"])[0], found)
        if first and f"lift[{leading}]" in found
        else "",
        "expectations": sections.expectations(database),
        "coupons": _coupons(database, manifest, found) if manifest.get("coupons") else None,
        "operations": breaker_sections.told(database) if manifest.get("breakers") else "",
        "fraud": fraud_sections.told(database) if manifest.get("fraud") else "",
        "support": desk_sections.told(database) if manifest.get("support") else "",
        "reviews": reviews(database, manifest),
        "fraud_truth": fraud_truth_sections.told(database, manifest),
        "budgets": coupon_sections.budgets(database) + coupon_pictures.burns(database, manifest)
        if manifest.get("budgets")
        else "",
        "cards": sections.cards(manifest, found),
        "added": sections.campaign_added(first, found) if first else "",
        "programme": sections.programme_added(found),
        "campaigns": [
            {**c, "funnel": sections.funnel(database, c["name"]), "waterfall": sections.waterfall(database, c["name"])}
            for c in campaigns
        ],
        "touches": pictures.touches(database),
        "weeks": sections.weeks(database),
        "tested": [
            {"name": c["name"], "chart": pictures.arms(c, found), "table": sections.arms(c, found)} for c in tested
        ],
        "fatigue": pictures.fatigue(database),
        "population": sections.phases(database) + pictures.population(database),
        "paths": sections.paths(database),
        "segments": sections.segments(database, leading),
        "all_metrics": sections.all_metrics(found),
        "failures": sections.failures(database),
        "shared": shared_bound(database, manifest),
        "wall": queried(database, "SELECT wall_s FROM run", "seconds:1"),
        "tables": sorted(path.name for path in database.tables.glob("*.parquet")),
        "plotly": Markup(get_plotlyjs()),
        "css": Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        "script": Markup((TEMPLATES / "report.js").read_text(encoding="utf-8")),
    }


def _coupons(database: Database, manifest: dict[str, Any], found: dict[str, Estimate]) -> dict[str, Any]:
    return {
        "said": coupon_sections.money_sentence(database, found),
        "open": coupon_sections.open_sentence(found),
        "ran_out": coupon_sections.ran_out(database),
        "cost": coupon_sections.cost(database),
        "returns": coupon_sections.returns(manifest, found) + coupon_pictures.returning(database, manifest),
        "supply": coupon_sections.supply(database),
        "refused": coupon_sections.refused(database),
        "cohorts": coupon_pictures.cohorts(database, manifest),
    }


def _days(manifest: dict[str, Any]) -> dict[str, str]:
    """The three phases as dates; `start` is the campaign's first day."""
    start = date.fromisoformat(str(manifest["start"]))
    edges = [start - timedelta(manifest["before"]), start, start + timedelta(manifest["days"])]
    edges.append(edges[2] + timedelta(manifest["after"]))
    spans = zip(("before", "campaign", "tail"), edges, edges[1:], strict=False)
    return {name: _span(a, b - timedelta(1)) for name, a, b in spans}


def _span(first: date, last: date) -> str:
    year = "" if first.year == last.year else f" {first.year}"
    return f"{first.day} {first:%b}{year} – {last.day} {last:%b %Y}"
