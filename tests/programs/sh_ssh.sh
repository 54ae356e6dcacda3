#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: openssh-client ssh
# needs: openssh-server sshd
# run: sh {file} {servers} {host} {port}
# server: ssh
# set: fast
# ssh: a command, its status, a megabyte through it.
ssh_() {
	ssh -F "$servers/ssh_config" -p "$port" -o ConnectTimeout=1 -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "$@"
}
servers=$1 host=$2 port=$3
ssh_ "$host" 'echo there'
echo "status $?"
ssh_ "$host" 'exit 7'
echo "status $?"
head -c 1000000 /dev/zero | ssh_ "$host" cat | cksum
