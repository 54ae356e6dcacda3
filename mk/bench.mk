# SPDX-License-Identifier: MIT
# What tsproxy costs, beside what it replaces. bench/results.md is the last run that was kept.

BENCH := $(B)/bench
BENCH_BUILT := $(addprefix $(BENCH)/,exec connect datagrams hot echo empty.so bare.so)

$(BENCH)/%: bench/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -std=gnu11 -O2 $(WARN) -D_GNU_SOURCE -o $@ $<

# An object as a compiler makes it by itself, and the least that can be loaded.
$(BENCH)/empty.so: bench/empty.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -O2 -fPIC -shared -o $@ $<

$(BENCH)/bare.so: bench/empty.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -O2 -fPIC -shared -nostdlib -Wl,-z,noseparate-code -o $@ $<

.PHONY: bench
bench: all $(BENCH_BUILT) ## what it costs, beside its peers (QUICK=1: fewer rounds, ONLY=starts: parts)
	@QUICK='$(QUICK)' ONLY='$(ONLY)' bench/run.py $(B)

.PHONY: bench-behaviours
bench-behaviours: all $(BENCH_BUILT) ## what a program sees, beside the peers: bench/behaviours.md
	@bench/behaviours.py $(B)

$(BENCH)/names: bench/names.c $(B)/tool/libtool.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -std=gnu11 -O2 $(WARN) -D_GNU_SOURCE -Iinclude -o $@ $^ -Wl,--as-needed $(TOOL_LIBS)

.PHONY: bench-names
bench-names: all $(BENCH)/names ## what names cost as a tailnet grows (QUICK=1: up to 10,000 nodes)
	@QUICK='$(QUICK)' bench/names.py $(B)
