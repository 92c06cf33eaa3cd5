"""`windtunnel serve`, `keys`, `vault-key`, `certificate` and `openapi`: what they check first, and what they say."""

import json
from pathlib import Path
from typing import Any

from engine.policy.tables import load_policy
from gateway.audit import AuditError
from gateway.audit_commands import note
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
        from gateway.sealing import VaultKeyError
        from gateway.serve import ServeError, Serving
        from gateway.serve import serve as run
        from gateway.tls import CertificateError
        from gateway.vault import VaultError

        wrong = (
            FolderError, ServeError, KeysError, RegisterError, ClusterError, AuditError, VaultError, VaultKeyError,
            CertificateError,
        )  # fmt: skip

        check(given)
        found = load_policy(policy)
        try:
            answered = run(found, Serving(folder, **given), lambda line: print(line, flush=True))
        except wrong as error:
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
    wrong += of_tls(given)
    if wrong:
        raise UsageError("\n".join(wrong))


def vault_key(file: Path) -> int:
    """Make a master key; exit code."""

    def action() -> int:
        from gateway.sealing import VaultKeyError, write_master_key

        try:
            write_master_key(file)
        except VaultKeyError as error:
            raise UsageError(str(error)) from None
        except OSError as error:
            raise UsageError(f"{file} must be a file that can be made (got {error.strerror})") from None
        print(f"{file} opens whatever is sealed with it, and nothing else does: keep a copy where the folder is not.")
        return Exit.FINE

    return guarded(action)


def of_tls(given: dict[str, Any]) -> list[str]:
    """What is wrong with how it is to be reached."""
    wrong, certificate, private_key = [], given.get("certificate"), given.get("private_key")
    if (certificate is None) != (private_key is None):
        there = "--certificate" if private_key is None else "--private-key"
        wrong.append(f"--certificate and --private-key go together (got {there} alone)")
    if given.get("private_key_password_env") is not None and private_key is None:
        wrong.append("--private-key-password-env needs --private-key (got none)")
    is_plain = certificate is None and private_key is None
    if given["host"] not in LOOPBACK and is_plain and not given.get("plain_http_beyond_this_machine"):
        wrong.append(f"--host must be one of {', '.join(LOOPBACK)} without --certificate and --private-key: keys and "
                     f"customers would cross the network in the clear (got {given['host']}). Where something in front "
                     "of the gateway does TLS, say --plain-http-beyond-this-machine")  # fmt: skip
    return wrong


def certificate(folder: Path, hosts: list[str]) -> int:
    """Make a certificate for trials; exit code."""

    def action() -> int:
        from gateway.tls import CERTIFICATE, PRIVATE_KEY, TRIAL_DAYS, write_self_signed

        there = [file for file in (folder / CERTIFICATE, folder / PRIVATE_KEY) if file.exists()]
        if there:
            raise UsageError("\n".join(f"{file} is there already, and is not written over" for file in there))
        try:
            made, key = write_self_signed(folder, hosts)
        except ValueError:
            raise UsageError(f"--host must be names or addresses (got {', '.join(hosts)})") from None
        print(f"{made}\n{key}\nFor trials, for {TRIAL_DAYS} days: it vouches for itself, so callers must be told to "
              f"trust {made.name}.")  # fmt: skip
        return Exit.FINE

    return guarded(action)


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
            note(folder, "windtunnel keys", f"makes {name}, for {role}")
        except (KeysError, AuditError) as error:
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
