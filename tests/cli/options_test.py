# SPDX-License-Identifier: MIT
"""Options, the variables they become, sub-commands, and every wrong word."""
import json
import os
import re
import subprocess

from harness import one_line, same, test


@test
def options_become_variables(w):
    status = w.write('status.json', '{}', 0o600)
    env = w.environment('--socks5', '127.0.0.1:1080', '--http-proxy=localhost:3128', '--status', 'status.json',
                        '--socket', 'sock', '-p', 'work', '--route', '10.0.0.0/8', '--route=fd00::/8',
                        '--exclude', '10.1.0.0/16', '--remote-name', 'corp.example', '--remote-name', 'x.example',
                        '--exit-node', '--mode', 'preload', '--log', 'debug:log.txt')
    got = {k: v for k, v in env.items() if k.startswith('TSPROXY_')}
    same(got, {
        'TSPROXY_SOCKS5': '127.0.0.1:1080', 'TSPROXY_HTTP_PROXY': 'localhost:3128', 'TSPROXY_STATUS': status,
        'TSPROXY_SOCKET': w.path('sock'), 'TSPROXY_PROFILE': 'work', 'TSPROXY_ROUTE': '10.0.0.0/8,fd00::/8',
        'TSPROXY_EXCLUDE': '10.1.0.0/16', 'TSPROXY_REMOTE_NAME': 'corp.example,x.example', 'TSPROXY_EXIT_NODE': '1',
        'TSPROXY_MODE': 'preload', 'TSPROXY_LOG': 'debug:' + w.path('log.txt'), 'TSPROXY_PLACE': w.path('run/tsproxy')})


@test
def options_win_over_variables(w):
    env = w.environment('--route', '10.0.0.0/8', '-pwork', env={'TSPROXY_ROUTE': '10.9.0.0/16', 'TSPROXY_PROFILE': 'x'})
    same((env['TSPROXY_ROUTE'], env['TSPROXY_PROFILE']), ('10.0.0.0/8', 'work'))


@test
def other_variables_stay(w):
    env = w.environment(env={'A': '1', 'TSPROXY_X': '', 'EMPTY': ''})
    same((env['A'], env['TSPROXY_X'], env['EMPTY']), ('1', '', ''))


@test
def relative_variables_become_absolute(w):
    status = w.write('s', '{}', 0o600)
    same(w.environment(env={'TSPROXY_STATUS': 's'})['TSPROXY_STATUS'], status)


@test
def wrong_words_are_one_line_and_2(w):
    for args, *parts in (
            ([], 'no command given; see tsproxy --help'), (['--'], 'no command'), (['run'], 'no command'), (['--nope', 'true'], 'unknown option --nope; see tsproxy --help'),
            (['-x', 'true'], '-x'), (['--socks5'], '--socks5 needs a value; see tsproxy --help'), (['--exit-node=1', 'true'], '--exit-node takes no value'),
            (['--socks5', 'db:', 'true'], '--socks5 db:', 'must be [USER:PASSWORD@]HOST:PORT'), (['--socks5', '1.2.3:80', 'true'], '1.2.3:80'),
            (['--socks5', 'db:65536', 'true'], 'db:65536'),
            (['--socks5', '127.0.0.1', 'true'], 'HOST:PORT'), (['--http-proxy', '1.2.3.4:99999', 'true'], '99999'),
            (['--route', '10.0.0.0/33', 'true'], '10.0.0.0/33', 'must be a range of addresses, such as'), (['--exclude=x', 'true'], '--exclude x'),
            (['--route', '', 'true'], '--route', 'empty'), (['-p', '../x', 'true'], '--profile ../x', "must be at most 64 letters, digits, '-', '_' and '.'"),
            (['--status', 'none', 'true'], 'none', 'No such file'), (['--mode', 'x', 'true'], 'auto'),
            (['--mode', 'supervise', 'true'], 'not supported yet'), (['--inbound', 'true'], '--inbound', 'not supported yet'),
            (['--dns-route', 'a=db', 'true'], '--dns-route a=db', 'must be SUFFIX=ADDRESS, such as corp.example=10.0.0.53 or corp.example=[fd00::53]:5353'), (['--dns-route', '', 'true'], 'empty'),
            (['--dns-route', 'corp.example', 'true'], 'SUFFIX=ADDRESS'), (['--dns-route', '=10.0.0.1', 'true'], 'SUFFIX=ADDRESS'),
            (['--dns-route', 'a..b=10.0.0.1', 'true'], 'SUFFIX=ADDRESS'), (['--dns-route', 'a=10.0.0.1:0', 'true'], 'SUFFIX=ADDRESS'),
            (['--dns-route', 'a=[fd00::1]:99999', 'true'], 'SUFFIX=ADDRESS'),
            (['--dns-route', ','.join(f'a{i}.corp.example=10.0.0.1' for i in range(40)), 'true'],
             'too long (at most 1023 characters)'), (['--log', 'loud', 'true'], 'must be error, warn, info or debug'),
            (['--log', f'debug:{w.dir}/nowhere/log', 'true'], '/nowhere/log', 'No such file'),
            (['--log', 'debug:/', 'true'], 'debug:/', 'Is a directory'),
            (['--remote-name', 'a b', 'true'], '--remote-name', 'must be a domain suffix, such as'),
            (['--remote-name', 'x' * 600, 'true'], 'too long (at most 511 characters)'),
            (['--json', 'true'], '--json', 'is a program; only sub-commands print JSON')):
        status, out, err = w.run(*args)
        same((args, status, out), (args, 2, ''))
        one_line(err, *parts)
    same(w.sync_log(), '')


