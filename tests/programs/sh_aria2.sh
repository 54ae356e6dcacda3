#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: aria2 aria2c
# run: sh {file} http://{url}:{port}
# server: http
# mask: \d{4}-\d\d-\d\d [\d:.]+
# mask: CUID#\d+
# aria2c: eight downloads at once.
# shellcheck disable=SC2046
aria2c -q --log=- --log-level=error -j 8 --max-tries=1 --connect-timeout=1 --async-dns=false -Z $(seq -f "$1/%.0f" 8) > log
echo "status $?"
grep -v '^ *->' log | sort -k 8 | cut -c 1-200
cat ./[1-8] 2>/dev/null
