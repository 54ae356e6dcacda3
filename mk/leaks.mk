# SPDX-License-Identifier: MIT
# What leaves the machine in the clear: every way to send, in every state of daemon, proxy and map, before a watched wire.
LEAKS := $(B)/leaks
LEAKS_CFLAGS := -std=gnu11 -O1 -g $(WARN) -D_GNU_SOURCE -pthread
LEAKS_SRC := $(wildcard tests/leaks/*.c)
LEAKS_BUILT := $(LEAKS)/ways $(if $(MUSL_CC),$(LEAKS)/ways-musl)

$(LEAKS)/ways: $(LEAKS_SRC) tests/leaks/ways.h
	@mkdir -p $(@D)
	$(CC) $(LEAKS_CFLAGS) -o $@ $(LEAKS_SRC) -lresolv
$(LEAKS)/ways-musl: $(LEAKS_SRC) tests/leaks/ways.h
	@mkdir -p $(@D)
	$(MUSL_CC) $(LEAKS_CFLAGS) -o $@ $(LEAKS_SRC)

.PHONY: check-leaks
check-leaks: all $(LEAKS_BUILT) ## nothing of a tailnet leaves in the clear, whatever is missing or broken (T=part of a name)
	@B=$(abspath $(B)) tests/leaks/run $(T)
