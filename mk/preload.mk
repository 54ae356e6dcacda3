# SPDX-License-Identifier: MIT
# One small program a call, run without and with the object: tests/preload/run says how a snippet states what it expects.

.PHONY: check-preload
check-preload: all ## snippets, plain and preloaded (T=part of a name, TEST_PREFIX=valgrind)
	@B=$(abspath $(B)) tests/preload/run $(T)
