#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""listing.py FILE...: the functions that C libraries export, one a line, sorted. A FILE is a shared library, or a Debian package of libc6
or musl, of which the libraries that a program can be linked with are read. "private" behind a name: glibc has it for itself alone
(version GLIBC_PRIVATE).

How `symbols` was made, and is to be made anew for a new release, whose packages are in pool/main/g/glibc and pool/main/m/musl of
a Debian mirror:

    tests/doors/listing.py libc6_2.31-13+deb11u11_amd64.deb libc6_2.43-7_amd64.deb libc6_2.43-7_arm64.deb \\
        musl_1.2.2-1_amd64.deb musl_1.2.6-2_amd64.deb > tests/doors/symbols
"""
import glob
import os
import subprocess
import sys
import tempfile

PARTS = ('libc.so.6', 'libpthread.so.0', 'libresolv.so.2', 'libanl.so.1', 'librt.so.1', 'libdl.so.2', 'libutil.so.1', 'libc.so')


def exported(library):
    """{name: {version...}} of one library."""
    found = {}
    out = subprocess.run(['readelf', '--dyn-syms', '-W', library], stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in out.splitlines():
        words = line.split()
        if len(words) >= 8 and words[3] in ('FUNC', 'IFUNC') and words[6] != 'UND':
            name, _, version = words[7].partition('@')
            found.setdefault(name, set()).add(version.lstrip('@'))
    return found


def parts_under(folder):
    """Those of libc's libraries that lie there."""
    return [f for part in PARTS for f in glob.glob(f'{folder}/**/{part}', recursive=True)]


def functions(libraries):
    """{name: whether it is private} of all of them."""
    all_of = {}
    for library in libraries:
        for name, versions in exported(library).items():
            all_of.setdefault(name, set()).update(versions)
    return {name: versions == {'GLIBC_PRIVATE'} for name, versions in all_of.items()}


def main(packages):
    with tempfile.TemporaryDirectory() as folder:
        for i, package in enumerate(packages):
            if package.endswith('.deb'):
                subprocess.run(['dpkg-deb', '-x', package, f'{folder}/{i}'], check=True)
        found = functions(parts_under(folder) + [p for p in packages if not p.endswith('.deb')])
    for name, private in sorted(found.items()):
        print(name, 'private') if private else print(name)


if __name__ == '__main__':
    main(sys.argv[1:])
