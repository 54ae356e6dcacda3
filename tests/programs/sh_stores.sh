#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: memcached memcached
# needs: libmemcached-tools memcstat
# needs: python3-pymemcache file:/usr/lib/python3/dist-packages/pymemcache/__init__.py
# run: sh {file} {host} {port}
# server: memcached
# Memcached's clients: libmemcached, which connects without waiting and has a time-out of its own, and pymemcache.
timeout 3 memcping --servers="$1:$2" 2>&1
echo "status $?"
/usr/bin/python3 - "$1" "$2" <<-'PYTHON'
	import sys
	from pymemcache.client.base import Client
	try:
	    c = Client((sys.argv[1], int(sys.argv[2])), connect_timeout=1, timeout=5)
	    print(c.set("key", "value"), c.get("key"))
	except OSError as e:
	    print(repr(e))
PYTHON
