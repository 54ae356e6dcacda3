# SPDX-License-Identifier: MIT
"""The front door with a real daemon behind it: doctor, env."""
import json

from checks import check, good
from servers import PAGE
from world import NODE1, until

URL = f"http://{NODE1}:3000"


@check("door: doctor finds nothing wrong, and reaches a peer's daemon by itself")
def doctor(w):
    def connected():
        # The first packets between two nodes may take a while to find their way.
        done = w.run("tsproxy", "doctor", "--json")
        found = {f["check"]: f for f in json.loads(done.stdout)["checks"]}
        return done.returncode == 0 and found["connect"]["level"] == "ok" and found
    found = until("a doctor that finds nothing wrong", connected)
    assert "tailscaled 1." in found["daemon"]["text"], found
    assert w.ip4 in found["connect"]["text"], found
    done = w.run("tsproxy", "doctor", f"{NODE1}:3999")
    assert done.returncode == 3 and "refused" in done.stdout, done
    w.resolver.asked()


@check("door: a shell that has evaluated tsproxy env serves its programs, and after env --off no longer")
def env(w):
    on = 'eval "$(tsproxy env)"\n'
    good(w.run("bash", "-c", f"{on}curl -sS {URL}"), PAGE)
    done = w.run("bash", "-c", f'{on}eval "$(tsproxy env --off)"\ncurl -sS {URL}')
    assert done.returncode == 6, done
    w.resolver.asked()
