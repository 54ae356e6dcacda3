# SPDX-License-Identifier: MIT
"""The map before the command: when tsproxy-sync is started, how, and what it may cost."""
import ctypes
import os
import subprocess
import time

from harness import Skip, one_line, same, test


def until(condition, what):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, f'never: {what}'
        os.sched_yield()


@test
def a_missing_map_is_made_first(w):
    same(w.run('test', '-s', w.map), (0, '', ''))
    same(w.sync_log(), 'session own\npreload none\nfd 0 /dev/null\nfd 1 /dev/null\nfd 2 pipe\n')


@test
def a_fresh_map_is_left_alone(w):
    w.run('true')
    os.unlink(w.log)
    w.run('true')
    same(w.sync_log(), '')


@test
def an_old_map_is_refreshed_behind(w):
    w.run('true', env={'FAKE_AGE': '11'})
    os.unlink(w.log)
    same(w.run('true'), (0, '', ''))
    want = 'session own\npreload none\nfd 0 /dev/null\nfd 1 /dev/null\nfd 2 /dev/null\n'
    until(lambda: w.sync_log() == want, 'a detached refresh')


@test
def what_readers_would_refuse_is_made_anew(w):
    def damage(change):
        w.run('true')
        change()
        os.unlink(w.log)
        w.run('true')
        assert 'fd 2 pipe' in w.sync_log(), 'the map was taken'
        os.unlink(w.map)

    def cut():
        os.truncate(w.map, 20)

    def other_magic():
        with open(w.map, 'r+b') as f:
            f.write(b'nonsense')

    def other_version():
        with open(w.map, 'r+b') as f:
            f.seek(8)
            f.write(b'\x7f')

    for change in (cut, other_magic, other_version, lambda: os.chmod(w.map, 0o622)):
        damage(change)
    if os.getuid() == 0:
        damage(lambda: os.chown(w.map, 65534, 65534))


@test
def a_changed_status_file_counts_at_once(w):
    status = w.write('status', '{}', 0o600)
    os.utime(status, (1, 1))
    w.run('--status', status, 'true')
    os.unlink(w.log)
    w.run('--status', status, 'true')
    same(w.sync_log(), '')
    os.utime(status)
    w.run('--status', status, 'true')
    assert 'fd 2 pipe' in w.sync_log()


@test
def a_failing_sync_is_heard_and_the_program_runs(w):
    same(w.run('echo', 'ran', env={'FAKE_DO': 'fail'}), (0, 'ran\n', 'fake: failed\n'))


@test
def a_broken_status_file_stops(w):
    status = w.write('status', 'x', 0o600)
    same(w.run('--status', status, 'echo', 'ran', env={'FAKE_DO': 'fail'}), (2, '', 'fake: failed\n'))


@test
def a_hanging_sync_is_left_behind_after_a_second(w):
    os.mkfifo(w.path('gate'))
    began = time.monotonic()
    status, out, err = w.run(w.program('children'), env={'FAKE_DO': 'hang', 'FAKE_GATE': w.path('gate')})
    took = time.monotonic() - began
    same((status, out.splitlines()[0], err), (0, 'wait ECHILD', 'fake: hangs\n'))
    assert 0.9 < took < 5, took
    assert not os.path.exists(w.map)
    with open(w.path('gate'), 'w'):
        pass
    until(lambda: os.path.exists(w.map), 'the map, by the sync that was left behind')


@test
def a_closed_pipe_downstream_is_not_held(w):
    """`tsproxy x | cat` ends with x, though sync goes on."""
    os.mkfifo(w.path('gate'))
    p = subprocess.run(['sh', '-c', f'{w.launcher} echo x 2>&1 | cat'], stdout=subprocess.PIPE, text=True, timeout=20,
                       env={**w.env, 'FAKE_DO': 'hang', 'FAKE_GATE': w.path('gate')})
    same(p.stdout, 'fake: hangs\nx\n')
    with open(w.path('gate'), 'w'):
        pass


@test
def a_subreaper_gets_no_orphan(w):
    def subreaper():
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)     # PR_SET_CHILD_SUBREAPER

    os.mkfifo(w.path('gate'))
    for env in ({}, {'FAKE_AGE': '11'}, {'FAKE_AGE': '11'}, {'FAKE_DO': 'hang', 'FAKE_GATE': w.path('gate')}):
        if 'FAKE_DO' in env:
            os.unlink(w.map)
        out = w.run(w.program('children'), env=env, preexec_fn=subreaper)[1]
        same(out.splitlines()[0], 'wait ECHILD')


