# SPDX-License-Identifier: MIT
"""tsproxy up --install: Tailscale's static programs from a mirror over HTTPS, verified, in ~/.local/bin; or nothing."""
import hashlib
import http.server
import io
import json
import os
import platform
import shutil
import signal
import ssl
import subprocess
import tarfile
import threading

from harness import test, until
from t_up import TAILSCALED

VERSION = "1.92.3"
MACHINE = "arm64" if platform.machine() == "aarch64" else "amd64"
NAME = f"tailscale_{VERSION}_{MACHINE}"
ARCHIVE = f"/stable/{NAME}.tgz"
INDEX = "/stable/?mode=json"
TOOLS = "sh", "env", "sha256sum", "tar", "gzip", "cat"


def archive(files):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"{NAME}/{name}")
            entry.size, entry.mode, entry.uid = len(text or ""), 0o755, 4242
            entry.type = tarfile.DIRTYPE if text is None else tarfile.REGTYPE
            tar.addfile(entry, io.BytesIO((text or "").encode()))
    return data.getvalue()


def pages(files, **index):
    data = archive(files)
    index = {"Tarballs": {MACHINE: f"{NAME}.tgz", "mips": "other.tgz"}, "TarballsVersion": VERSION, **index}
    return {INDEX: json.dumps(index).encode(), ARCHIVE: data, f"{ARCHIVE}.sha256": hashlib.sha256(data).hexdigest().encode()}


class Mirror(http.server.BaseHTTPRequestHandler):
    """Answers with what pages has for a path: bytes, or a function of the handler."""
    protocol_version = "HTTP/1.0"

    def do_GET(self):
        self.server.asked.append(self.path)
        page = self.server.pages.get(self.path)
        if callable(page):
            page(self)
        else:
            self.send_response(404 if page is None else 200)
            self.send_header("Content-Length", str(len(page or b"")))
            self.end_headers()
            self.wfile.write(page or b"")

    def log_message(self, *words):
        pass


def cut(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    handler.wfile.write(b"x" * 1000)


def to_http(handler):
    handler.send_response(302)
    handler.send_header("Location", f"http://127.0.0.1:8080{handler.path}")
    handler.end_headers()


def broken(site):
    """(what is changed, what is said, the ways to fetch that it is tried with)"""
    good, both = site.good, ("curl", "wget")
    other = hashlib.sha256(b"another").hexdigest().encode()
    without = pages({"tailscale": "x"})
    return (
        ({f"{ARCHIVE}.sha256": other}, f"the checksum of {NAME}.tgz does not match {NAME}.tgz.sha256", both),
        ({f"{ARCHIVE}.sha256": other + b"0"}, f"{NAME}.tgz.sha256 is not a SHA-256 checksum", both[:1]),
        ({f"{ARCHIVE}.sha256": b"<html>"}, "is not a SHA-256 checksum", both[:1]),
        ({f"{ARCHIVE}.sha256": None}, f"https://127.0.0.1:8443{ARCHIVE}.sha256: ", both),
        ({f"{ARCHIVE}.sha256": to_http}, ".sha256: ", both),
        ({ARCHIVE: None}, "404", both),
        ({ARCHIVE: cut}, f"{ARCHIVE}: ", both),
        ({ARCHIVE: to_http}, f"{ARCHIVE}: ", both),
        ({ARCHIVE: good[ARCHIVE][:-100]}, "the checksum of", both),
        (pages({"tailscale": "x", "tailscaled": None}), f"{NAME}.tgz does not contain the program {NAME}/tailscaled", both[:1]),
        (without, f"tar: {NAME}/tailscaled: Not found in archive", both[:1]),
        ({INDEX: None}, "404", both),
        ({INDEX: to_http}, f"{INDEX}: ", both),
        ({INDEX: b"<html></html>"}, f"https://127.0.0.1:8443{INDEX} has no archive for {MACHINE}", both[:1]),
        *((pages({}, Tarballs={MACHINE: name}), "has no archive for", both[:1])
          for name in (None, 5, "", f"tailscale__{MACHINE}.tgz"[1:], f"tailscale_../../x_{MACHINE}.tgz", f"tailscale_1 2_{MACHINE}.tgz",
                       f"tailscale_{'1' * 200}_{MACHINE}.tgz", f"tailscale_1.2_{MACHINE}.deb", "tailscale_1.2_riscv64.tgz")),
    )


class Site:
    """A mirror at https://127.0.0.1:8443/stable, whose authority curl and wget know by their own settings; and one by plain HTTP."""

    def __init__(self, t):
        t.need("openssl", "curl", "wget", *TOOLS)
        t.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=mirror",
               "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{t.dir}/key.pem", "-out", f"{t.dir}/ca.pem"]).good()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{t.dir}/ca.pem", f"{t.dir}/key.pem")
        self.t, self.asked = t, []
        self.good = pages({"tailscale": "#!/bin/sh\n", "tailscaled": TAILSCALED.format(sim=t.build("tsproxy-sim")), "systemd/unit": "x"})
        self.serve(8443, context)
        self.serve(8080, None)
        self.server.pages = {}
        t.env.update(TSPROXY_MIRROR="https://127.0.0.1:8443/stable/", CURL_CA_BUNDLE=f"{t.dir}/ca.pem")
        t.file("home/.wgetrc", f"ca_certificate = {t.dir}/ca.pem\n")
        # Of each way to fetch, a PATH with that alone.
        for way, names in ("curl", ["curl"]), ("wget", ["wget"]), ("neither", []):
            os.makedirs(f"{t.dir}/{way}")
            for name in (*TOOLS, *names):
                os.symlink(shutil.which(name), f"{t.dir}/{way}/{name}")

    def serve(self, port, context):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Mirror)
        self.server.asked, self.server.pages = self.asked, self.good
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.secure = self.server
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def up(self, way="curl", *more, **keywords):
        env = {"PATH": f"{self.t.dir}/{way}", **keywords.pop("env", {})}
        return self.t.launcher("up", "--install", *more, env=env, timeout=60, **keywords)

    def refused(self, *texts, way="curl", status=1, **keywords):
        """One line, status 1, and nothing is there that was not."""
        done = self.up(way, **keywords).bad(*texts, status=status)
        assert done.err.count("\n") == 1 and done.err.startswith("tsproxy: ") and not done.out, done
        assert not os.path.exists(f"{self.t.home}/.local/bin"), (os.listdir(f"{self.t.home}/.local/bin"), done)


