"""Benchmarks that `windtunnel bench` has beside those of the engine and of the simulation."""

from collections.abc import Mapping

from scenarios.bench_rows import Benchmark, Row
from scenarios.exits import UsageError

SECONDS = 1.0, 3_600.0


def benchmarks(seconds: float) -> dict[str, Benchmark]:
    """seconds: of the gateway's open loop."""

    def gateway() -> Mapping[str, Row]:
        from loadtests import bench_gateway

        if not SECONDS[0] <= seconds <= SECONDS[1]:
            raise UsageError(f"--seconds must be between {SECONDS[0]:g} and {SECONDS[1]:,g} (got {seconds:g})")
        return bench_gateway.gateway(seconds)

    return {"gateway": gateway}