@test
def as_pid_1(w):
    p = subprocess.run(['unshare', '-p', '-f', '--kill-child', 'true'], stderr=subprocess.PIPE, text=True)
    if p.returncode:
        raise Skip(f'no PID namespace: {p.stderr.strip()}')
    for age in ('11', '11', '0'):
        p = subprocess.run(['unshare', '-p', '-f', w.launcher, '--', w.program('children')],
                           env={**w.env, 'FAKE_AGE': age}, stdout=subprocess.PIPE, text=True)
        same((p.returncode, p.stdout.splitlines()[0]), (0, 'wait ECHILD'))


@test
def without_a_place_for_maps_it_runs(w):
    env = {k: v for k, v in w.env.items() if k not in ('HOME', 'TSPROXY_PLACE')}
    # /run is closed, which has root's, and /dev/shm and /tmp, where it would be kept instead: in mounts of this test's own.
    script = (f'mount --bind {w.dir} /mnt && for d in /run /dev/shm /tmp; do mount -t tmpfs -o ro none $d || exit; done; '
              'setpriv --reuid=65534 --regid=65534 --clear-groups /mnt/bin/tsproxy --status - echo y; exec /mnt/bin/tsproxy echo x')
    p = subprocess.run(['unshare', *([] if os.getuid() == 0 else ['-r']), '-m', 'sh', '-c', script], env=env,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if 'unshare' in p.stderr or 'mount' in p.stderr:
        raise Skip(f'no mounts of its own: {p.stderr.strip()}')
    same((p.returncode, p.stdout), (0, 'x\n'))
    one_line(p.stderr, '--status -: no directory for the map; set HOME or XDG_RUNTIME_DIR')


@test
def without_sync_it_runs_and_says_so(w):
    os.unlink(w.path('bin/tsproxy-sync'))
    status, out, err = w.run('echo', 'x')
    same((status, out), (0, 'x\n'))
    one_line(err, 'tsproxy-sync is missing, so tailnet names do not resolve')
    status, out, err = w.run('--status', '-', 'echo', 'x')
    same((status, out), (2, ''))
    one_line(err, 'tsproxy-sync is missing; install')


@test
def status_from_standard_input(w):
    p = subprocess.Popen([w.launcher, '--status', '-', '--', 'sh', '-c', 'cat; echo $$ $TSPROXY_MAP $TSPROXY_STATUS'],
                         env=w.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    out = p.communicate('a status\n')[0].split()
    path = os.path.join(w.run_dir, 'tsproxy', f'stdin-{p.pid}.map')
    same((p.returncode, out), (0, [str(p.pid), path, '-']))
    assert f'arg --status\narg -\narg --map\narg {path}\nsession inherited\npreload none\n' in w.sync_log()


@test
def status_from_standard_input_is_read_once(w):
    """A launcher below uses the map that is there; one that is told another source makes another."""
    args = [w.launcher, 'sh', '-c', 'echo ${TSPROXY_MAP:-none} ${TSPROXY_STATUS:-none}']
    out = w.run('--status', '-', *args)[1].split()
    assert out[0].startswith(w.run_dir) and out[1] == '-', out
    same(w.sync_log().count('session'), 1)
    args[1:1] = ['-p', 'work']
    same(w.run('--status', '-', *args)[1], 'none none\n')


@test
def a_failure_to_read_standard_input_stops(w):
    same(w.run('--status', '-', 'echo', 'ran', env={'FAKE_DO': 'fail'}), (2, '', 'fake: failed\n'))


@test
def maps_of_processes_that_are_gone_are_swept(w):
    folder = os.path.dirname(w.map)
    dead = subprocess.Popen(['true'])
    dead.wait()
    files = {f'stdin-{dead.pid}.map': False, f'stdin-{os.getpid()}.map': True, 'stdin-x.map': True, 'default.map': True}
    for name in files:
        open(os.path.join(folder, name), 'w').close()
        os.utime(os.path.join(folder, name), (1, 1))
    young = os.path.join(folder, f'stdin-{dead.pid + 4000000}.map')
    open(young, 'w').close()
    w.run('--status', '-', 'true')
    same({name: os.path.exists(os.path.join(folder, name)) for name in files}, files)
    assert os.path.exists(young), 'a day has not passed'
