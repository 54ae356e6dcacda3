#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: postgresql pgbench
# run: sh {file} {host} {port}
# server: postgres
# set: fast
# mask: \d+\.\d+ ms|tps = \S+
# psql with its time-out, and pgbench -C: a connection for each transaction.
export PGUSER=app PGPASSWORD=secret PGDATABASE=postgres PGCONNECT_TIMEOUT=2 PGHOST="$1" PGPORT="$2"
psql -Atc 'select 6 * 7' || exit
echo 'select :client_id;' > select.sql
pgbench -n -C -c 4 -j 2 -t 10 -f select.sql
