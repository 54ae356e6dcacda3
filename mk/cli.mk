# SPDX-License-Identifier: MIT
# The launcher. Fewer pages and segments to map is what a start-up of 100 us is made of.
LAUNCHER_LDFLAGS += -Wl,-z,noseparate-code -Wl,--gc-sections -Wl,--build-id=none

# Where an installation keeps its parts, should they not lie beside the launcher. Rebuilt when these change.
$(B)/launcher/cli/parts.o: BASE_CFLAGS += -DTSPROXY_LIBDIR='"$(libdir)"' -DTSPROXY_LIBEXECDIR='"$(libexecdir)"'
$(B)/launcher/cli/parts.o: $(B)/launcher/folders
$(B)/launcher/folders: FORCE
	@mkdir -p $(@D)
	@echo '$(libdir) $(libexecdir)' | cmp -s - $@ || echo '$(libdir) $(libexecdir)' > $@

.PHONY: FORCE check-cli
FORCE:
