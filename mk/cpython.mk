# SPDX-License-Identifier: MIT
# CPython's own network tests, all loopback connections of which go through the simulated tailnet.

.PHONY: check-cpython check-cpython-fast
check-cpython: all ## CPython's network tests, natively and carried (T='modules'; some ten minutes)
	@tests/cpython/run $(B) $(T)

check-cpython-fast: all
	@tests/cpython/run $(B) test_poll test_epoll test_select test_selectors test_httplib test_asynchat test_xmlrpc test_socketserver
