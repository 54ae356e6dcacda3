# SPDX-License-Identifier: MIT
"""32-bit programs, started by 64-bit ones: their loader cannot load the object, and is not asked to."""
import collections
import os
import subprocess

from harness import ROOT, Skip, test

LIBC32 = "/lib32/libc.so.6"     # Debian's libc6-i386
LOADER32 = "/lib/ld-linux.so.2"
EXEC = ("execve", "execv", "execvp", "execvpe", "execl", "execlp", "execle", "fexecve", "execveat", "execveat-empty", "number",
        "vfork", "posix_spawn", "posix_spawnp")


def prepare(t):
    """`starter` and `small32` in the test's directory."""
    t.need("gcc")
    if os.uname().machine != "x86_64":
        raise Skip("32-bit programs of x86 alone are tried")
    if not os.path.exists(LIBC32) or not os.path.exists(LOADER32):
        raise Skip("no 32-bit libc is installed (libc6-i386)")
    # gcc-multilib, whose headers these would need otherwise, excludes every cross compiler.
    t.run(["gcc", "-m32", "-nostdlib", "-fno-pic", "-no-pie", "-fno-stack-protector", "-Wl,-dynamic-linker=" + LOADER32, "-o", "small32",
           f"{ROOT}/tests/lib/small32.c", LIBC32]).good()
    t.run(["gcc", "-D_GNU_SOURCE", "-o", "starter", f"{ROOT}/tests/lib/starter.c"]).good()
    return f"{t.dir}/starter"


def clean(done):
    """It ran, without the object, and nothing was said about that."""
    done.good("PATH=")
    assert "LD_PRELOAD" not in done.out and not done.err, done


@test("every way to start one: no line of the loader's, the object alone is gone")
def ways(t):
    starter = prepare(t)
    for way in EXEC:
        clean(t.preload(starter, way, f"{t.dir}/small32"))
    for way in ("execvp", "execlp", "execvpe", "posix_spawnp"):
        os.makedirs(f"{t.dir}/first", exist_ok=True)
        clean(t.preload(starter, way, "small32", env={"PATH": f"/nowhere:{t.dir}/first:{t.dir}:/usr/bin"}))
    for way in EXEC:
        done = t.preload(starter, way, "/usr/bin/env")
        assert f"LD_PRELOAD={t.build('libtsproxy.so')}\n" in done.good(), done


@test("scripts with a 32-bit interpreter, and with an interpreter that is such a script's")
def scripts(t):
    starter = prepare(t)
    t.file("script", f"#! {t.dir}/small32\n", 0o755)
    t.file("outer", f"#!{t.dir}/script argument\n", 0o755)
    t.file("by-env", "#!/usr/bin/env small32\n", 0o755)
    for name in ("script", "outer", "by-env"):
        clean(t.preload(starter, "execve", f"{t.dir}/{name}", env={"PATH": f"{t.dir}:/usr/bin"}))


@test("shells and interpreters")
def shells(t):
    prepare(t)
    t.need("dash", "bash", "zsh", "mksh", "perl", "python3")
    for argv in (["dash", "-c", "./small32; true"], ["bash", "-c", "./small32; true"], ["bash", "-c", "exec ./small32"],
                 ["zsh", "-c", "./small32; true"], ["mksh", "-c", "./small32; true"], ["perl", "-e", "system('./small32')"],
                 ["perl", "-e", "print `./small32; true`"], ["env", "./small32"],
                 ["python3", "-c", "import subprocess; subprocess.run(['./small32'])"],
                 ["python3", "-c", "import os; os.system('./small32')"], ["sh", "-c", "echo ./small32 | xargs -n1 env"]):
        clean(t.preload(*argv))


@test("other preloaded libraries stay, and the rest of the environment")
def others(t):
    starter, own = prepare(t), t.build("libtsproxy.so")
    other, another = "/lib32/libm.so.6", "/lib32/libdl.so.2"
    for given, left in ((f"{own}:{other}", other), (f"{other} {own}", f"{other} "), (f"{other}:{own}:{another}", f"{other}:{another}"),
                        (f" {own} ", None), ("", ""), (f"{own}.other", f"{own}.other")):
        done = t.preload(starter, "execve", "./small32", f"LD_PRELOAD={given}", "A=1", "B=2")
        seen = done.out.splitlines()
        assert seen == [*([] if left is None else [f"LD_PRELOAD={left}"]), "A=1", "B=2"], (given, done)
    clean(t.preload(starter, "execve", "./small32", "PATH=/bin"))
    # A library that does nothing changes nothing.
    assert "ELFCLASS64" in t.preload(starter, "execve", "./small32", env={"TSPROXY_DISABLE": "1"}).err


@test("where there is no such loader, to start a program takes one call more")
def no_loader(t):
    starter = prepare(t)
    t.need("strace")
    subprocess.run(["mount", "-t", "tmpfs", "none", os.path.dirname(os.path.realpath(LIBC32))], check=True)
    assert not os.path.exists(LOADER32)

    def calls(way, *preload):
        """What the process calls until it becomes /bin/true, or ends."""
        t.run(["strace", "-o", "calls", *preload, starter, way, "/bin/true"])
        with open(f"{t.dir}/calls") as f:
            names = [line.split("(")[0] for line in f]
        return collections.Counter(names[:names.index("execve", 1) if "execve" in names[1:] else names.index("exit_group")])

    preload = ["-E", "LD_PRELOAD=" + t.build("libtsproxy.so")]
    plain = calls("execve") - calls("none")
    assert calls("execve", *preload) - calls("none", *preload) - plain == collections.Counter(faccessat=1)
