#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: mariadb-server mariadbd
# needs: mariadb-client mariadb
# needs: python3-pymysql file:/usr/lib/python3/dist-packages/pymysql/__init__.py
# run: sh {file} {host} {port}
# server: mysql
# MySQL: its client, ten at once (mariadb-slap), and PyMySQL.
mariadb -h "$1" -P "$2" -u app -psecret --connect-timeout=1 -N -e 'select 6 * 7' 2>&1 || exit
mariadb-slap -h "$1" -P "$2" -u app -psecret --no-drop --create-schema=test -q 'select 1' -c 10 -i 2 --detach=2 2>&1 | grep -v seconds
/usr/bin/python3 - "$1" "$2" <<-'PYTHON'
	import sys, pymysql
	try:
	    c = pymysql.connect(host=sys.argv[1], port=int(sys.argv[2]), user="app", password="secret", connect_timeout=1)
	    with c.cursor() as cursor:
	        cursor.execute("select 6 * 7")
	        print(cursor.fetchall())
	except pymysql.Error as e:
	    print(repr(e))
PYTHON