@test("up --install: fetched by curl or wget, verified, there with nothing besides, and the node is up; again nothing is fetched")
def installs(t):
    site = Site(t)
    for way in "curl", "wget":
        site.secure.pages = site.good
        del site.asked[:]
        done = site.up(way)
        assert "Connected as" in done.good() and site.asked == [INDEX, ARCHIVE, f"{ARCHIVE}.sha256"], (site.asked, done)
        assert done.err.startswith("tsproxy: installing Tailscale from https://127.0.0.1:8443/stable into ~/.local/bin ... "
                                   f"{NAME}.tgz\n"), done
        place = f"{t.home}/.local/bin"
        assert sorted(os.listdir(place)) == ["tailscale", "tailscaled"], os.listdir(place)
        for name in os.listdir(place):
            st = os.stat(f"{place}/{name}")
            assert st.st_mode & 0o777 == 0o755 and st.st_uid == os.getuid(), st
        assert "installing" not in site.up(way).err and len(site.asked) == 3, site.asked
        t.launcher("down").good("Stopped.")
        shutil.rmtree(place)


@test("up --install: whatever the mirror has wrong is one line and status 1, and nothing is installed")
def wrong(t):
    site = Site(t)
    site.server.pages = site.good   # who is led to http would get it all
    for change, says, ways in broken(site):
        site.secure.pages = {**site.good, **change}
        for way in ways:
            site.refused("installing Tailscale from https://127.0.0.1:8443/stable into ~/.local/bin ... failed: ", says, way=way)


@test("up --install: no network, no trust, no tool, no place: one line, and nothing is installed")
def missing(t):
    site = Site(t)
    for way in "curl", "wget":
        site.refused("https://127.0.0.1:9/stable/?mode=json: ", "onnect", way=way, env={"TSPROXY_MIRROR": "https://127.0.0.1:9/stable"})
        site.refused("https://mirror.invalid/?mode=json: ", way=way, env={"TSPROXY_MIRROR": "https://mirror.invalid"})
    site.refused("https://pkgs.tailscale.com/stable/?mode=json: ", env={"TSPROXY_MIRROR": ""})
    site.refused("certificate", env={"CURL_CA_BUNDLE": "/dev/null"})
    t.file("home/.wgetrc", "")
    site.refused("certificate", way="wget")
    site.refused("curl or GNU wget is needed, and neither is installed", way="neither")
    t.file("neither/wget", "#!/bin/sh\necho BusyBox\n", 0o755)
    site.refused("curl or GNU wget is needed, and neither is installed", way="neither")
    for mirror in "http://127.0.0.1:8080/stable", "127.0.0.1:8443", "https://", "https:///x", "https://x/?y", "https://x y/", "https://" + "x" * 600:
        site.refused("TSPROXY_MIRROR", "must be a URL that begins with https://", env={"TSPROXY_MIRROR": mirror}, status=2)
    for tool in "sha256sum", "tar":
        os.rename(f"{t.dir}/curl/{tool}", f"{t.dir}/curl/hidden")
        site.refused(f"{tool}: command not found")
        os.rename(f"{t.dir}/curl/hidden", f"{t.dir}/curl/{tool}")
    t.file("failing/curl", "#!/bin/sh\nexit 7\n", 0o755)
    for tool in TOOLS:
        os.symlink(shutil.which(tool), f"{t.dir}/failing/{tool}")
    site.refused("curl ended with status 7", way="failing")
    t.file("home/.local/bin")
    done = site.up().bad("/.local/bin: Not a directory", status=1)
    assert done.err.count("\n") == 1, done
    os.unlink(f"{t.home}/.local/bin")
    os.makedirs(f"{t.home}/.local/bin/tailscaled")
    done = site.up().bad("/.local/bin/tailscaled: Is a directory", status=1)
    assert os.listdir(f"{t.home}/.local/bin") == ["tailscaled"] and done.err.count("\n") == 1, done


@test("up --install: who interrupts it finds nothing installed, and the signal in the exit status")
def interrupted(t):
    site = Site(t)
    stop = threading.Event()
    site.secure.pages = {**site.good, ARCHIVE: lambda handler: stop.wait()}
    for number in signal.SIGINT, signal.SIGTERM:
        del site.asked[:]
        p = subprocess.Popen([t.build("tsproxy"), "up", "--install"], env={**t.env, "PATH": f"{t.dir}/curl"}, stderr=subprocess.PIPE, text=True)
        until(lambda: ARCHIVE in site.asked, "a request for the archive")
        p.send_signal(number)
        _, err = p.communicate(timeout=15)
        assert p.returncode == -number and err.endswith(" failed: interrupted\n") and err.count("\n") == 1, (p.returncode, err)
        assert not os.path.exists(f"{t.home}/.local/bin")
    stop.set()
