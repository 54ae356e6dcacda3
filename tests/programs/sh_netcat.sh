#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: netcat-openbsd nc
# needs: ncat ncat
# needs: socat socat
# needs: nmap nmap
# needs: telnet telnet
# needs: bash bash
# run: sh {file} {host} {url} {port}
# set: fast
# mask: \d{4}[/-]\d\d[/-]\d\d \d\d:\d\d:\d\d(\.\d+)?|socat\[\d+\]|in [\d.]+ seconds|\([\d.]+s latency\)|at \d{4}.*
# netcat, ncat, socat, telnet, bash's /dev/tcp, and nmap's connect scan of two ports.
host=$1 url=$2 port=$3
echo hello | nc -N -w 1 "$host" "$port"
echo "nc $?"
nc -z -v -w 1 "$host" "$port" 2>&1
echo "nc $?"
echo hello | ncat -w 1 "$host" "$port" 2>&1
echo "ncat $?"
echo hello | socat -t 2 - "TCP:$url:$port,connect-timeout=1" 2>&1
echo "socat $?"
(echo hello; timeout 0.5 tail -f /dev/null) | timeout 2 telnet "$host" "$port" 2>&1 | sed '/^Trying/d'
timeout 1 bash -c 'exec 3<> "/dev/tcp/$1/$2" && echo hello >&3 && read -r line <&3 && echo "$line"' bash "$host" "$port" 2>&1
echo "bash $?"
case $host in *:*) six=-6 ;; *) six= ;; esac
# shellcheck disable=SC2086 # no word where there is none to give
nmap $six -n -sT -Pn --max-retries 0 --host-timeout 3s -p "$port,3999" "$host" | sed '/^Other addresses/d'
