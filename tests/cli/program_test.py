# SPDX-License-Identifier: MIT
"""Which file a command is, and what is said where a preloaded library cannot serve it."""
import os
import shutil
import struct
import subprocess

from harness import MARK, Skip, one_line, same, test


def refused(w, *args, parts=(), env=None, status=126, **keywords):
    got, out, err = w.run(*args, env=env, **keywords)
    same((args, got, out), (args, status, ''))
    one_line(err, *parts)
    same(w.sync_log(), '')


@test
def not_found_is_127(w):
    for name in ('no-such-program', './none', '/no/such', '', 'x' * 5000):
        refused(w, '--', name, parts=['command not found'], status=127)


@test
def not_executable_is_126(w):
    w.write('plain', 'x', 0o644)
    refused(w, './plain', parts=['Permission denied'])
    refused(w, w.dir, parts=['directory'])
    os.mkfifo(w.path('fifo'), 0o755)
    refused(w, './fifo', parts=['Permission denied'])


@test
def path_is_searched_as_execvp_does(w):
    for d in ('a', 'b', 'c', 'd'):
        os.mkdir(w.path(d))
    os.mkdir(w.path('a/prog'))
    w.write('b/prog', 'x', 0o644)
    w.write('c/prog', '#!/bin/sh\necho c\n')
    w.write('d/prog', '#!/bin/sh\necho d\n')
    path = ':'.join(w.path(d) for d in ('none', 'a', 'b', 'c', 'd'))
    refused(w, 'prog', env={'PATH': w.path('a') + ':' + w.path('b')}, parts=['Permission denied'])
    same(w.run('prog', env={'PATH': path}), (0, 'c\n', ''))
    w.write('here', '#!/bin/sh\necho here\n')
    for value in ('', ':/none', '/none:', '/none::/none'):
        same(w.run('here', env={'PATH': value}), (0, 'here\n', ''))
    env = {k: v for k, v in w.env.items() if k != 'PATH'}
    p = subprocess.run([w.launcher, 'echo', 'x'], env=env, stdout=subprocess.PIPE)
    same(p.stdout, b'x\n')


@test
def static_programs_are_refused(w):
    for name in ('static', 'static-pie', 'bare'):
        refused(w, w.program(name), parts=['is a static program, which tsproxy does not support yet', name])
        refused(w, '--mode', 'preload', w.program(name), parts=['static'])


@test
def go_programs_are_refused(w):
    for name in ('go-note', 'go-section'):
        refused(w, w.program(name), parts=['is a Go program, which tsproxy does not support yet', name])
    go = shutil.which('go')
    if not go:
        raise Skip('a real Go program: go is not installed (its marks were tested)')
    refused(w, go, parts=['Go'])


@test
def scripts_are_their_interpreters(w):
    static, go = w.program('static'), w.program('go-note')
    w.install(static, 'on-path')
    path = {'PATH': w.dir + ':' + w.env['PATH']}
    for line in (f'#!{static}', f'#! \t{static} -x', f'#!/usr/bin/env {static}', '#!/usr/bin/env on-path',
                 '#!/usr/bin/env -S on-path -x', '#!/usr/bin/env -S -i A=b on-path', '#!/usr/bin/env -vS -u X on-path'):
        w.write('script', line + '\n')
        refused(w, './script', env=path, parts=['./script: ', 'static'])
    w.write('inner', f'#!{go}\n')
    w.write('script', f'#!{w.path("inner")}\n')
    refused(w, './script', parts=['Go'])


@test
def scripts_run(w):
    dynamic = w.program('dynamic')
    for line in (f'#!{dynamic}', f'#!{dynamic} a b', f'#!/usr/bin/env {dynamic}', f'#!/usr/bin/env -S {dynamic} -u',
                 f'#!{dynamic}' + ' ' * 300 + 'x'):
        w.write('script', line)
        same((line, *w.run('./script')), (line, MARK, '', ''))


@test
def broken_scripts_are_the_kernels_to_refuse(w):
    for text, part in (('#!/no/such\n', 'interpreter /no/such not found'), ('#!' + w.path('script') + '\n', '')):
        w.write('script', text)
        status, _, err = w.run('./script')
        same(status, 126)
        one_line(err, './script', part)


@test
def what_no_format_claims_goes_to_sh(w):
    w.write('script', '#!' + 'x' * 5000 + '\necho cut')
    same(w.run('./script'), (0, 'cut\n', ''))
    for text in ('echo sh $0 "$@"\n', '\n\necho sh $0 "$@"\n'):
        w.write('script', text)
        same(w.run('./script', 'a', 'b c'), (0, 'sh ./script a b c\n', ''))
    w.write('empty', '')
    same(w.run('./empty'), (0, '', ''))


