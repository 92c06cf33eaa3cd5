"""Certificates that are refused, and what the process offers on a socket, as the openssl command sees it."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import commands
from gateway.doorkeeper import STRANGER_S
from gateway.tls import CertificateError, looked_at, write_self_signed
from scenarios.exits import Exit
from tests.gateway.secured import Secured

NOW = datetime.now(UTC) + timedelta(hours=2)  # so long may the other tests take

NOBODY = 65534

openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")


# --- files ------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of all kinds."""
    folder = tmp_path_factory.mktemp("certificates")
    write_self_signed(folder / "good", ["localhost"])
    write_self_signed(folder / "other", ["localhost"])
    write_self_signed(folder / "old", ["localhost"], NOW - timedelta(days=200))
    write_self_signed(folder / "future", ["localhost"], NOW + timedelta(days=2))
    (folder / "text.pem").write_text("nothing of the kind")
    (folder / "torn.pem").write_text((folder / "good" / "certificate.pem").read_text()[:200])
    (folder / "torn-key.pem").write_text((folder / "good" / "private-key.pem").read_text()[:100])
    for name, kind in (("weak", "rsa:1024"), ("strong", "rsa:2048")):
        made(folder, name, "-newkey", kind, "-nodes")
    made(folder, "closed", "-newkey", "rsa:2048", "-passout", "pass:secret")
    return folder


def made(folder: Path, name: str, *how: str) -> None:
    command = ["openssl", "req", "-x509", *how, "-days", "9", "-subj", "/CN=localhost"]
    command += ["-keyout", str(folder / f"{name}-key.pem"), "-out", str(folder / f"{name}.pem")]
    subprocess.run(command, check=True, capture_output=True)


REFUSED = """
certificate              key                     password  words
missing.pem              good/private-key.pem    -         --certificate must be a file that can be read
good/certificate.pem     missing.pem             -         --private-key must be a file that can be read
.                        good/private-key.pem    -         Is a directory
text.pem                 text.pem                -         --certificate must be PEM,--private-key must be PEM
torn.pem                 good/private-key.pem    -         --certificate must have certificates
good/certificate.pem     torn-key.pem            -         nothing that is a key
good/certificate.pem     good/certificate.pem    -         --private-key must be a private key
good/certificate.pem     other/private-key.pem   -         must be that of the certificate
old/certificate.pem      old/private-key.pem     -         must be valid now,it ended on
old/certificate.pem      other/private-key.pem   -         it ended on,must be that of the certificate
future/certificate.pem   future/private-key.pem  -         it begins on
weak.pem                 weak-key.pem            -         at least 2,048 bits,RSA of 1024 bits
closed.pem               closed-key.pem          -         --private-key-password-env
closed.pem               closed-key.pem          wrong     another password
good/certificate.pem     good/private-key.pem    secret    it has no password
"""


@openssl
@pytest.mark.parametrize("line", REFUSED.strip().splitlines()[1:])
def test_files_that_cannot_be_served_with(line: str, files: Path) -> None:
    certificate, key, password, words = re.split(r"\s{2,}", line)
    with pytest.raises(CertificateError) as caught:
        looked_at(files / certificate, files / key, None if password == "-" else password, NOW)
    for part in words.split(","):
        assert part in str(caught.value) or part.strip() in str(caught.value)


@openssl
def test_files_that_can_be_served_with(files: Path) -> None:
    for certificate, key, password in (
        ("good/certificate.pem", "good/private-key.pem", None),
        ("strong.pem", "strong-key.pem", None),
        ("closed.pem", "closed-key.pem", "secret"),
    ):
        tls = looked_at(files / certificate, files / key, password, NOW)
        assert 8 < tls.days_left(NOW) < 91


