# SPDX-License-Identifier: MIT
# What the library costs in system calls: none, but for those that tests/silent/calls.py lists.

SILENT := $(B)/silent
# In the order in which they stand in the file.
SILENT_CFLAGS := -std=gnu11 -O1 -g $(WARN) -D_GNU_SOURCE -U_FORTIFY_SOURCE -fno-toplevel-reorder -pthread -MMD -MP

$(SILENT)/hooks: $(addprefix $(SILENT)/,hooks.o subjects.o sandbox.o)
	$(call say,CC)
	$(Q)$(CC) -pthread -o $@ $^ -lresolv -ldl -lutil

$(SILENT)/%.o: tests/silent/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(SILENT_CFLAGS) -c -o $@ $<

.PHONY: check-silent
check-silent: all $(SILENT)/hooks ## no system call of the library's own in what is not the tailnet's (T=part of a name)
	@B=$(abspath $(B)) tests/silent/run $(T)

-include $(wildcard $(SILENT)/*.d)
