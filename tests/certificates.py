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

    def certificate(self, names="IP:127.0.0.1,DNS:localhost", days=10, begins=""):
        """Certificate and key files; `days` below 0 has ended already; `begins` is a YYMMDDHHMMSSZ, and then it ends in 2049."""
        if begins:
            return self._certificate_between(names, begins, "491231000000Z")
        stem = self.folder / f"server{days}{abs(hash(names))}"
        request, key, extensions, out = (stem.with_suffix(suffix) for suffix in (".csr", ".key", ".ext", ".pem"))
        extensions.write_text(f"subjectAltName={names}\n")
        openssl("req", "-new", *NEW_KEY, "-keyout", key, "-out", request, "-subj", "/CN=server")
        signer = ["-CA", self.file, "-CAkey", self.folder / "ca.key", "-CAcreateserial"]
        openssl("x509", "-req", "-in", request, *signer, "-days", days, "-extfile", extensions, "-out", out)
        return out, key

    def _certificate_between(self, names, begins, ends):
        """`openssl x509` of OpenSSL 3.0 can only count days from now; `openssl ca` takes dates."""
        stem = self.folder / f"between{begins}"
        request, key, config, out = (stem.with_suffix(suffix) for suffix in (".csr", ".key", ".cnf", ".pem"))
        (self.folder / "index.txt").touch()
        config.write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.folder}/index.txt\nnew_certs_dir={self.folder}\nrand_serial=yes\n"
            f"default_md=sha256\npolicy=p\nx509_extensions=e\nunique_subject=no\n[p]\ncommonName=supplied\n[e]\nsubjectAltName={names}\n"
        )
        openssl("req", "-new", *NEW_KEY, "-keyout", key, "-out", request, "-subj", "/CN=server")
        signer = ["-cert", self.file, "-keyfile", self.folder / "ca.key", "-startdate", begins, "-enddate", ends]
        openssl("ca", "-batch", "-notext", "-config", config, *signer, "-in", request, "-out", out)
        return out, key

    def self_signed(self, names="IP:127.0.0.1", days=10):
        stem = self.folder / f"alone{days}{abs(hash(names))}"
        request, key, extensions, out = (stem.with_suffix(suffix) for suffix in (".csr", ".key", ".ext", ".pem"))
        extensions.write_text(f"subjectAltName={names}\n")
        openssl("req", "-new", *NEW_KEY, "-keyout", key, "-out", request, "-utf8", "-subj", "/O=Máy in/CN=máy-in")
        openssl("x509", "-req", "-in", request, "-signkey", key, "-days", days, "-extfile", extensions, "-out", out)
        return out, key

    def server(self, **which):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.certificate(**which))
        return context
