# SPDX-License-Identifier: MIT
# Unit tests: each tests/unit/test_NAME.c is a Check program over the normal-libc objects; each tests/fuzz/fuzz_NAME.c a
# libFuzzer target whose corpus, tests/fuzz/corpus/NAME, also runs here as a plain test. A test that needs an object of the
# preloaded library lists its sources: UNIT_SRC_NAME := src/flow/fd/fdtab.c

# A test named in ENGINE is linked with the engine itself, tests/unit/engine.h.

ENGINE := flow_faults flow_threads names_threads
ENGINE_SRC := $(filter-out src/sys/mem.c src/hook/dlopen% src/hook/syscall%,$(OBJECT_SRC))
ENGINE_O := $(patsubst src/%.c,$(B)/engine/%.o,$(ENGINE_SRC))

UNIT_SRC_guard := src/sys/guard.c src/sys/mem.c src/sys/elfaux.c src/sys/spawn.c
UNIT := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
FUZZ := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
UNIT_LIBS = $(TOOL_LIBS) $(shell $(PKG_CONFIG) --libs check)
UNIT_CFLAGS = $(TOOL_CFLAGS) $(TOOL_DEP_CFLAGS) -Isrc -Itests/unit $(shell $(PKG_CONFIG) --cflags check)
CLANG ?= clang
FUZZ_SECONDS ?= 60
TEST_PREFIX ?=
# A tool such as valgrind must see the test itself, not a child that Check forks.
UNIT_ENV = $(if $(TEST_PREFIX),CK_FORK=no)
unit_pick = $(if $(T),$(foreach t,$(1),$(if $(findstring $(T),$(t)),$(t))),$(1))

.PHONY: check-unit asan cover tsan fuzz
check-unit: $(patsubst %,$(B)/unit/%,$(call unit_pick,$(UNIT) $(FUZZ))) ## unit tests and fuzz corpora (T=part of a name, TEST_PREFIX=valgrind)
	@test -n '$(strip $(call unit_pick,$(UNIT) $(FUZZ)))' || { echo 'no unit test is named $(T)' >&2; exit 1; }; \
	failed=; \
	for t in $(call unit_pick,$(UNIT)); do \
		tests/lib/private env $(UNIT_ENV) TSPROXY_BUILD=$(abspath $(B)) $(TEST_PREFIX) $(B)/unit/$$t; code=$$?; \
		test $$code = 0 || test $$code = 77 || failed="$$failed $$t"; \
		if test $$code = 77; then echo "skip: $$t"; test -z "$$CI" || failed="$$failed $$t"; fi; \
	done; \
	for t in $(call unit_pick,$(FUZZ)); do \
		$(TEST_PREFIX) $(B)/unit/$$t tests/fuzz/corpus/$${t#fuzz_} || failed="$$failed $$t"; \
	done; \
	for t in $$failed; do echo "again: make check-unit T=$$t" >&2; done; \
	test -z "$$failed"

asan: ## unit tests under address and undefined-behaviour sanitizers, in a build of their own
	@$(MAKE) --no-print-directory check-unit B=$(B)/asan O=-O1 \
		SAN="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"

cover: ## how many lines the unit tests run, by layer (gcov), in a build of their own
	@$(MAKE) --no-print-directory check-unit B=$(B)/cover O=-O0 FUZZ= SAN="--coverage -fprofile-update=atomic"
	@scripts/cover $(B)/cover

# gcc warns of fences, which ThreadSanitizer does not know; what they are between is atomic here.
tsan: ## threads on one descriptor and on one map under ThreadSanitizer, in a build of their own
	@$(MAKE) --no-print-directory check-unit B=$(B)/tsan O=-O1 UNIT="test_flow_threads test_names_threads" FUZZ= \
		SAN="-fsanitize=thread $(if $(findstring clang,$(CC)),,-Wno-tsan)"

fuzz: $(FUZZ:%=$(B)/fuzz/%) ## fuzz each target for FUZZ_SECONDS (T=part of a name); finds go to build/fuzz
	@for t in $(call unit_pick,$(FUZZ)); do \
		mkdir -p $(B)/fuzz/corpus/$$t; \
		$(B)/fuzz/$$t -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
			-artifact_prefix=$(B)/fuzz/ $(B)/fuzz/corpus/$$t tests/fuzz/corpus/$${t#fuzz_} || exit 1; \
	done

$(B)/unit/%.o: tests/unit/%.c
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -c -o $@ $<

$(B)/unit/%.o: tests/fuzz/%.c
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -c -o $@ $<

define unit_program
$(B)/unit/test_$(1): $(B)/unit/test_$(1).o $(if $(filter $(1),$(ENGINE)),$(B)/unit/engine.o $(ENGINE_O)) $(patsubst src/%.c,$(B)/tool/%.o,$(UNIT_SRC_$(1))) $(B)/tool/libtool.a
	$$(CC) $$(SAN) -o $$@ $$^ $$(UNIT_LIBS)
endef
$(B)/unit/engine.o: UNIT_CFLAGS += -DTSPROXY_UNIT
$(B)/engine/names/refresh.o: TOOL_CFLAGS += $(FOLDERS)
$(B)/engine/%.o: src/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(TOOL_CFLAGS) -DTSPROXY_UNIT -fvisibility=hidden -c -o $@ $<

$(ENGINE:%=$(B)/unit/test_%): | $(B)/tsproxy-sync $(B)/tsproxy-sim
# Runs the programs themselves.
$(B)/unit/test_tool_cli: | $(B)/tsproxy-sync $(B)/tsproxy-resolve $(B)/tsproxy-status
$(foreach t,$(UNIT:test_%=%),$(eval $(call unit_program,$(t))))

$(FUZZ:%=$(B)/unit/%): $(B)/unit/%: $(B)/unit/%.o $(B)/unit/driver.o $(B)/tool/libtool.a
	$(CC) $(SAN) -o $@ $^ $(TOOL_LIBS)

$(B)/fuzz/%: tests/fuzz/%.c $(TOOL_SRC)
	@mkdir -p $(@D)
	$(CLANG) $(filter-out -MMD -MP,$(BASE_CFLAGS)) $(TOOL_DEP_CFLAGS) -Isrc -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -o $@ $^ $(TOOL_LIBS)

.SECONDARY: $(UNIT:%=$(B)/unit/%.o) $(FUZZ:%=$(B)/unit/%.o)
