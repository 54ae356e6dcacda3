#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: haproxy haproxy
# needs: curl curl
# run: sh {file} {url} {port}
# server: http
# set: fast
# haproxy as a client: requests handed on, with its connect time-out, and its log of how each session ended.
cat > conf <<END
global
	nbthread 2
	pidfile $PWD/pid
defaults
	mode http
	timeout connect 1s
	timeout client 5s
	timeout server 5s
	retries 0
frontend in
	bind unix@$PWD/socket
	default_backend out
backend out
	server peer $1:$2
END
haproxy -D -f conf 2>&1 | grep -v '^\[NOTICE\]'
seq -f 'url = http://x/%.0f
output = /dev/null' 20 > urls
curl -s --no-progress-meter --unix-socket socket -Z --parallel-immediate --parallel-max 20 -w '%{http_code}\n' -K urls | sort | uniq -c
curl -sS --unix-socket socket http://x/
kill "$(cat pid)"
