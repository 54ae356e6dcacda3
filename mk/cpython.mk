# SPDX-License-Identifier: MIT
# CPython's own network tests, all loopback connections of which go through the simulated tailnet.

.PHONY: check-cpython
check-cpython: all ## CPython's network tests, natively and carried (T='modules'; some five minutes)
	@tests/cpython/run $(B) $(T)