@test
def wrong_variables_are_named(w):
    for name, value in (('ROUTE', 'x'), ('EXCLUDE', '1.2.3.4/99'), ('SOCKS5', 'nowhere'), ('HTTP_PROXY', 'x:y'),
                        ('PROFILE', 'a/b'), ('MODE', 'supervise'), ('INBOUND', '1'), ('LOG', 'x'),
                        ('DNS_ROUTE', 'a=1.1.1')):
        status, out, err = w.run('true', env={'TSPROXY_' + name: value})
        same((name, status, out), (name, 2, ''))
        one_line(err, f'TSPROXY_{name}={value}')


@test
def too_many_routes(w):
    status, _, err = w.run('--route', ','.join(f'10.{i}.0.0/16' for i in range(33)), 'true')
    same(status, 2)
    one_line(err, 'too many ranges (at most 32)')


@test
def a_mistyped_setting_stops_sub_commands_too(w):
    w.write('bin/tsproxy-status', '#!/bin/sh\necho ran\n')
    same(w.run('--route', 'x', 'status')[:2], (2, ''))


@test
def help_and_version(w):
    for args in (['-h'], ['--help'], ['help'], ['run', '--help'], ['help', 'run']):
        status, out, err = w.run(*args)
        same((args, status, err), (args, 0, ''))
        lines = out.splitlines()
        assert len(lines) <= 32 and max(map(len, lines)) <= 90, 'the help does not fit a screen'
        assert lines[0].startswith('Usage: tsproxy ')
    with open(os.path.join(os.path.dirname(__file__), '../../VERSION')) as f:
        version = f.read().strip()
    status, out, err = w.run('version', '--json')
    said = json.loads(out)
    same((status, err, said['version'], set(said)), (0, '', version, {'version', 'commit'}))
    assert re.fullmatch('[0-9a-f]{12}|', said['commit']), said
    for args in (['version'], ['--version'], ['-V']):
        same(w.run(*args), (0, f'tsproxy {version}' + (f' ({said["commit"]})' if said['commit'] else '') + '\n', ''))


@test
def sub_commands_are_programs_of_their_own(w):
    w.write('bin/tsproxy-status', '#!/bin/sh\necho "$0" "$@" "$TSPROXY_PROFILE"\n')
    exe = w.path('bin/tsproxy-status')
    same(w.run('-p', 'work', 'status', '--x', 'y'), (0, f'{exe} --x y work\n', ''))
    same(w.run('--json', 'status'), (0, f'{exe} --json \n', ''))
    same(w.run('help', 'status'), (0, f'{exe} --help \n', ''))


@test
def sub_commands_in_libexec(w):
    os.makedirs(w.path('libexec/tsproxy'))
    w.write('libexec/tsproxy/tsproxy-status', '#!/bin/sh\necho installed\n')
    same(w.run('status'), (0, 'installed\n', ''))


@test
def sub_commands_that_are_not_there_yet(w):
    for name in ('status', 'resolve', 'doctor', 'env', 'explain', 'trace', 'config', 'up', 'down'):
        status, out, err = w.run(name)
        same((name, status, out), (name, 2, ''))
        one_line(err, name, f'not available yet (for a program of that name: tsproxy -- {name})')


@test
def after_two_dashes_a_word_is_a_program(w):
    os.mkdir(w.path('path'))
    w.write('path/status', '#!/bin/sh\necho program\n')
    path = {'PATH': w.path('path') + ':' + w.env['PATH']}
    same(w.run('--', 'status', env=path), (0, 'program\n', ''))
    same(w.run('run', 'status', env=path), (0, 'program\n', ''))
    same(w.run('run', '--', 'status', env=path), (0, 'program\n', ''))


@test
def the_program_keeps_its_own_options(w):
    same(w.run('echo', '--json', '-p', '--', 'x'), (0, '--json -p -- x\n', ''))
    same(w.run('run', 'echo', '-h'), (0, '-h\n', ''))


@test
def output_that_is_full_is_told(w):
    for word in '--version', '--help', 'version', 'help', 'env':
        if word == 'env':
            w.install(f'{w.build}/tsproxy-env', 'bin/tsproxy-env')
        with open('/dev/full', 'w') as full:
            p = subprocess.run([w.launcher, word], env=w.env, stdout=full, stderr=subprocess.PIPE, text=True)
        same((word, p.returncode), (word, 1))
        one_line(p.stderr, 'standard output: No space')


@test
def help_fits_a_screen(w):
    lines = w.run('--help')[1].splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80, (len(lines), max(map(len, lines)))
