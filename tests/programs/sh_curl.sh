#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: curl curl
# run: sh {file} http://{url}:{port}/
# server: http
# set: fast
# mask: after \d+ ms|in \d+ ms|\d+ milliseconds
# curl: one transfer with all its own words, then thirty at once (-Z).
say='%{http_code} %{remote_ip} %{remote_port} %{local_ip} %{errormsg} %{num_connects}\n'
curl -sS --connect-timeout 1 -w "$say" "$1"
echo "status $?"
seq -f "url = $1%.0f
output = /dev/null" 30 > urls
curl -s --no-progress-meter -Z --parallel-immediate --parallel-max 30 --connect-timeout 1 -K urls \
	-w '%{http_code} %{remote_ip} %{remote_port} %{local_ip} %{exitcode} %{num_connects}\n' > said
echo "status $?"
sort said | uniq -c