@contextmanager
def somebody() -> Iterator[None]:
    """As somebody who may not read everything: root may."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_key_that_may_not_be_read_is_refused() -> None:
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = write_self_signed(Path(folder) / "tls", ["localhost"])
        Path(folder).chmod(0o755)
        certificate.parent.chmod(0o755)
        key.chmod(0)
        with somebody(), pytest.raises(CertificateError, match=r"private-key\.pem.*Permission denied"):
            looked_at(certificate, key, None, NOW)


def serve(folder: Path, **given: object) -> int:
    how = {"customers": 10, "shards": 1, "host": "127.0.0.1", "port": 18_080, "standby": False, "address": None}
    return commands.serve(Path("no-policy.yaml"), folder, **how | given)


def test_beyond_this_machine_only_with_tls_or_by_saying_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = {"certificate": tmp_path / "a", "private_key": tmp_path / "b"}
    assert serve(tmp_path, host="0.0.0.0") == Exit.WRONG_USE
    assert "--plain-http-beyond-this-machine" in capsys.readouterr().err
    for given in (paths, {"plain_http_beyond_this_machine": True}):
        serve(tmp_path, host="0.0.0.0", **given)
        assert "no-policy.yaml" in capsys.readouterr().err, "this was not the reason"
    assert serve(tmp_path, certificate=tmp_path / "a", private_key_password_env="P") == Exit.WRONG_USE
    said = capsys.readouterr().err
    assert "(got --certificate alone)" in said and "--private-key-password-env needs" in said


def test_a_certificate_for_trials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.certificate(tmp_path / "new", ["localhost", "127.0.0.1"]) == Exit.FINE
    assert (tmp_path / "new" / "private-key.pem").stat().st_mode & 0o077 == 0
    assert "callers must be told to trust" in capsys.readouterr().out
    assert commands.certificate(tmp_path / "new", ["localhost"]) == Exit.WRONG_USE
    assert "is not written over" in capsys.readouterr().err
    assert commands.certificate(tmp_path / "other", ["bücher.example"]) == Exit.WRONG_USE
    assert not (tmp_path / "other").exists()


# --- on the socket ----------------------------------------------------------------------------------------------------
def handshake(port: int, *how: str) -> str:
    """What openssl says of one; it offers whatever it is told to, however weak."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-msg", *how]
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=20, check=False)
    return done.stdout + done.stderr


def offered(said: str) -> bool:
    """The client's hello has left."""
    return re.search(r">>> .*Handshake.*ClientHello", said) is not None


def agreed(said: str) -> str:
    found = re.search(r"New, \S+, Cipher is (\S+)", said)
    return "" if found is None or "NONE" in found[1] else found[1]


WEAK = ("NULL-SHA256", "AES128-SHA", "AES256-SHA256", "AES128-GCM-SHA256", "AES256-GCM-SHA384", "DHE-RSA-AES128-SHA",
        "DHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-NULL-SHA", "AECDH-NULL-SHA", "ADH-AES128-SHA256", "CAMELLIA128-SHA",
        "ECDHE-ECDSA-AES128-CCM8", "ECDHE-ECDSA-ARIA128-GCM-SHA256")  # fmt: skip
# That a new openssl does not know any more, by the numbers they have (IANA, TLS Cipher Suites).
GONE = {"NULL-MD5": 0x0001, "EXP-RC4-MD5": 0x0003, "RC4-SHA": 0x0005, "DES-CBC3-SHA": 0x000A, "ADH-RC4-MD5": 0x0018,
        "ECDHE-ECDSA-RC4-SHA": 0xC007, "ECDHE-ECDSA-DES-CBC3-SHA": 0xC008}  # fmt: skip
SSL_3, TLS_1_2 = 0x0300, 0x0303
ALERT, HANDSHAKE, FATAL, SERVER_HELLO, HANDSHAKE_FAILURE, PROTOCOL_VERSION = 21, 22, 2, 2, 40, 70
STRONG = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305")


def client_hello(version: int, cipher: int) -> bytes:
    """One of a client that offers no more than this (RFC 5246, 7.4.1.2), with what elliptic curves need (RFC 8422)."""

    def sized(body: bytes, octets: int = 2) -> bytes:
        return len(body).to_bytes(octets, "big") + body

    groups = bytes.fromhex("000a") + sized(sized(bytes.fromhex("001d0017")))
    formats = bytes.fromhex("000b") + sized(sized(b"\0", 1))
    signatures = bytes.fromhex("000d") + sized(sized(bytes.fromhex("0403080404010501")))
    offer = sized(cipher.to_bytes(2, "big")) + sized(b"\0", 1) + sized(groups + formats + signatures)
    hello = version.to_bytes(2, "big") + bytes(range(32)) + sized(b"", 1) + offer
    return bytes([HANDSHAKE]) + bytes.fromhex("0301") + sized(b"\x01" + sized(hello, 3))


