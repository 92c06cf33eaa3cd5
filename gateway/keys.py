"""API keys: who may do what. A key is shown once, when it is made; what is kept of it is a hash."""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

FILE = "keys.json"
PREFIX = "wt_"
KEY_BYTES = 32


class Role(Enum):
    """What a key is for."""

    CLIENT = "client"  # decides for customers
    OPERATOR = "operator"  # looks after hosts and customers' records
    STRATEGIST = "strategist"  # writes and publishes policies
    AUDITOR = "auditor"  # reads why, and who read what


class KeysError(Exception):
    """The file of keys cannot be read, or a key cannot be made; says why."""


@dataclass(frozen=True)
class Key:
    """One that was made."""

    name: str
    role: Role
    hash: str  # SHA-256 in hexadecimal of 256 random bits: nothing to guess, so nothing to slow down


def hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class Keys:
    """Those of a folder."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self.keys = list(keys)

    @classmethod
    def of_folder(cls, folder: Path) -> "Keys":
        """Raises KeysError."""
        file = folder / FILE
        try:
            found = json.loads(file.read_text("utf-8")) if file.exists() else []
            return cls(Key(one["name"], Role(one["role"]), str(one["hash"])) for one in found)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise KeysError(f"{file} must be a list of keys as `windtunnel keys` writes it (got {error})") from None

    def holder(self, secret: str) -> Key | None:
        """Whose key it is. Every one is compared, in a time that says nothing of how much of it is right."""
        given, found = hash_of(secret), None
        for key in self.keys:
            if hmac.compare_digest(key.hash, given):
                found = key
        return found

    def made(self, name: str, role: Role) -> tuple["Keys", str]:
        """With another one, and its secret. Raises KeysError where the name is taken."""
        if any(key.name == name for key in self.keys):
            raise KeysError(f"a key's name must be new (got {name})")
        secret = PREFIX + secrets.token_urlsafe(KEY_BYTES)
        return Keys([*self.keys, Key(name, role, hash_of(secret))]), secret

    def write(self, folder: Path) -> None:
        """For the owner of the folder alone to read."""
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f"{FILE}.new"
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump([asdict(key) | {"role": key.role.value} for key in self.keys], file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        new.rename(folder / FILE)
