#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: samba smbd
# needs: smbclient smbclient
# run: sh {file} {host} {port}
# server: smb
# smbclient: a file from a share, and the list of shares.
timeout 3 smbclient -s /dev/null -N -p "$2" "//$1/share" -c 'get data -' 2>&1 | grep -v '^getting file'
timeout 3 smbclient -s /dev/null -N -p "$2" -g -L "//$1" 2>&1
echo "status $?"
