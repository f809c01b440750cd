"""Certificates for tests, made by the openssl command: a CA, and server certificates that are right or wrong in one way."""

import ssl
import subprocess
from pathlib import Path

NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)


class Authority:
    """A certificate authority in a folder; `server()` gives TLS contexts for servers."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.file = folder / "ca.pem"
        openssl("req", "-x509", *NEW_KEY, "-keyout", folder / "ca.key", "-out", self.file, "-subj", "/CN=Test CA", "-days", 30)

    def certificate(self, names="IP:127.0.0.1,DNS:localhost", days=10):
        """Certificate and key files; `days` below 0 has ended already."""
        stem = self.folder / f"server{days}{abs(hash(names))}"
        request, key, extensions, out = (stem.with_suffix(suffix) for suffix in (".csr", ".key", ".ext", ".pem"))
        extensions.write_text(f"subjectAltName={names}\n")
        openssl("req", "-new", *NEW_KEY, "-keyout", key, "-out", request, "-subj", "/CN=server")
        signer = ["-CA", self.file, "-CAkey", self.folder / "ca.key", "-CAcreateserial"]
        openssl("x509", "-req", "-in", request, *signer, "-days", days, "-extfile", extensions, "-out", out)
        return out, key

    def server(self, **which):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.certificate(**which))
        return context
