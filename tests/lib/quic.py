# SPDX-License-Identifier: MIT
"""HTTP/3 by ngtcp2's client and server, which Debian has."""
import filecmp
import os
import random
import subprocess

FILES = "f1", "f2", "f3"


def prepare(folder):
    """What an HTTP/3 server gives: files, and beside them, in `folder`, its key and certificate (serve)."""
    os.makedirs(f"{folder}/files", exist_ok=True)
    for i, name in enumerate(FILES):
        with open(f"{folder}/files/{name}", "wb") as f:
            f.write(random.Random(i).randbytes(700_000 * (i + 1)))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=peer",
                    "-addext", "subjectAltName=DNS:peer", "-keyout", f"{folder}/key", "-out", f"{folder}/cert"], check=True, capture_output=True)
    os.chmod(f"{folder}/key", 0o644)


def serve(folder, address, port):
    """ngtcp2's server."""
    return ["gtlsserver", "-q", "--mime-types-file=/dev/null", "-d", f"{folder}/files", address, str(port), f"{folder}/key", f"{folder}/cert"]


def ask(folder, host, port, *options):
    """ngtcp2's client asks for the files, which it puts into `folder`."""
    return ["gtlsclient", "-q", "--no-http-dump", "--no-quic-dump", f"--download={folder}", "--exit-on-all-streams-close", *options, host, str(port),
            *[f"https://peer:{port}/{name}" for name in FILES]]


def same(folder, served):
    """Whether they came as they are."""
    return [name for name in FILES if filecmp.cmp(f"{folder}/{name}", f"{served}/files/{name}", shallow=False)] == list(FILES)