@test
def broken_and_foreign_elf_files(w):
    with open(w.program('dynamic'), 'rb') as f:
        good = f.read()

    def variant(change):
        data = bytearray(good)
        data = change(data) or data
        with open(w.path('elf'), 'wb') as f:
            f.write(data)
        os.chmod(w.path('elf'), 0o755)

    def put(offset, fmt, value):
        return lambda data: struct.pack_into(fmt, data, offset, value)

    for change, part in (
            (put(4, 'B', 1), 'is for a different processor than libtsproxy.so'), (put(5, 'B', 2), 'processor'), (put(18, '<H', 0xf3), 'processor'),
            (lambda d: d[:4], 'cannot execute binary file'), (lambda d: d[:19], 'binary'), (lambda d: d[:40], 'binary'),
            (put(32, '<Q', 2 ** 64 - 1), 'binary'), (put(32, '<Q', len(good)), 'binary'),
            (put(54, '<H', 1), 'binary'), (put(56, '<H', 0xffff), 'binary'), (put(56, '<H', 0), 'static')):
        variant(change)
        refused(w, './elf', parts=[part])
    variant(lambda d: d.replace(b'/ld-linux', b'/ld-other').replace(b'/ld-musl', b'/ld-none'))
    got, out, err = w.run('./elf')
    same((got, out), (126, ''))
    one_line(err, './elf: interpreter not found')
    for offset in (40, 58, 60, 62):     # the section table is not needed to run
        variant(put(offset, '<H', 0xfffe))
        same((offset, *w.run('./elf')), (offset, MARK, '', ''))


@test
def huge_files_cost_nothing(w):
    with open(w.program('dynamic'), 'rb') as f:
        good = f.read()
    with open(w.path('big'), 'wb') as f:
        f.write(good)
        try:
            f.truncate(1 << 40)
        except OSError as e:
            raise Skip(f'a sparse file of 1 TiB: {e.strerror}')
    os.chmod(w.path('big'), 0o755)
    same(w.run('./big')[0], MARK)


def as_nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def need_root():
    if os.getuid() != 0:
        raise Skip('needs root to make files of another user')


@test
def setuid_programs_are_refused(w):
    need_root()
    os.chmod(w.install(w.program('dynamic'), 'suid'), 0o4755)
    os.chmod(w.install(w.program('dynamic'), 'sgid'), 0o2755)
    os.chown(w.run_dir, 65534, 65534)
    os.chown(os.path.dirname(w.map), 65534, 65534)
    os.mkdir(w.path('of-root'), 0o700)
    for name in ('./suid', './sgid'):
        refused(w, name, preexec_fn=as_nobody, parts=['is set-user-ID, set-group-ID or has capabilities, so the loader'])
        # Root gains nothing by root's set-user-ID bit: the loader honours LD_PRELOAD there.
        same(w.run(name, env={'FAKE_LOG': '/dev/null', 'TSPROXY_PLACE': w.path('of-root')})[0], MARK)
    if shutil.which('setpriv'):
        p = subprocess.run(['setpriv', '--no-new-privs', '--reuid=65534', '--regid=65534', '--clear-groups', w.launcher,
                            './suid'], cwd=w.dir, env={**w.env, 'FAKE_LOG': '/dev/null'})
        same(p.returncode, MARK)


@test
def programs_with_capabilities_are_refused(w):
    need_root()
    prog = w.install(w.program('dynamic'), 'caps')
    try:    # cap_net_raw+ep, version 2
        os.setxattr(prog, 'security.capability', struct.pack('<IIIII', 0x02000001, 1 << 13, 0, 0, 0))
    except OSError as e:
        raise Skip(f'file capabilities: {e.strerror}')
    refused(w, './caps', preexec_fn=as_nobody, parts=['capabilities'])
    same(w.run('./caps')[0], MARK)


@test
def a_folder_that_may_not_be_searched_hides_nothing(w):
    need_root()
    os.mkdir(w.path('closed'), 0o700)
    refused(w, 'nothing', env={'PATH': w.path('closed')}, preexec_fn=as_nobody, parts=['not found'], status=127)


@test
def execute_only_programs_run_with_a_warning(w):
    need_root()
    os.chmod(w.install(w.program('dynamic'), 'prog'), 0o711)
    os.chown(w.run_dir, 65534, 65534)
    os.chown(os.path.dirname(w.map), 65534, 65534)
    status, _, err = w.run('./prog', preexec_fn=as_nobody, env={'FAKE_LOG': '/dev/null'})
    same(status, MARK)
    one_line(err, 'cannot be read: if it is a static or Go program, it runs without tsproxy')


@test
def the_loader_itself_may_run(w):
    out = subprocess.run(['ldd', w.program('dynamic')], stdout=subprocess.PIPE, text=True).stdout
    loader = next((word for word in out.split() if '/ld-linux' in word), None)
    if not loader:
        raise Skip('no glibc loader here')
    same(w.run(loader, w.program('dynamic'))[0], MARK)
