#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: git git
# run: sh {file} {url} {port}
# server: git
# set: fast
# git's own protocol, and a dead host, for which it has no time-out.
timeout 2 git clone -q "git://$1:$2/repo" copy
echo "status $?"
git -C copy log --format='%h %s' 2>&1 && cat copy/file
