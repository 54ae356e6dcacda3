#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: redis-tools redis-cli
# needs: redis-server redis-server
# run: sh {file} {host} {port}
# server: redis
# set: fast
# redis-cli: a command, a pipe of a thousand; it has no time-out, so a dead host is left after a while.
timeout 1 redis-cli -h "$1" -p "$2" ping
echo "status $?"
seq -f 'SET key%.0f value' 1000 | timeout 2 redis-cli -h "$1" -p "$2" --pipe
echo "status $?"
