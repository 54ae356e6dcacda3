# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Each login shell, and what is started from it, reaches the tailnet.
if command -v tsproxy >/dev/null; then
	eval "$(tsproxy env --shell sh 2>/dev/null)"
fi