def answer_to(hello: bytes, port: int) -> tuple[int, int, int]:
    """The record's type and the two octets after its head: of an alert its level and what it is."""
    with socket.create_connection(("127.0.0.1", port), timeout=10.0) as caller:
        caller.sendall(hello)
        record = caller.makefile("rb").read(7)
    return record[0], record[5], record[6]


@openssl
@pytest.mark.parametrize("version", ["tls1", "tls1_1"])
def test_old_versions_are_refused(version: str, secured: Secured) -> None:
    said = handshake(secured.port, f"-{version}", "-cipher", "ALL:@SECLEVEL=0")
    assert offered(said) and agreed(said) == "" and "alert" in said


@openssl
@pytest.mark.parametrize("cipher", WEAK)
def test_weak_ciphers_are_refused(cipher: str, secured: Secured) -> None:
    said = handshake(secured.port, "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0")
    assert offered(said) and agreed(said) == "" and "handshake failure" in said


@pytest.mark.parametrize("cipher", GONE)
def test_ciphers_of_the_past_are_refused(cipher: str, secured: Secured) -> None:
    assert answer_to(client_hello(TLS_1_2, GONE[cipher]), secured.port) == (ALERT, FATAL, HANDSHAKE_FAILURE)


@pytest.mark.parametrize("version", range(SSL_3, TLS_1_2))
def test_versions_of_the_past_are_refused(version: int, secured: Secured) -> None:
    """With a cipher that is good enough for the same hello of TLS 1.2."""
    good = 0xC02B  # ECDHE-ECDSA-AES128-GCM-SHA256
    assert answer_to(client_hello(version, good), secured.port) == (ALERT, FATAL, PROTOCOL_VERSION)
    assert answer_to(client_hello(TLS_1_2, good), secured.port)[:2] == (HANDSHAKE, SERVER_HELLO)


@openssl
def test_all_that_is_agreed_on_is_strong(secured: Secured) -> None:
    """Whatever openssl knows, one by one."""
    command = ["openssl", "ciphers", "-s", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]
    known = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split(":")
    assert len(known) > 20 and set(STRONG) <= set(known)
    taken = {one for one in known if agreed(handshake(secured.port, "-tls1_2", "-cipher", f"{one}:@SECLEVEL=0"))}
    assert taken == set(STRONG)
    assert agreed(handshake(secured.port, "-tls1_3")).startswith("TLS_AES_256_GCM")


@openssl
def test_http_2_is_agreed_on_and_http_1_too(secured: Secured) -> None:
    for protocols, chosen in (("h2,http/1.1", "h2"), ("http/1.1", "http/1.1")):
        assert f"ALPN protocol: {chosen}" in handshake(secured.port, "-alpn", protocols)


def test_a_handshake_that_does_not_go_on_is_ended(secured: Secured) -> None:
    """After a part of the client's hello, and after all of it without a request."""
    begun = socket.create_connection(("127.0.0.1", secured.port), timeout=STRANGER_S + 10.0)
    begun.sendall(b"\x16\x03\x01\x02\x00\x01")
    done = socket.create_connection(("127.0.0.1", secured.port), timeout=STRANGER_S + 10.0)
    assert isinstance(secured.trust, ssl.SSLContext)
    whole = secured.trust.wrap_socket(done, server_hostname="localhost")
    assert begun.recv(1_000) == b"" and whole.recv(1_000) == b""
    begun.close()
    whole.close()


def test_plain_http_on_the_same_port_is_not_answered(secured: Secured) -> None:
    with socket.create_connection(("127.0.0.1", secured.port), timeout=10.0) as caller:
        caller.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"HTTP" not in caller.recv(1_000)
