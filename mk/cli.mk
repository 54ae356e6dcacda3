# SPDX-License-Identifier: MIT
# The launcher. Fewer pages and segments to map is what a start-up of 100 us is made of.
LAUNCHER_LDFLAGS += -Wl,-z,noseparate-code -Wl,--gc-sections -Wl,--build-id=none

# Where an installation keeps its parts, should they not lie beside the launcher. Rebuilt when these change.
FOLDERS := -DTSPROXY_LIBDIR='"$(libdir)"' -DTSPROXY_LIBEXECDIR='"$(libexecdir)"' -DTSPROXY_BINDIR='"$(bindir)"' \
	-DTSPROXY_MANDIR='"$(mandir)"'
$(B)/launcher/cli/parts.o: BASE_CFLAGS += $(FOLDERS)
$(B)/tool/cli/parts.o: TOOL_CFLAGS += $(FOLDERS)
$(B)/object/names/refresh.o: OBJECT_CFLAGS += $(FOLDERS)
$(B)/launcher/cli/parts.o $(B)/tool/cli/parts.o $(B)/object/names/refresh.o: $(B)/launcher/folders
$(B)/launcher/folders: FORCE
	@mkdir -p $(@D)
	@echo '$(libdir) $(libexecdir) $(bindir) $(mandir)' | cmp -s - $@ || echo '$(libdir) $(libexecdir) $(bindir) $(mandir)' > $@

$(B)/launcher/base/version.o $(B)/tool/base/version.o: $(B)/launcher/commit
$(B)/launcher/commit: FORCE
	@mkdir -p $(@D)
	@echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' > $@

.PHONY: FORCE
FORCE:

# Programs of every kind that the launcher tells apart.
CLI := $(B)/cli
CLI_CFLAGS := -std=gnu11 -O1 -g $(WARN) -Iinclude -D_GNU_SOURCE
CLI_ASAN := $(foreach c,gcc clang,$(if $(shell command -v $(c)),$(CLI)/asan-$(c)))
CLI_MUSL := $(if $(MUSL_CC),$(CLI)/musl)
CLI_BUILT := $(addprefix $(CLI)/,fake-sync children dynamic static static-pie bare go-note go-section empty.so) \
	$(CLI_ASAN) $(CLI_MUSL)

$(CLI)/fake-sync: tests/cli/fake-sync.c $(filter-out %/version.c,$(BASE_SRC)) include/tsproxy/map.h
	$(CC) $(CLI_CFLAGS) -o $@ $(filter %.c,$^)
$(CLI)/children: tests/cli/children.c
	$(CC) $(CLI_CFLAGS) -o $@ $^
$(CLI)/dynamic: tests/cli/empty.c
	$(CC) $(CLI_CFLAGS) -o $@ $^
$(CLI)/static: tests/cli/empty.c
	$(CC) $(CLI_CFLAGS) -static -o $@ $^
$(CLI)/static-pie: tests/cli/empty.c
	$(CC) $(CLI_CFLAGS) -fPIE -static-pie -o $@ $^
$(CLI)/musl: tests/cli/empty.c
	$(MUSL_CC) $(CLI_CFLAGS) -o $@ $^
$(CLI)/bare: tests/cli/bare.S
	$(CC) -nostdlib -static -o $@ $^
$(CLI)/go-note: tests/cli/empty.c tests/cli/go-mark.S
	$(CC) $(CLI_CFLAGS) -DGO_NOTE -o $@ $^
$(CLI)/go-section: tests/cli/empty.c tests/cli/go-mark.S
	$(CC) $(CLI_CFLAGS) -o $@ $^
$(CLI)/empty.so: tests/cli/empty.c
	$(CC) $(CLI_CFLAGS) -fPIC -shared -nostdlib -o $@ $^
$(CLI)/asan-%: tests/cli/empty.c
	$* $(CLI_CFLAGS) -fsanitize=address -o $@ $^
$(CLI_BUILT): | $(CLI)
$(CLI):
	@mkdir -p $@

.PHONY: check-cli
check-cli: $(B)/tsproxy $(B)/tsproxy-env $(CLI_BUILT) ## the launcher (T=part of a name)
	@tests/cli/run.py $(B) $(T)
