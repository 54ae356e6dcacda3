# SPDX-License-Identifier: MIT
"""`tsproxy env` in each shell: what its evaluation leaves in the environment of the programs below."""
import os
import shutil
import subprocess

from harness import Skip, one_line, same, test

POSIX = 'eval "$(tsproxy {})"'
FISH = 'tsproxy {} | source'
SHELLS = {'bash': POSIX, 'dash': POSIX, 'zsh': POSIX, 'fish': FISH, 'mksh': POSIX, 'ksh': POSIX, 'busybox': POSIX}
ARGUMENTS = {'bash': ['--norc', '--noprofile'], 'zsh': ['-f'], 'fish': ['--no-config'], 'dash': [], 'mksh': [], 'ksh': [],
             'busybox': ['sh']}
ASAN = 'verify_asan_link_order=0'


def shell(w, name, script, env=None, strict=True):
    """Runs a script and returns what `env` printed at its end. `strict`: in the shell's most unforgiving mode."""
    if not shutil.which(name):
        raise Skip(f'{name} is not installed')
    if not os.path.exists(w.path('bin/tsproxy-env')):
        w.install(f'{w.build}/tsproxy-env', 'bin/tsproxy-env')
    mode = 'set -eu\n' if strict and name != 'fish' else ''
    p = subprocess.run([name, *ARGUMENTS[name], '-c', f'{mode}{script}\nenv -0'], cwd=w.dir, timeout=60,
                       env={**w.env, 'PATH': w.path('bin') + ':' + os.environ['PATH'], **(env or {})},
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    same((name, p.returncode, p.stderr), (name, 0, ''))
    return dict(line.split('=', 1) for line in p.stdout.split('\0') if line)


def evaluate(name, *words):
    return '\n'.join(SHELLS[name].format(w) for w in words)


def in_every_shell(function):
    for name in SHELLS:
        def one(w, name=name):
            function(w, name)
        one.__name__ = f'{function.__name__}_{name}'
        one.__doc__ = function.__doc__
        test(one)


@in_every_shell
def env_puts_the_object_in_front(w, name):
    env = shell(w, name, evaluate(name, 'env'))
    same((env['LD_PRELOAD'], env['ASAN_OPTIONS'], 'TSPROXY_ENV' in env), (w.object, ASAN, False))


@in_every_shell
def env_twice_is_once(w, name):
    once, twice = (shell(w, name, evaluate(name, *['env -p work'] * n)) for n in (1, 2))
    for env in once, twice:
        env.pop('_', None)
    same(twice, once)


@in_every_shell
def env_keeps_what_the_user_preloads(w, name):
    """Its order too; another build's object goes."""
    os.mkdir(w.path('old'))
    old = w.install(w.object, 'old/libtsproxy.so')
    env = shell(w, name, evaluate(name, 'env'), {'LD_PRELOAD': f'./bin/libtsproxy.so {w.object}:{old}'})
    same(env['LD_PRELOAD'], w.object)
    other, third = w.install(w.object, 'a.so'), w.install(w.object, 'b.so')
    env = shell(w, name, evaluate(name, 'env', 'env'), {'LD_PRELOAD': f'{other} {third}'})
    same(env['LD_PRELOAD'], f'{w.object}:{other}:{third}')


@in_every_shell
def env_takes_settings_along(w, name):
    if name == 'fish':
        script = r"tsproxy --route 10.0.0.0/8 --remote-name corp.example --log 'debug:a \'b\\c.log' env | source"
    else:
        script = r'''eval "$(tsproxy --route 10.0.0.0/8 --remote-name corp.example --log "debug:a 'b\\c.log" env)"'''
    env = shell(w, name, script, {'TSPROXY_ROUTE': '10.9.0.0/16'})
    same((env['TSPROXY_ROUTE'], env['TSPROXY_REMOTE_NAME'], env['TSPROXY_LOG']),
         ('10.0.0.0/8', 'corp.example', 'debug:' + w.path("a 'b\\c.log")))
    same(env['TSPROXY_ENV'].split(), ['TSPROXY_ROUTE', 'TSPROXY_REMOTE_NAME', 'TSPROXY_LOG'])


@in_every_shell
def env_off_undoes_it(w, name):
    """What the user had set himself stays."""
    other = w.install(w.object, 'a.so')
    before = {'LD_PRELOAD': other, 'TSPROXY_PROFILE': 'work', 'ASAN_OPTIONS': 'detect_leaks=0', 'TSPROXY_PLACE': w.env['TSPROXY_PLACE']}
    env = shell(w, name, evaluate(name, '--exit-node env', 'env --off'), before)
    same({k: v for k, v in env.items() if k in before or k.startswith('TSPROXY_')}, before)
    env = shell(w, name, evaluate(name, 'env', 'env --off', 'env --off'))
    same([k for k in env if k.startswith(('TSPROXY_', 'LD_', 'ASAN_', 'tsproxy_'))], ['TSPROXY_PLACE'])


@in_every_shell
def env_in_a_file_undoes_itself_when_tsproxy_is_removed(w, name):
    other = w.install(w.object, 'a.so')
    shell(w, name, f'tsproxy env --shell {name} > kept')
    source = 'source ./kept' if name == 'fish' else '. ./kept'
    same(shell(w, name, source)['LD_PRELOAD'], w.object)
    os.rename(w.object, w.path('gone'))
    # The loader says that it misses the object in every program that starts before the shell has read the file.
    env = shell(w, name, source, {'LD_PRELOAD': other})
    same(env['LD_PRELOAD'], other)
    same('LD_PRELOAD' in shell(w, name, source), False)


@test
def env_without_quotes_is_evaluated_as_well(w):
    for name in 'bash', 'dash':
        same(shell(w, name, 'eval $(tsproxy env -p work)')['TSPROXY_PROFILE'], 'work')


@test
def env_knows_the_shell_that_asks(w):
    """Not the one that the user logs in with."""
    env = shell(w, 'bash', evaluate('bash', 'env'), {'SHELL': '/usr/bin/fish'})
    same(env['LD_PRELOAD'], w.object)


@test
def env_refuses_what_cannot_be(w):
    w.install(f'{w.build}/tsproxy-env', 'bin/tsproxy-env')
    for args, status, part in ((['env', '--shell', 'csh'], 2, 'env: the shell csh is not supported; use bash, zsh, fish or sh'), (['env', 'A=1'], 2, 'tsproxy -- env'),
                               (['env', '--shell'], 2, 'needs a value'), (['env', '--nonsense'], 2, '--nonsense'),
                               (['--status', '-', 'env'], 1, 'env: --status - can only be read once, which is not enough for a shell; use a file')):
        got, out, err = w.run(*args)
        same((args, got, out), (args, status, ''))
        one_line(err, part)
    os.rename(w.object, w.path('gone'))
    got, out, err = w.run('env', '--shell', 'sh')
    same((got, out), (1, ''))
    one_line(err, 'libtsproxy.so was not found next to tsproxy or in ../lib')


@test
def env_in_a_folder_that_ld_preload_cannot_name(w):
    os.mkdir(w.path('a b'))
    for name in 'tsproxy', 'tsproxy-env', 'libtsproxy.so':
        w.install(w.object if name.endswith('.so') else f'{w.build}/{name}', 'a b/' + name)
    w.launcher = w.path('a b/tsproxy')
    got, out, err = w.run('env', '--shell', 'sh')
    same((got, err), (0, ''))
    assert f"LD_PRELOAD='{w.run_dir}/tsproxy/lib-" in out, out
    os.rename(w.run_dir, w.path('a run'))
    got, out, err = w.run('env', '--shell', 'sh', env={'TSPROXY_PLACE': w.path('a run/tsproxy')})
    same((got, out), (1, ''))
    one_line(err, 'LD_PRELOAD does not support paths with a space or a colon; move tsproxy elsewhere')


@in_every_shell
def env_under_strange_settings(w, name):
    """Where words are split elsewhere, globs fail, files are not overwritten, and nothing may be unset."""
    settings = {'bash': 'shopt -s failglob extglob; set -fC -o pipefail; IFS=:',
                'zsh': 'setopt nounset errexit noclobber extendedglob ksh_arrays sh_word_split glob_subst; IFS=:'}
    other = w.install(w.object, 'a.so')
    script = f"{settings.get(name, '' if name == 'fish' else 'set -fC; IFS=:')}\n{evaluate(name, 'env -p work', 'env -p work')}"
    env = shell(w, name, script, {'LD_PRELOAD': f' {other}::'})
    same((env['LD_PRELOAD'], env['TSPROXY_PROFILE']), (f'{w.object}:{other}', 'work'))
    env = shell(w, name, f'{script}\n' + evaluate(name, 'env --off'), {'LD_PRELOAD': other})
    same((env['LD_PRELOAD'], 'TSPROXY_PROFILE' in env), (other, False))


FILES = {'bash': '.bashrc', 'zsh': '.zshrc', 'fish': '.config/fish/config.fish', 'dash': '.profile'}
INTERACTIVE = {'bash': ['-ic'], 'zsh': ['-ic'], 'fish': ['-ic'], 'dash': ['-lc']}


def env_command(w, *args, **keywords):
    if not os.path.exists(w.path('bin/tsproxy-env')):
        w.install(f'{w.build}/tsproxy-env', 'bin/tsproxy-env')
    return w.run(*args, **keywords)


def new_shell(w, name):
    """What a program in a new session of that shell has."""
    if not shutil.which(name):
        raise Skip(f'{name} is not installed')
    p = subprocess.run([name, *INTERACTIVE[name], 'env -0'], cwd=w.dir, timeout=60, env={**w.env, 'TERM': 'dumb'},
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    same((name, p.returncode), (name, 0))
    return dict(line.split('=', 1) for line in p.stdout.split('\0') if '=' in line)


def in_each_start_up_file(function):
    for name in FILES:
        def one(w, name=name):
            function(w, name, w.path(FILES[name]))
        one.__name__ = f'{function.__name__}_{name}'
        one.__doc__ = function.__doc__
        test(one)


@in_each_start_up_file
def install_puts_one_line_into_the_start_up_file(w, name, file):
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, 'w') as f:
        f.write('# mine\ntrue')        # no line break at the end
    os.chmod(file, 0o640)
    for says in 'tsproxy is active in new shells', 'tsproxy was active already':
        same(env_command(w, 'env', '--shell', name, '--install'), (0, f'{file}: {says}\n', ''))
    with open(file) as f:
        lines = f.read().split('\n')
    assert lines[2].endswith(' # tsproxy env --install'), lines
    same((lines[:2], len(lines), lines[3:], os.stat(file).st_mode & 0o777), (['# mine', 'true'], 4, [''], 0o640))
    same(new_shell(w, name)['LD_PRELOAD'], w.object)
    same(env_command(w, 'env', '--shell', name, '--uninstall'), (0, f"{file}: the line was removed\n", ''))
    with open(file) as f:
        same(f.read(), '# mine\ntrue\n')
    assert 'LD_PRELOAD' not in new_shell(w, name)


@in_each_start_up_file
def install_makes_the_file_and_changes_settings_in_place(w, name, file):
    same(env_command(w, '-p', 'work', '--log', "info:a 'b\\c.log", 'env', '--shell', name, '--install')[::2], (0, ''))
    env = new_shell(w, name)
    same((env['TSPROXY_PROFILE'], env['TSPROXY_LOG']), ('work', 'info:' + w.path("a 'b\\c.log")))
    with open(file, 'a') as f:
        f.write('# below\n')
    same(env_command(w, '-p', 'home', 'env', '--shell', name, '--install')[::2], (0, ''))
    with open(file) as f:
        lines = f.read().splitlines()
    same((len(lines), lines[1]), (2, '# below'))
    same(new_shell(w, name)['TSPROXY_PROFILE'], 'home')


@test
def install_follows_a_link_and_keeps_it(w):
    os.mkdir(w.path('dotfiles'))
    w.write('dotfiles/bashrc', '', 0o600)
    os.symlink('dotfiles/bashrc', w.path('.bashrc'))
    same(env_command(w, 'env', '--shell', 'bash', '--install')[0], 0)
    assert os.path.islink(w.path('.bashrc'))
    with open(w.path('dotfiles/bashrc')) as f:
        same(f.read().count('\n'), 1)


@test
def install_survives_the_removal_of_tsproxy(w):
    same(env_command(w, 'env', '--shell', 'bash', '--install')[0], 0)
    shutil.rmtree(w.bin)
    p = subprocess.run(['bash', '-ic', ':'], cwd=w.dir, env={**w.env, 'TERM': 'dumb'}, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert p.returncode == 0 and 'tsproxy' not in p.stderr, p


@test
def install_leaves_what_it_cannot_use_as_it_is(w):
    os.mkdir(w.path('.bashrc'))
    status, _, err = env_command(w, 'env', '--shell', 'bash', '--install')
    same(status, 1)
    one_line(err, '.bashrc', 'directory')
    with open(w.path('.zshrc'), 'wb') as f:
        f.write(b'a\0b')
    status, _, err = env_command(w, 'env', '--shell', 'zsh', '--install')
    same(status, 1)
    one_line(err, '.zshrc', 'not a text file')
    os.mkfifo(w.path('.profile'))
    status, _, err = env_command(w, 'env', '--shell', 'sh', '--install')
    same(status, 1)
    one_line(err, '.profile', 'not a text file')
    status, _, err = env_command(w, 'env', '--install', env={'HOME': ''})
    same(status, 1)
    one_line(err, "HOME is not set, so the shell's start-up file is unknown")
    status, _, err = env_command(w, 'env', '--install', env={'HOME': '/' + 'x' * 5000})
    same(status, 1)
    one_line(err, 'env: HOME is too long')
    status, _, err = env_command(w, 'env', '--install', '--uninstall')
    same(status, 2)
    one_line(err, '--off, --install and --uninstall exclude each other')
    status, out, err = env_command(w, 'env', '--shell', 'fish', '--uninstall')
    same((status, err, 'no line of tsproxy was found' in out), (0, '', True))
    os.unlink(w.path('.profile'))
    status, _, err = env_command(w, '--remote-name', 'x', 'env', '--shell', 'sh', '--install', env={'TSPROXY_SOCKET': '/a\nb'})
    same(status, 1)
    one_line(err, 'env: a setting with a line break cannot be stored in ')
    same(sorted(os.listdir(w.path('.'))), sorted(['.bashrc', '.zshrc', 'bin', 'run']))
