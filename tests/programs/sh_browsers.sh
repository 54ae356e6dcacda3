#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: w3m w3m
# needs: lynx lynx
# needs: lftp lftp
# needs: wget2 wget2
# needs: axel axel
# needs: httpie http
# run: sh {file} http://{url}:{port}/
# server: http
# mask: 0x[0-9a-f]+
# Browsers and downloaders: w3m, lynx, lftp, wget2, axel, HTTPie. Those without a time-out are stopped.
export LC_ALL=C.UTF-8
timeout 2 w3m -dump "$1" 2>&1
echo "w3m $?"
lynx -connect_timeout=1 -dump "$1" 2>&1
echo "lynx $?"
lftp -c "set net:timeout 1; set net:max-retries 1; set net:reconnect-interval-base 0; cat $1" 2>&1
echo "lftp $?"
timeout 3 wget2 -q -O - --tries=1 --connect-timeout=1 "$1" 2>&1
echo "wget2 $?"
timeout 3 axel -q -n 4 -T 1 -o page "$1" 2>&1
echo "axel $?"
cat page 2> /dev/null
http --ignore-stdin --timeout 1 --body "$1" 2>&1 | cut -c 1-300
