#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: openssl openssl
# needs: gnutls-bin gnutls-cli
# needs: stunnel4 stunnel
# needs: socat socat
# needs: nginx nginx
# needs: curl curl
# needs: wget wget
# run: sh {file} {servers} {host} {url} {port}
# server: tls
# set: fast
# mask: after \d+ ms|\d+ milliseconds
# mask: \d{4}[/.-]\d\d[/.-]\d\d \d\d:\d\d:\d\d(\.\d+)?|LOG\d\[\w+\]:
# mask: socat\[\d+\] [EWN] |[0-9A-F]{16}:
# TLS clients: openssl, gnutls-cli, curl, wget, socat, and stunnel before curl.
servers=$1 host=$2 url=$3 port=$4
export SSL_CERT_FILE="$servers/cert"
request() { printf 'GET / HTTP/1.0\r\n\r\n'; }
request | timeout 2 openssl s_client -quiet -verify_quiet -connect "$url:$port" 2>&1 | head -n 1
request | timeout 2 gnutls-cli --no-ca-verification --logfile=/dev/null -p "$port" "$host" 2>&1 | head -n 1
curl -sS --connect-timeout 1 -k "https://$url:$port/" 2>&1 | head -n 1
wget -q -O - --no-check-certificate --tries=1 --connect-timeout=1 "https://$url:$port/" | head -n 1
request | socat -t 2 - "OPENSSL:$url:$port,verify=0,connect-timeout=1" 2>&1 | head -n 1
cat > conf <<END
foreground = yes
pid =
syslog = no
TIMEOUTconnect = 1
[x]
client = yes
accept = $PWD/socket
connect = $host:$port
END
stunnel conf 2> log &
until [ -S socket ]; do kill -0 $! || break; done
curl -sS --unix-socket socket http://x/ 2>&1 | head -n 1
kill $!
wait
grep -o 'connect.*' log | grep -iE 'refused|timeout|timed' | sort -u
