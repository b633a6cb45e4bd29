"""A certificate authority of the tests' own: who a client is to the API server is what its certificate says."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

DAYS = "2"
SECONDS = 20.0


class Authority:
    """Signs with the openssl command. Skips the test by name where the machine has none."""

    def __init__(self, directory: Path) -> None:
        program = shutil.which("openssl")
        if program is None:
            pytest.skip("no openssl here, which makes the certificates of the API server")
        self._program = program
        self._directory = directory
        self.certificate, key = directory / "ca.crt", self.key("ca")
        subject = ("-subj", "/CN=tests")
        self._openssl("req", "-x509", "-new", "-key", str(key), "-days", DAYS, *subject, "-out", str(self.certificate))
        self._key = key

    def key(self, name: str) -> Path:
        """A new private key."""
        path = self._directory / f"{name}.key"
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(path))
        return path

    def server(self) -> tuple[Path, Path]:
        """Certificate and key of a server on the loopback address."""
        return self._signed("server", "/CN=kube-apiserver", "DNS:localhost,IP:127.0.0.1", "serverAuth")

    def client(self, user: str, groups: tuple[str, ...]) -> tuple[Path, Path]:
        """Certificate and key of a user; the same again for the same user and groups."""
        name = f"client-{hashlib.sha256(repr((user, groups)).encode()).hexdigest()[:16]}"
        certificate, key = self._directory / f"{name}.crt", self._directory / f"{name}.key"
        if certificate.exists():
            return certificate, key
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={user}"
        return self._signed(name, subject, "DNS:client", "clientAuth")

    def _signed(self, name: str, subject: str, names: str, usage: str) -> tuple[Path, Path]:
        key, certificate = self.key(name), self._directory / f"{name}.crt"
        request, extensions = self._directory / f"{name}.csr", self._directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage={usage}\n")
        self._openssl("req", "-new", "-key", str(key), "-subj", subject, "-out", str(request))
        authority = ("-CA", str(self.certificate), "-CAkey", str(self._key), "-CAcreateserial")
        rest = ("-days", DAYS, "-extfile", str(extensions), "-out", str(certificate))
        self._openssl("x509", "-req", "-in", str(request), *authority, *rest)
        return certificate, key

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run([self._program, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)
        assert done.returncode == 0, f"openssl {arguments[0]}: {done.stderr}"
