"""The known cases, lived: what each scenario of the library expects of its comparison (FIDELITY §4)."""

from collections.abc import Iterator
from pathlib import Path

from scenarios.compare import CompareOptions, Tell, compare
from scenarios.grading_population import Fact
from scenarios.load import load_scenario
from scenarios.rivals import own, variants

PAIRING = "an interval narrower than with independent seeds"
LIBRARY = Path(__file__).resolve().parent / "library"


def case_facts(out: Path, tell: Tell) -> Iterator[Fact]:
    """One line an expectation, scenario by scenario. out: folder for the comparisons."""
    for path in sorted(LIBRARY.glob("*.scenario.yaml")):
        loaded = load_scenario(path)
        if not loaded.scenario.compare.expect:
            continue
        found = compare(loaded, [own(loaded), *variants(loaded)], CompareOptions(out=out, assumption_sets=0), tell)
        for verdict in found.verdicts:
            yield Fact(loaded.scenario.scenario, verdict.metric, verdict.text, verdict.got, not verdict.missed)
        for rival in found.manifest["rivals"]:
            factor = found.estimates[f"pairing_factor[{rival}]"].value
            if factor is not None:
                width = f"{factor:.3g} times as wide with independent seeds"
                yield Fact(loaded.scenario.scenario, f"pairing, {rival}", PAIRING, width, factor > 1)
