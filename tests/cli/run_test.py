# SPDX-License-Identifier: MIT
"""Becoming the command: what it inherits, what it is told, and how a failure to start is told."""
import os
import pty
import resource
import signal
import subprocess

from harness import MARK, Skip, one_line, same, test


@test
def exit_status_and_signals_are_the_programs(w):
    same(w.run(w.program('dynamic')), (MARK, '', ''))
    same(w.run('sh', '-c', 'exit 3')[0], 3)
    same(w.run('sh', '-c', 'kill -TERM $$')[0], -signal.SIGTERM)


@test
def a_small_stack_is_enough(w):
    limit = 64 << 10
    same(w.run(w.program('dynamic'), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_STACK, (limit, limit))), (MARK, '', ''))


@test
def the_pid_stays(w):
    p = subprocess.Popen([w.launcher, 'sh', '-c', 'echo $$ $PPID'], env=w.env, stdout=subprocess.PIPE, text=True)
    same(p.communicate()[0].split(), [str(p.pid), str(os.getpid())])


@test
def the_terminal_stays(w):
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(w.launcher, [w.launcher, '--', 'sh', '-c', 'tty; ps -o stat= -p $$'], w.env)
    out = b''
    while True:
        try:
            data = os.read(fd, 4096)
        except OSError:
            break
        if not data:
            break
        out += data
    same(os.waitpid(pid, 0)[1], 0)
    lines = out.decode().split()
    assert lines[0].startswith('/dev/pts/'), out
    assert '+' in lines[1], f'not in the foreground: {out!r}'


@test
def the_program_notices_nothing(w):
    """No child, no descriptor, no signal state that was not there; with the map missing, old and fresh."""
    bare = subprocess.run([w.program('children')], stdout=subprocess.PIPE, text=True).stdout
    assert bare.startswith('wait ECHILD\n')
    for age in ('20', '20', '0', '0'):
        same(w.run(w.program('children'), env={'FAKE_AGE': age}), (0, bare, ''))


@test
def descriptors_pass_through(w):
    r, wr = os.pipe()
    os.set_inheritable(wr, True)
    status, _, _ = w.run('sh', '-c', f'echo through >&{wr}', pass_fds=[wr])
    same((status, os.read(r, 100)), (0, b'through\n'))
    os.close(r)
    os.close(wr)


@test
def works_with_standard_descriptors_closed(w):
    for age in ('0', '20', '20'):
        p = subprocess.run(['sh', '-c', f'{w.launcher} sh -c "exit 7" <&- >&- 2>&-'], env={**w.env, 'FAKE_AGE': age})
        same(p.returncode, 7)


@test
def argv0_is_the_word(w):
    w.install(w.program('dynamic'), 'mine')
    same(w.run('sh', '-c', 'echo $0')[1], 'sh\n')
    status, out, _ = w.run('cat', '/proc/self/cmdline')
    same((status, out), (0, 'cat\0/proc/self/cmdline\0'))


@test
def preload_is_set_and_the_users_kept(w):
    same(w.environment()['LD_PRELOAD'], w.object)
    other = w.install(w.program('empty.so'), 'other.so')
    third = w.install(w.program('empty.so'), 'third.so')
    for sep in (':', ' '):
        same(w.environment(env={'LD_PRELOAD': other + sep + third})['LD_PRELOAD'], f'{w.object}:{other}:{third}')


@test
def nested_launchers_do_not_add_up(w):
    other = w.install(w.program('empty.so'), 'other.so')
    env = w.environment('--route', '10.0.0.0/8', '--', w.launcher, '--', w.launcher, env={'LD_PRELOAD': other})
    same((env['LD_PRELOAD'], env['TSPROXY_ROUTE']), (f'{w.object}:{other}', '10.0.0.0/8'))
    same(env['ASAN_OPTIONS'], 'verify_asan_link_order=0')


@test
def another_builds_object_gives_way(w):
    os.mkdir(w.path('old'))
    old = w.install(w.program('empty.so'), 'old/libtsproxy.so')
    same(w.environment(env={'LD_PRELOAD': old})['LD_PRELOAD'], w.object)


