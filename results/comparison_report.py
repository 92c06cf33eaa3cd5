"""A comparison's folder -> report.html, which opens offline, and page.html, one A4 page for the meeting."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from results import comparison_pictures as pictures
from results import comparison_sections as sections
from results.comparison_coupons import by_coupon
from results.comparison_fraud_sections import fraud_section
from results.comparison_lead import ComparisonLead, comparison_lead
from results.comparison_marks import Findings, badge, findings
from results.comparison_money import leave_one_out, price, waterfall
from results.comparison_page import page_content
from results.comparison_segments import Segment, segment_table, segments
from results.comparison_truth import truth_table
from results.comparison_words import measure_in_chinese, measure_name
from results.comparisons import Estimates
from results.pages import TEMPLATES, rendered, written
from results.sections import expectations
from results.words import plain

FILTERS = {"plain": plain, "badge": badge}


def render_comparison(folder: Path, known: Estimates | None = None) -> Path:
    """Write `report.html` and `page.html`, each whole or not at all; returns the report's path. known: its figures."""
    with findings(folder, known) as opened:
        lead = comparison_lead(opened)
        opened = replace(opened, order=tuple(said.goal.policy for said in lead.said))
        split = {rival: segments(opened, rival) for rival in opened.rivals}
        shared = shared_content(opened, lead)
        report_html = rendered("comparison.html.j2", {**shared, **content(opened, split)}, FILTERS)
        page_html = rendered("page.html.j2", {**shared, **page_content(opened, lead, split)}, FILTERS)
    written(Path(folder) / "page.html", page_html)
    return written(Path(folder) / "report.html", report_html)


def shared_content(opened: Findings, lead: ComparisonLead) -> dict[str, Any]:
    """What both pages need."""
    return {
        "manifest": opened.manifest,
        "lead": lead,
        "css": stylesheet("report.css") + stylesheet("comparison.css"),
        "page_css": stylesheet("page.css"),
        "measure": f"{measure_name(opened.measure)} {measure_in_chinese(opened.measure)}",
        "shared": opened.manifest["unit"] == "world" and not opened.manifest["early"],
        "days": opened.days,
    }


def stylesheet(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def content(opened: Findings, split: dict[str, list[Segment]]) -> dict[str, Any]:
    """Everything the report's template places, in the order it is read."""
    return {
        **of_rivals(opened, split),
        "truths": [
            {
                "name": name,
                "table": pictures.truth(opened, name) + truth_table(opened, name),
                "arms": sections.arms(opened, name),
            }
            for name in opened.manifest["truth"]
        ],
        "left_out": leave_one_out(opened),
        "coupons": by_coupon(opened),
        "fraud": fraud_section(opened),
        "expectations": expectations(opened.database),
        "worlds": sections.worlds(opened),
        "tables": sorted(path.stem for path in opened.database.tables.glob("*.parquet")),
        "plotly": Markup(get_plotlyjs()),
        "script": Markup((TEMPLATES / "report.js").read_text(encoding="utf-8")),
    }


def divided(opened: Findings, rival: str, found: list[Segment]) -> Markup:
    drawn = (pictures.segments(opened, rival, found), pictures.winners(opened, rival))
    return Markup('<div class="gallery">{}</div>{}').format(Markup("").join(drawn), segment_table(opened, rival, found))


def of_rivals(opened: Findings, split: dict[str, list[Segment]]) -> dict[str, Any]:
    """What speaks of differences between policies; empty where only a campaign's truth was asked for."""
    sets = opened.manifest["assumption_sets"]
    rivals = [
        {
            "name": rival,
            "segments": divided(opened, rival, split[rival]),
            "waterfall": pictures.waterfall(opened, rival) + waterfall(opened, rival),
            "price": price(opened, rival),
            "worlds": pictures.worlds(opened, rival),
            "robust": pictures.draws(opened, rival) + sections.robustness(opened, rival) if sets else "",
        }
        for rival in opened.rivals
    ]
    if not rivals:
        return {"rivals": [], "goals": "", "guardrails": "", "measures": "", "crowding": ""}
    return {
        "rivals": rivals,
        "goals": pictures.goals(opened) + sections.goals(opened),
        "guardrails": sections.guardrails(opened),
        "measures": sections.measures(opened),
        "crowding": pictures.crowding(opened) + sections.crowding(opened),
    }
