# SPDX-License-Identifier: MIT
# Everything for aarch64, by a cross compiler, and part of the tests, by QEMU: tests/aarch64/tests says which.

AARCH64 := $(B)/aarch64
AARCH64_ROOT := $(abspath $(AARCH64))/root
AARCH64_MAKE = PKG_CONFIG_LIBDIR=$(AARCH64_ROOT)/usr/lib/aarch64-linux-gnu/pkgconfig PKG_CONFIG_SYSROOT_DIR=$(AARCH64_ROOT) \
	$(MAKE) --no-print-directory B=$(AARCH64) CC=aarch64-linux-gnu-gcc AR=aarch64-linux-gnu-ar MUSL_CC=$(AARCH64_ROOT)/musl-gcc

.PHONY: check-aarch64 check-aarch64-build aarch64
aarch64: ## everything for aarch64, into build/aarch64 (installs the cross compiler; Debian)
	@scripts/deps build aarch64
	@scripts/aarch64-root $(AARCH64)/root
	@$(AARCH64_MAKE) all

check-aarch64-build: aarch64 ## that build, the object with clang too, its symbols and its stack
	@scripts/check-symbols $(AARCH64)/libtsproxy.so
	@$(MAKE) --no-print-directory CC='clang --target=aarch64-linux-gnu' B=$(AARCH64)/clang $(AARCH64)/clang/libtsproxy.so
	@scripts/check-symbols $(AARCH64)/clang/libtsproxy.so
	@$(AARCH64_MAKE) check-stack-object

check-aarch64: check-aarch64-build ## part of the tests by emulation (T=suite)
	@$(AARCH64_MAKE) -s $(UNIT:%=$(AARCH64)/unit/%) \
		$(patsubst $(DIFF)/%,$(AARCH64)/diff/%,$(DIFF_CASES) $(DIFF_PLUGINS) $(DIFF)/delaytun $(DIFF)/peer)
	@tests/aarch64/run $(AARCH64) $(T)
