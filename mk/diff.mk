# SPDX-License-Identifier: MIT
# Differential tests: each program natively and under tsproxy; what it printed must be equal.

DIFF := $(B)/diff
DIFF_CASES := $(patsubst tests/diff/cases/%.c,$(DIFF)/cases/%,$(wildcard tests/diff/cases/*.c))
DIFF_CFLAGS := -std=gnu11 -g $(WARN) -Wno-shadow -D_GNU_SOURCE -U_FORTIFY_SOURCE -pthread -MMD -MP
DIFF_ASAN := $(foreach c,gcc clang,$(if $(shell command -v $(c)),$(DIFF)/asan-$(c)/smoke))
DIFF_PLUGINS := $(addprefix $(DIFF)/cases/plugin,.so -now.so -plain.so -noplt.so -early.so -needs.so -opener.so -preloaded.so)
DIFF_BUILT := $(DIFF_CASES) $(DIFF_PLUGINS) $(DIFF)/delaytun $(DIFF)/peer $(DIFF_ASAN)

# The fortified twins are called only where the compiler knows a buffer's size.
$(DIFF)/cases/chk: DIFF_MODE := -O2 -D_FORTIFY_SOURCE=2
DIFF_MODE = -O1

$(DIFF)/cases/%: tests/diff/cases/%.c $(DIFF)/case.o $(DIFF)/show.o
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(DIFF_CFLAGS) $(DIFF_MODE) -o $@ $< $(DIFF)/case.o $(DIFF)/show.o -ldl -lutil

$(DIFF)/%.o: tests/diff/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(DIFF_CFLAGS) -O1 -c -o $@ $<

# What a reference to libc looks like is the linker's doing: bound at once or lazily, protected afterwards or not, with a PLT or without.
$(DIFF)/cases/plugin: DIFF_MODE := -O1 -rdynamic
$(DIFF)/cases/plugin.so: PLUGIN := -Wl,-z,lazy -Wl,-z,relro
$(DIFF)/cases/plugin-now.so: PLUGIN := -Wl,-z,now -Wl,-z,relro
$(DIFF)/cases/plugin-plain.so: PLUGIN := -Wl,-z,lazy -Wl,-z,norelro
$(DIFF)/cases/plugin-noplt.so: PLUGIN := -fno-plt
$(DIFF)/cases/plugin-early.so: PLUGIN := -Wl,-z,lazy -DEARLY
$(DIFF)/cases/plugin.so $(DIFF)/cases/plugin-now.so $(DIFF)/cases/plugin-plain.so $(DIFF)/cases/plugin-noplt.so $(DIFF)/cases/plugin-early.so: \
		tests/diff/plugin_so.c
$(DIFF)/cases/plugin-needs.so: PLUGIN := -L$(DIFF)/cases -l:plugin.so -Wl,-rpath,'$$ORIGIN' -Wl,-z,lazy
$(DIFF)/cases/plugin-needs.so: tests/diff/plugin_needs.c | $(DIFF)/cases/plugin.so
$(DIFF)/cases/plugin-opener.so: PLUGIN := -Wl,-rpath,'$$ORIGIN' -Wl,--enable-new-dtags
$(DIFF)/cases/plugin-opener.so: tests/diff/plugin_opener.c
# It jumps to what is behind it, as optimized objects do.
$(DIFF)/cases/plugin-preloaded.so: PLUGIN := -O2
$(DIFF)/cases/plugin-preloaded.so: tests/diff/preloaded_so.c

$(DIFF_PLUGINS):
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(DIFF_CFLAGS) -O1 -fPIC -shared -Wl,-soname,$(@F) -o $@ $(filter %.c,$^) $(PLUGIN)

$(DIFF)/asan-%/smoke: tests/diff/cases/smoke.c tests/diff/case.c tests/diff/show.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$* -std=gnu11 -g -O1 -D_GNU_SOURCE -fsanitize=address -pthread -Itests/diff -o $@ $^

$(DIFF)/delaytun $(DIFF)/peer: $(DIFF)/%: $(DIFF)/%.o
	$(call say,CC)
	$(Q)$(CC) -o $@ $^

.PHONY: check-diff check-diff-native diff-programs
diff-programs: $(DIFF_BUILT)
check-diff: all $(DIFF_BUILT) ## the same programs natively and under tsproxy (T=glob)
	@TEST_PREFIX='$(TEST_PREFIX)' tests/diff/run.py $(B) '$(or $(T),*)'

check-diff-native: $(DIFF_BUILT)
	@TEST_PREFIX='$(TEST_PREFIX)' tests/diff/run.py $(B) '$(or $(T),*)' --native 10

-include $(wildcard $(DIFF)/*.d $(DIFF)/cases/*.d)

.SECONDARY: $(DIFF)/case.o $(DIFF)/show.o
