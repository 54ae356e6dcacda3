# SPDX-License-Identifier: MIT
# tsproxy-sync where no daemon runs: notes its start in DIR/started and fails. $2: DIR
echo "$$" >> "$2/started"
exit 1
