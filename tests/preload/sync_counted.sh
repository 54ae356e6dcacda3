# SPDX-License-Identifier: MIT
# tsproxy-sync for the tests of its starting: notes each start in DIR/started, waits while DIR/hold is there, then does its work.
# $1: the real one, $2: DIR
echo "$$" >> "$2/started"
tr '\0' '\n' < /proc/$$/environ > "$2/environment"
ls /proc/$$/fd > "$2/descriptors"
while [ -e "$2/hold" ]; do
	sleep 0.01
done
exec "$1"
