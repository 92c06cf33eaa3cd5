"""Compiles what hosts call, beside the small world that compiles what runs call: `make test` begins with both."""

import time
from pathlib import Path

from engine.compiled import OF_HOSTS, is_compiled, mark_compiled
from engine.policy.tables import load_policy
from gateway.engine_room import Beginning, Build, compiled_for

POLICY = Path(__file__).resolve().parent.parent / "scenarios" / "library" / "policies" / "coupon_shop.yaml"
NOW_MS = time.time_ns() // 1_000_000

if __name__ == "__main__" and not is_compiled(OF_HOSTS):
    Build(compiled_for(load_policy(POLICY), NOW_MS), Beginning("", "", 200, 1, NOW_MS)).warm()
    mark_compiled(OF_HOSTS)
