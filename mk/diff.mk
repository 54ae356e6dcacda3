# SPDX-License-Identifier: MIT
# Differential tests: each program natively and under tsproxy; what it printed must be equal.

DIFF := $(B)/diff
DIFF_CASES := $(patsubst tests/diff/cases/%.c,$(DIFF)/cases/%,$(wildcard tests/diff/cases/*.c))
DIFF_CFLAGS := -std=gnu11 -g $(WARN) -Wno-shadow -D_GNU_SOURCE -U_FORTIFY_SOURCE -pthread -MMD -MP
DIFF_ASAN := $(foreach c,gcc clang,$(if $(shell command -v $(c)),$(DIFF)/asan-$(c)/smoke))
DIFF_BUILT := $(DIFF_CASES) $(DIFF)/cases/plugin.so $(DIFF)/delaytun $(DIFF)/peer $(DIFF_ASAN)

# The fortified twins are called only where the compiler knows a buffer's size.
$(DIFF)/cases/chk: DIFF_MODE := -O2 -D_FORTIFY_SOURCE=2
DIFF_MODE = -O1

$(DIFF)/cases/%: tests/diff/cases/%.c $(DIFF)/case.o $(DIFF)/show.o
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(DIFF_CFLAGS) $(DIFF_MODE) -o $@ $< $(DIFF)/case.o $(DIFF)/show.o -ldl

$(DIFF)/%.o: tests/diff/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(DIFF_CFLAGS) -O1 -c -o $@ $<

$(DIFF)/cases/plugin.so: tests/diff/plugin_so.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(DIFF_CFLAGS) -fPIC -shared -o $@ $<

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
