# SPDX-License-Identifier: MIT
"""Real servers for tests; t is harness.Test."""
import glob
import os
import shutil

from harness import listening


def postgres(t, addresses=("127.0.0.1",)):
    """Returns the environment that its clients need."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    bin_dir = found[-1] if found else os.path.dirname(shutil.which("initdb", path=t.env["PATH"]) or "")
    if not bin_dir:
        t.need("initdb")
    data = t.unprivileged_dir("pg")
    t.run(t.unprivileged([f"{bin_dir}/initdb", "-D", f"{data}/d", "-A", "scram-sha-256", "-U", "app", "--no-sync",
                          "--locale=C", "--pwfile", t.file("pw", "secret\n")]), cwd=data, timeout=60).good()
    with open(f"{data}/d/pg_hba.conf", "a", encoding="utf-8") as f:
        f.write("host all all all scram-sha-256\n")
    t.spawn(t.unprivileged([f"{bin_dir}/postgres", "-D", f"{data}/d", "-k", data, "-c",
                            f"listen_addresses={','.join(addresses)}", "-c", "fsync=off", "-c",
                            "max_connections=60"]), lambda: listening(5432), cwd=data)
    return {"PGUSER": "app", "PGPASSWORD": "secret", "PGDATABASE": "postgres", "PGCONNECT_TIMEOUT": "10"}


def sshd(t, addresses=("127.0.0.1",)):
    """Returns the configuration that its clients need."""
    t.need("ssh", "sshd", "ssh-keygen")
    for name in ("host", "user"):
        t.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{t.dir}/{name}"]).good()
    os.makedirs(f"{t.dir}/etc", exist_ok=True)
    shutil.copy(f"{t.dir}/user.pub", f"{t.dir}/authorized")
    os.chmod(f"{t.dir}/authorized", 0o600)
    listen = "\n".join(f"ListenAddress {address}" for address in addresses)
    conf = t.file("sshd_config", f"""
Port 2222
{listen}
HostKey {t.dir}/host
AuthorizedKeysFile {t.dir}/authorized
PidFile none
MaxStartups 100
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
Subsystem sftp internal-sftp
""")
    t.spawn([shutil.which("sshd", path=t.env["PATH"]), "-D", "-e", "-f", conf], lambda: listening(2222))
    return t.file("ssh_config", f"""
Host *
    Port 2222
    User root
    IdentityFile {t.dir}/user
    IdentitiesOnly yes
    StrictHostKeyChecking accept-new
    UserKnownHostsFile {t.dir}/known
    BatchMode yes
""")
