#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: wget wget
# run: wget -q -O - --tries=1 --connect-timeout=1 http://{url}:{port}/
# server: http
# set: fast
