"""Templates to pages: one environment for all reports, and files written whole or not at all."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

TEMPLATES = Path(__file__).parent / "templates"


def rendered(template: str, placed: Mapping[str, Any], filters: Mapping[str, Callable[..., Any]]) -> str:
    """A template with everything it places; what it names and nobody gave is an error."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    return environment.get_template(template).render(placed)


def furniture() -> dict[str, Markup]:
    """What every page with charts has: styles, Plotly, and the script that draws with it."""
    return {
        "css": Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        "plotly": Markup(get_plotlyjs()),
        "script": Markup((TEMPLATES / "report.js").read_text(encoding="utf-8")),
    }


def written(target: Path, html: str) -> Path:
    draft = target.with_suffix(".html.writing")
    draft.write_text(html, encoding="utf-8")
    os.replace(draft, target)
    return target
