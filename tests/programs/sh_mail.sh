#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: msmtp msmtp
# needs: curl curl
# run: sh {file} {host} {url} {port}
# server: smtp
# mask: after \d+ ms|\d+ milliseconds
# Mail: msmtp and curl; the server says how many letters of which length it got by 250.
printf 'Subject: hello\n\nA letter.\n' > letter
msmtp --host="$1" --port="$3" --timeout=1 --from=a@b.example --auth=off --tls=off c@d.example < letter 2>&1
echo "msmtp $?"
curl -sS --connect-timeout 1 --mail-from a@b.example --mail-rcpt c@d.example -T letter "smtp://$2:$3" 2>&1
echo "curl $?"
