"""SM4 in Galois/counter mode (GB/T 32907, RFC 8998), and the master key of a vault. Keys have 16 bytes.

Nonces never repeat under a key: each has the number of the seal under that key, which is kept with what is sealed, and
random bits beside it for the day when a folder is put back from a copy and counts again.
"""

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

KEY_BYTES, TAG_BYTES = 16, 16
COUNT_BYTES, CHANCE_BYTES = 4, 8
NONCE_BYTES = COUNT_BYTES + CHANCE_BYTES
SEALS_MAX = 1 << 8 * COUNT_BYTES  # under one key

VARIABLE = "WINDTUNNEL_VAULT_KEY"
ONLY_OWNER = 0o077  # bits that must not be set


class SealError(Exception):
    """Something sealed does not open: another key, another place, or it was changed. Says nothing of what is in it."""


class VaultKeyError(Exception):
    """A master key cannot be used; says why, and never the key."""


class SecretKey:
    """16 bytes that show themselves nowhere."""

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_BYTES
        self._key = key

    def seal(self, text: bytes, bound: bytes, count: int) -> bytes:
        """Nonce, ciphertext and tag. bound: what it belongs to, without which it does not open. count: another one for
        each seal under this key."""
        assert 0 <= count < SEALS_MAX, "a key has sealed all it may"
        nonce = count.to_bytes(COUNT_BYTES, "big") + secrets.token_bytes(CHANCE_BYTES)
        sealing = Cipher(algorithms.SM4(self._key), modes.GCM(nonce)).encryptor()
        sealing.authenticate_additional_data(bound)
        return nonce + sealing.update(text) + sealing.finalize() + sealing.tag

    def opened(self, sealed: bytes, bound: bytes) -> bytes:
        """Raises SealError."""
        if len(sealed) < NONCE_BYTES + TAG_BYTES:
            raise SealError("what is sealed is not whole")
        nonce, text, tag = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:-TAG_BYTES], sealed[-TAG_BYTES:]
        opening = Cipher(algorithms.SM4(self._key), modes.GCM(nonce, tag)).decryptor()
        opening.authenticate_additional_data(bound)
        try:
            return opening.update(text) + opening.finalize()
        except InvalidTag:
            raise SealError("what is sealed does not open: another key, another place, or it was changed") from None

    def wrap(self, key: "SecretKey", bound: bytes, count: int) -> bytes:
        return self.seal(key._key, bound, count)

    def unwrapped(self, wrapped: bytes, bound: bytes) -> "SecretKey":
        """Raises SealError."""
        return SecretKey(self.opened(wrapped, bound))

    def __repr__(self) -> str:
        return "SecretKey(…)"


def new_key() -> SecretKey:
    return SecretKey(secrets.token_bytes(KEY_BYTES))


def key_of(text: str, where: str) -> SecretKey:
    """A key as hexadecimal. Raises VaultKeyError."""
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        raise VaultKeyError(f"{where} must have {2 * KEY_BYTES} hexadecimal digits (got something else)") from None
    if len(key) != KEY_BYTES:
        raise VaultKeyError(f"{where} must have {2 * KEY_BYTES} hexadecimal digits (got {2 * len(key)})")
    return SecretKey(key)


def master_key(file: Path | None, folder: Path) -> SecretKey | None:
    """From a file, or else from the environment, where it is not left to the processes that we start; None without
    either. Raises VaultKeyError."""
    text = os.environ.pop(VARIABLE, None)
    if file is None:
        return None if text is None else key_of(text, VARIABLE)
    if text is not None:
        raise VaultKeyError(f"a vault key must come from --vault-key or from {VARIABLE} (got both)")
    if file.resolve().is_relative_to(folder.resolve()):
        raise VaultKeyError(f"--vault-key must be kept apart from what it opens (got {file}, inside {folder})")
    try:
        mode, text = file.stat().st_mode, file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise VaultKeyError(f"--vault-key must be a file as `windtunnel vault-key` makes it "
                            f"(got {file}: {getattr(error, 'strerror', None) or 'no text'})") from None  # fmt: skip
    if mode & ONLY_OWNER:
        raise VaultKeyError(f"{file} must be its owner's alone: chmod 600 {file} (got mode {mode & 0o777:o})")
    return key_of(text, str(file))


def write_master_key(file: Path) -> None:
    """A new one, for its owner alone. Raises VaultKeyError where a file is there: it may open a vault."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise VaultKeyError(f"{file} must be a new file: what is there may open a vault") from None
    with os.fdopen(descriptor, "w") as out:
        out.write(secrets.token_bytes(KEY_BYTES).hex() + "\n")
        out.flush()
        os.fsync(out.fileno())
