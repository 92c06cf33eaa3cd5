"""`windtunnel serve`, `keys` and `openapi`: what they check first, and what they say."""

import json
from pathlib import Path
from typing import Any

from engine.policy.tables import load_policy
from gateway.keys import Keys, KeysError, Role
from gateway.register import RegisterError
from scenarios.console import complain, guarded, print_json
from scenarios.exits import Exit, UsageError

CUSTOMERS_MOST, SHARDS_MOST, PORT_MOST = 10_000_000, 32, 65_535
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve(policy: Path, folder: Path, **given: Any) -> int:
    """Serve a policy until told to stop; exit code."""

    def action() -> int:
        from engine.host.ray_cluster import ClusterError
        from gateway.engine_room import FolderError
        from gateway.serve import ServeError, Serving
        from gateway.serve import serve as run

        check(given)
        found = load_policy(policy)
        try:
            answered = run(found, Serving(folder, **given), lambda line: print(line, flush=True))
        except (FolderError, ServeError, KeysError, RegisterError, ClusterError) as error:
            raise UsageError(str(error)) from None
        if answered:
            print("stopped; everything that was taken was answered")
            return Exit.FINE
        complain("stopped; not everybody was answered: they ask again, claims and orders under the same id")
        return Exit.HARNESS_ERROR

    return guarded(action)


def check(given: dict[str, Any]) -> None:
    """UsageError with everything that is out of bounds."""
    bounds = {"customers": (1, CUSTOMERS_MOST), "shards": (1, SHARDS_MOST), "port": (1, PORT_MOST)}
    wrong = [
        f"--{option} must be between {low:,} and {high:,} (got {given[option]:,})"
        for option, (low, high) in bounds.items()
        if not low <= given[option] <= high
    ]
    if given["host"] not in LOOPBACK:
        wrong.append(f"--host must be one of {', '.join(LOOPBACK)}: without TLS only this machine may ask "
                     f"(got {given['host']})")  # fmt: skip
    if wrong:
        raise UsageError("\n".join(wrong))


def keys(folder: Path, name: str | None, role: str, as_json: bool) -> int:
    """Make a key and show it once, or list what there is; exit code."""

    def action() -> int:
        try:
            there = Keys.of_folder(folder)
            if name is None:
                listed = [{"name": key.name, "role": key.role.value} for key in there.keys]
                print_json(listed) if as_json else print("\n".join(f"{one['role']:12} {one['name']}" for one in listed))
                return Exit.FINE
            roles = [one.value for one in Role]
            if role not in roles:
                raise UsageError(f"--role must be one of {', '.join(roles)} (got {role})")
            more, secret = there.made(name, Role(role))
        except KeysError as error:
            raise UsageError(str(error)) from None
        more.write(folder)
        if as_json:
            print_json({"name": name, "role": role, "key": secret})
        else:
            print(f"{secret}\nThis key of role {role} is shown once: only a hash of it is kept, in {folder}.")
        return Exit.FINE

    return guarded(action)


def openapi(out: Path | None) -> int:
    """Print the document of the gateway's routes, or write it; exit code."""

    def action() -> int:
        from gateway.openapi import document
        from gateway.routes import KINDS

        text = json.dumps(document(KINDS), indent=2, ensure_ascii=False)
        if out is None:
            print(text)
            return Exit.FINE
        try:
            out.write_text(text + "\n", "utf-8")
        except OSError as error:
            raise UsageError(f"--out must be a file that can be written (got {out}: {error.strerror})") from None
        print(out)
        return Exit.FINE

    return guarded(action)
