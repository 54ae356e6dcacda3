#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: apache2-utils ab
# needs: wrk wrk
# needs: siege siege
# run: sh {file} http://{url}:{port}/
# server: http
# Load generators: ab, with and without keep-alive, wrk, siege.
ab -q -n 200 -c 20 -s 1 "$1" 2>&1 | grep -E '^(Complete|Failed|Non-2xx|apr|Server (Host|Port)|Total of)'
ab -q -k -n 200 -c 20 -s 1 "$1" 2>&1 | grep -E '^(Complete|Failed|Non-2xx|Keep-Alive|apr|Total of)'
# Rates are its own; that there were some, and which errors, are not.
timeout 4 wrk -t 2 -c 10 -d 1s --timeout 1s "$1" 2>&1 | sed -n '/unable/p; s/\b[1-9][0-9]*\b/n/g; /n requests in\|Socket errors/{ s/ in .*//; p; }'
case $1 in *.3:*) exit ;; esac	# it has no time-out for a connect
siege -q -b -c 10 -r 5 --no-parser "$1" 2>&1 | grep -E 'successful_transactions|failed_transactions'