@test
def the_object_of_an_installation(w):
    os.mkdir(w.path('lib'))
    installed = w.path('lib/libtsproxy.so')
    os.rename(w.object, installed)
    same(w.environment()['LD_PRELOAD'], installed)
    os.symlink(w.launcher, w.path('linked'))
    w.launcher = w.path('linked')
    same(w.environment()['LD_PRELOAD'], installed)


@test
def without_the_object_nothing_runs(w):
    os.unlink(w.object)
    status, out, err = w.run('echo', 'ran')
    same((status, out), (126, ''))
    one_line(err, 'libtsproxy.so was not found next to tsproxy or in ../lib; install tsproxy again')


@test
def a_folder_that_ld_preload_cannot_name(w):
    """Then the object is named through a link beside the map."""
    os.rename(w.bin, w.path('my bin'))
    w.launcher = w.path('my bin/tsproxy')
    for _ in range(2):
        name = w.environment()['LD_PRELOAD']
        assert name.startswith(w.run_dir + '/tsproxy/lib-') and name.endswith('/libtsproxy.so'), name
        assert os.path.samefile(name, w.path('my bin/libtsproxy.so')), name


@test
def a_link_to_another_folder_is_not_taken(w):
    os.rename(w.bin, w.path('my bin'))
    w.launcher = w.path('my bin/tsproxy')
    link = os.path.dirname(w.environment()['LD_PRELOAD'])
    os.unlink(link)
    os.symlink('/usr/lib', link)
    status, out, err = w.run('echo', 'ran')
    same((status, out), (126, ''))
    one_line(err, 'LD_PRELOAD does not support paths with a space or a colon')


@test
def no_name_for_the_object_at_all(w):
    os.rename(w.bin, w.path('my bin'))
    os.rename(w.run_dir, w.path('my run'))
    w.launcher = w.path('my bin/tsproxy')
    status, out, err = w.run('echo', 'ran', env={'TSPROXY_PLACE': w.path('my run/tsproxy')})
    same((status, out), (126, ''))
    one_line(err, 'LD_PRELOAD does not support paths with a space or a colon')


@test
def disabled_it_only_execs(w):
    status, out, err = w.run('--', 'env', env={'TSPROXY_DISABLE': '1'})
    same((status, err), (0, ''))
    assert 'LD_PRELOAD' not in out and 'ASAN' not in out, out
    same(w.run(w.program('static'), env={'TSPROXY_DISABLE': '1'})[0], MARK)
    same(w.sync_log(), '')


@test
def asan_programs_start(w):
    """gcc's runtime refuses to come after a preloaded object unless told otherwise."""
    for compiler in ('gcc', 'clang'):
        same((compiler, *w.run(w.program('asan-' + compiler))), (compiler, MARK, '', ''))
    same(w.environment(env={'ASAN_OPTIONS': 'detect_leaks=0'})['ASAN_OPTIONS'],
         'detect_leaks=0:verify_asan_link_order=0')
    plain = subprocess.run([w.program('asan-gcc')], env={**w.env, 'LD_PRELOAD': w.object}, stderr=subprocess.PIPE)
    if plain.returncode == MARK:
        raise Skip('this gcc does not check the order of libraries')


@test
def musl_programs_start(w):
    same(w.run(w.program('musl')), (MARK, '', ''))


@test
def a_huge_environment_passes(w):
    env = {f'V{i}': 'x' * 100 for i in range(5000)}
    env['LD_PRELOAD'] = ':'.join([w.install(w.program('empty.so'), 'other.so')] * 500)
    got = w.environment('--route', '10.0.0.0/8', env=env)
    same(sum(k.startswith('V') for k in got), 5000)
    same(got['LD_PRELOAD'], w.object + ':' + env['LD_PRELOAD'])


@test
def too_long_arguments(w):
    script = f'exec {w.launcher} -- true $(head -c 200000 /dev/zero | tr "\\0" x)'
    p = subprocess.run(['bash', '-c', script], env=w.env, stderr=subprocess.PIPE, text=True)
    assert p.returncode == 126, p
