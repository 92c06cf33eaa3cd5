"""A plan for Locust started by hand: its processes cannot live a scenario themselves, so they call this one.

`python -m loadtests.planning OPTIONS` with a JSON object makes a tape and everybody known, and prints the plan's path.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from loadtests.bench_servers import BenchError
from loadtests.generator.adapters import AdapterError
from loadtests.generator.arrivals import POISSON
from loadtests.generator.plan import LoadPlan
from loadtests.generator.profiles import PROFILES
from loadtests.journeys import lived
from loadtests.load_commands import MIX, SCENARIO, problems
from loadtests.load_run import Bench, LoadOptions, target_of
from loadtests.target import enrolled
from scenarios.exits import UsageError

NO_GATEWAY = {"shards": "1"}  # is started: what it would have is not asked


def planned(said: dict[str, Any]) -> Path:
    """said: a profile and fields of LoadOptions. Raises UsageError, BenchError, AdapterError."""
    profile = said.pop("profile")
    given = {"law": POISSON, "scenario": None, "adapter": None, "url": ""} | said
    wrong = problems(profile, given | NO_GATEWAY) + ([] if given["url"] else ["--url must be given (got nothing)"])
    if wrong:
        raise UsageError("\n".join(wrong))

    given["scenario"] = Path(given["scenario"] or SCENARIO)
    given["adapter"] = Path(given["adapter"]) if given["adapter"] else None
    options = LoadOptions(**{name: value for name, value in given.items() if name not in MIX})
    people = lived(options.scenario, options.customers, options.days, options.seed)
    folder = Path(tempfile.mkdtemp(prefix="windtunnel-load-"))
    with target_of(options, people, folder) as target:
        enrolled(target, people, options.ca_file)
        bench = Bench(options, target, PROFILES[profile], people, folder)
        plan: LoadPlan = bench.plan(PROFILES[profile].stages(options.rate, options.seconds), result="")
        plan.write(folder / "plan.json")
    return folder / "plan.json"


if __name__ == "__main__":
    try:
        print(planned(json.loads(sys.argv[1])))
    except (UsageError, BenchError, AdapterError) as error:
        sys.exit(str(error).replace("--", "--load-").replace("--load-url", "--host"))
