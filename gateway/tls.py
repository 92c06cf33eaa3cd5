"""Certificate and private key: looked at before anything starts, and made for trials."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

RSA_BITS_LEAST = 2_048
CURVES = ("secp256r1", "secp384r1")  # that the server can sign with
TRIAL_DAYS = 90
CERTIFICATE, PRIVATE_KEY = "certificate.pem", "private-key.pem"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class CertificateError(Exception):
    """A certificate cannot be served with; says everything that is wrong with its files."""


@dataclass(frozen=True)
class Tls:
    """Files that were looked at."""

    certificate: Path
    private_key: Path
    password: str | None
    expires: datetime

    def days_left(self, now: datetime) -> float:
        return (self.expires - now).total_seconds() / 86_400


def looked_at(certificate: Path, private_key: Path, password: str | None, now: datetime) -> Tls:
    """Files of one certificate (with its chain, its own first) and of its key. Raises CertificateError."""
    problems: list[str] = []
    chain = _chain(certificate, problems)
    key = _key(private_key, password, problems)
    if chain:
        _check_dates(certificate, chain, now, problems)
    if chain and key is not None and _public(chain[0].public_key()) != _public(key.public_key()):
        problems.append(f"--private-key must be that of the certificate (got another one: {private_key})")
    if problems:
        raise CertificateError("\n".join(problems))
    return Tls(certificate, private_key, password, min(one.not_valid_after_utc for one in chain))


def _read(option: str, path: Path, problems: list[str]) -> bytes:
    """Nothing where it cannot be read, which is a problem then."""
    try:
        found = path.read_bytes()
    except OSError as error:
        problems.append(f"{option} must be a file that can be read (got {path}: {error.strerror})")
        return b""
    if b"-----BEGIN " not in found:
        problems.append(f"{option} must be PEM, a text that begins with -----BEGIN (got {path})")
        return b""
    return found


def _chain(path: Path, problems: list[str]) -> list[x509.Certificate]:
    text = _read("--certificate", path, problems)
    if not text:
        return []
    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError as error:
        problems.append(f"--certificate must have certificates (got {path}: {_first_line(error)})")
        return []


def _check_dates(path: Path, chain: Sequence[x509.Certificate], now: datetime, problems: list[str]) -> None:
    for one in chain:
        if now > one.not_valid_after_utc:
            problems.append(f"--certificate must be valid now (got {path}: it ended on {one.not_valid_after_utc:%F})")
        elif now < one.not_valid_before_utc:
            problems.append(f"--certificate must be valid now (got {path}: it begins on {one.not_valid_before_utc:%F})")


def _key(path: Path, password: str | None, problems: list[str]) -> PrivateKey | None:
    text = _read("--private-key", path, problems)
    if not text:
        return None
    try:
        key = serialization.load_pem_private_key(text, None if password is None else password.encode())
    except TypeError:
        needs = "it has a password: name its variable with --private-key-password-env" if password is None else (
            "it has no password, and one was given")  # fmt: skip
        problems.append(f"--private-key must be opened as it was closed (got {path}: {needs})")
        return None
    except (ValueError, UnsupportedAlgorithm):
        why = "nothing that is a key" if password is None else "no key, or another password"
        problems.append(f"--private-key must be a private key (got {path}: {why})")
        return None
    return _strong(path, key, problems)


def _strong(path: Path, key: object, problems: list[str]) -> PrivateKey | None:
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= RSA_BITS_LEAST:
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return key
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    kind = f"RSA of {key.key_size} bits" if isinstance(key, rsa.RSAPrivateKey) else type(key).__name__.strip("_")
    problems.append(
        f"--private-key must be RSA of at least {RSA_BITS_LEAST:,} bits, an elliptic curve ({', '.join(CURVES)}) or "
        f"Ed25519 (got {path}: {kind})"
    )
    return None


def _public(key: object) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def is_for_others(path: Path) -> bool:
    """Somebody beside its owner and group may read it."""
    return bool(path.stat().st_mode & 0o007)


# --- for trials -------------------------------------------------------------------------------------------------------
def write_self_signed(folder: Path, hosts: Sequence[str], now: datetime | None = None) -> tuple[Path, Path]:
    """A certificate that says of itself who it is: callers have to be told to trust it. Raises FileExistsError."""
    began = datetime.now(UTC) if now is None else now
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began - timedelta(minutes=5))  # clocks differ
        .not_valid_after(began + timedelta(days=TRIAL_DAYS))
        .add_extension(x509.SubjectAlternativeName([_name_of(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write_new(folder / PRIVATE_KEY, private, 0o600)
    _write_new(folder / CERTIFICATE, certificate.public_bytes(pem), 0o644)
    return folder / CERTIFICATE, folder / PRIVATE_KEY


def _name_of(host: str) -> x509.GeneralName:
    """Raises ValueError where it is neither a name nor an address."""
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
