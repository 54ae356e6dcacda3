# SPDX-License-Identifier: MIT
# What libtsproxy.so exports and needs.

.PHONY: check-symbols check-layers
check-symbols: $(B)/libtsproxy.so ## the object exports its hooks and needs nothing that one libc lacks
	@scripts/check-symbols $<

check-layers: ## include directives go downwards only
	@scripts/check-layers && echo "1 passed, 0 failed, 0 skipped"
