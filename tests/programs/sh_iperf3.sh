#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: iperf3 iperf3
# needs: jq jq
# needs: util-linux flock
# run: sh {file} {servers} {host} {port}
# server: iperf3
# iperf3: four streams at once, both ways; its server takes one client at a time.
for way in '' -R; do
	# shellcheck disable=SC2086 # no word where there is none
	flock "$1/iperf3" iperf3 -c "$2" -p "$3" --connect-timeout 1000 -P 4 -n 400K -J $way |
		jq -c '[.error, (.start.connected | length), .start.connecting_to.port, (.start.connected[0].remote_host), .start.tcp_mss_default > 0]'
done
