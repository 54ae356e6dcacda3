#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: rsync rsync
# run: rsync -r --contimeout=1 --timeout=5 --port={port} rsync://{url}/module/ {dir}/copy
# server: rsync
# set: fast
# mask: \(in .*
# mask: \(\d+\)
