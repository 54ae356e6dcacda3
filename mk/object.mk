# SPDX-License-Identifier: MIT
# What libtsproxy.so exports and needs.

.PHONY: check-symbols
check-symbols: $(B)/libtsproxy.so ## the object exports its hooks and needs nothing that one libc lacks
	@scripts/check-symbols $<
