# SPDX-License-Identifier: MIT
# Every file is written beside its place and renamed into it: a process that has the old object mapped keeps it whole.

MAN1 := $(wildcard man/*.1)
MAN5 := $(wildcard man/*.5)
MAN7 := $(wildcard man/*.7)
UNITS := $(patsubst contrib/systemd/%.in,$(B)/systemd/%,$(wildcard contrib/systemd/*.in))

# $(call put,mode,files,folder)
define put
	mkdir -p '$(DESTDIR)$(3)'
	for f in $(2); do \
		install -m $(1) "$$f" '$(DESTDIR)$(3)'/".$${f##*/}.new" && \
		mv -f '$(DESTDIR)$(3)'/".$${f##*/}.new" '$(DESTDIR)$(3)'/"$${f##*/}" || exit 1; \
	done

endef

# Made anew each time: where the programs go may have changed.
.PHONY: $(UNITS)
$(UNITS): $(B)/systemd/%: contrib/systemd/%.in
	@mkdir -p $(@D)
	@sed 's|@bindir@|$(bindir)|' $< > $@

install: all $(UNITS) ## install under DESTDIR and prefix (/usr/local)
	$(call put,644,$(B)/libtsproxy.so,$(libdir))
	$(call put,755,$(COMMANDS:%=$(B)/tsproxy-%) $(B)/tsproxy-complete,$(libexecdir))
	$(call put,755,$(B)/tsproxy,$(bindir))
	$(if $(MAN1),$(call put,644,$(MAN1),$(mandir)/man1))
	$(if $(MAN5),$(call put,644,$(MAN5),$(mandir)/man5))
	$(if $(MAN7),$(call put,644,$(MAN7),$(mandir)/man7))
	$(call put,644,$(UNITS),$(unitdir))
	$(call put,644,contrib/tsproxy.conf,$(docdir))
	$(call put,644,completions/tsproxy.bash,$(bashdir))
	mv -f '$(DESTDIR)$(bashdir)/tsproxy.bash' '$(DESTDIR)$(bashdir)/tsproxy'
	$(call put,644,completions/_tsproxy,$(zshdir))
	$(call put,644,completions/tsproxy.fish,$(fishdir))

# Without DESTDIR also what tsproxy keeps for this user and can make again: maps, in a shared home of other hosts, too.
USER_CACHE = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tsproxy $(and $(XDG_RUNTIME_DIR),$(XDG_RUNTIME_DIR)/tsproxy)

uninstall: ## remove what `make install` put there, and this user's maps
	rm -f '$(DESTDIR)$(bindir)/tsproxy' '$(DESTDIR)$(libdir)/libtsproxy.so' \
		$(foreach c,$(COMMANDS) complete,'$(DESTDIR)$(libexecdir)/tsproxy-$(c)') \
		'$(DESTDIR)$(docdir)/tsproxy.conf' '$(DESTDIR)$(bashdir)/tsproxy' '$(DESTDIR)$(zshdir)/_tsproxy' \
		'$(DESTDIR)$(fishdir)/tsproxy.fish' \
		$(foreach f,$(UNITS),'$(DESTDIR)$(unitdir)/$(notdir $(f))') \
		$(foreach f,$(MAN1) $(MAN5) $(MAN7),'$(DESTDIR)$(mandir)/man$(subst .,,$(suffix $(f)))/$(notdir $(f))')
	-rmdir '$(DESTDIR)$(libexecdir)' '$(DESTDIR)$(docdir)' 2>/dev/null
	$(if $(DESTDIR),,rm -rf $(foreach d,$(USER_CACHE),'$(d)'))
