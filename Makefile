# SPDX-License-Identifier: MIT
# One file, not recursive; everything made goes under build/. `make help` lists what to ask for.

VERSION := $(shell cat VERSION)
B := build
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
PKG_CONFIG ?= pkg-config
prefix ?= /usr/local
# Not every shell expands the ~ in prefix=~/.local.
override prefix := $(patsubst ~/%,$(HOME)/%,$(prefix))
bindir ?= $(prefix)/bin
libdir ?= $(prefix)/lib
libexecdir ?= $(prefix)/libexec/tsproxy
mandir ?= $(prefix)/share/man
docdir ?= $(prefix)/share/doc/tsproxy
bashdir ?= $(prefix)/share/bash-completion/completions
zshdir ?= $(prefix)/share/zsh/site-functions
fishdir ?= $(prefix)/share/fish/vendor_completions.d
# systemd looks in lib only under /usr and /usr/local, and in share under a user's ~/.local (systemd.unit(5)).
unitdir ?= $(prefix)/$(if $(filter /usr /usr/local,$(prefix)),lib,share)/systemd/user
DESTDIR ?=
O ?= -O2
SAN ?=

# What --version says was built: HEAD, or what `make dist` put into the archive. src/base/version.c alone is made anew when it changes.
COMMIT := $(shell cat COMMIT 2>/dev/null || git rev-parse --short=12 HEAD 2>/dev/null)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
BASE_CFLAGS := -std=gnu11 $(O) -g $(WARN) -Iinclude -D_GNU_SOURCE -DTSPROXY_VERSION='"$(VERSION)"' \
	-DTSPROXY_COMMIT='"$(COMMIT)"' -DTSPROXY_COMMIT_NOTE='"$(COMMIT:%= (%))"' -MMD -MP
# What the compiler makes programs for: x86_64, aarch64. There atomic operations would be calls to libgcc's functions, which choose by the
# processor: the object has no libgcc, and those ask for it by a name that musl lacks before 1.2.6.
MACHINE := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
ifeq ($(MACHINE),aarch64)
BASE_CFLAGS += -mno-outline-atomics
endif
# The object: no libc of its own (design: one object for every libc), so no start files, no stack protector, no fortify, no
# thread-local storage; freestanding, with its own memcpy and friends; hidden unless the hook table names it.
OBJECT_CFLAGS := $(BASE_CFLAGS) -fPIC -ffreestanding -fvisibility=hidden -fno-stack-protector -U_FORTIFY_SOURCE \
	-D_FORTIFY_SOURCE=0 -fno-plt -fexceptions -fomit-frame-pointer -DTSPROXY_OBJECT
OBJECT_LDFLAGS := -shared -nostdlib -Wl,-soname,libtsproxy.so -Wl,-z,relro -Wl,-z,noseparate-code -Wl,--hash-style=gnu \
	-Wl,--build-id -Wl,-Bsymbolic-functions -Wl,--version-script=$(B)/exports.map
# CPPFLAGS, CFLAGS and LDFLAGS, such as a distribution hardens its programs with, are for what is linked with the libc here.
TOOL_CFLAGS := $(BASE_CFLAGS) $(SAN) $(CPPFLAGS) $(CFLAGS)

OBJECT_SRC := $(filter-out %/conf_files.c %/version.c,$(wildcard src/base/*.c)) $(wildcard src/sys/*.c src/socks5/*.c src/flow/*/*.c src/hook/*.c) \
	$(addprefix src/names/,map_check.c map_read.c map_load.c map_live.c live_place.c credentials.c refresh.c ask.c name_kind.c hosts.c answer.c meant.c withheld.c \
	dns_message.c dns_query.c split.c resolv_conf.c res_state.c beside.c remote.c native.c words.c gai_conf.c)
BASE_SRC := $(wildcard src/base/*.c)
LAUNCHER_SRC := $(filter-out src/cli/cmd_%.c,$(wildcard src/cli/*.c)) $(BASE_SRC)
# What the sub-commands share. Each src/cli/cmd_NAME.c is the program tsproxy-NAME.
TOOL_SRC := $(wildcard src/tool/*.c) $(addprefix src/names/,map_check.c map_read.c map_load.c credentials.c name_kind.c dns_message.c dns_query.c split.c) \
	$(wildcard src/names/map_write*.c src/names/status*.c) \
	$(wildcard src/socks5/*.c) $(BASE_SRC)
# What they share with the launcher: where the parts are, and which programs can be served.
COMMAND_SRC := $(addprefix src/cli/,elf.c environ.c parts.c program.c say.c way.c) $(wildcard src/command/*.c)
COMMANDS := $(patsubst src/cli/cmd_%.c,%,$(wildcard src/cli/cmd_*.c))
SIM_SRC := $(wildcard src/sim/*.c) $(wildcard src/socks5/*.c) $(BASE_SRC)

obj = $(patsubst src/%.c,$(B)/$(1)/%.o,$(2))
OBJECT_O := $(call obj,object,$(OBJECT_SRC))
LAUNCHER_O := $(call obj,launcher,$(LAUNCHER_SRC))
TOOL_O := $(call obj,tool,$(TOOL_SRC) $(COMMAND_SRC))
SIM_O := $(call obj,tool,$(SIM_SRC))

# QR codes of login links, where the library is there.
QRENCODE := $(shell $(PKG_CONFIG) --exists libqrencode && echo libqrencode)
TOOL_LIBS = $(shell $(PKG_CONFIG) --libs jansson inih $(QRENCODE))
TOOL_DEP_CFLAGS = $(shell $(PKG_CONFIG) --cflags jansson inih $(QRENCODE)) $(if $(QRENCODE),-DTSPROXY_QRENCODE)

# The launcher's start-up is paid on every use, and a static musl program starts four times as fast as a glibc one.
MUSL_CC := $(shell command -v musl-gcc 2>/dev/null)
ifneq ($(firstword $(subst -, ,$(if $(MUSL_CC),$(shell $(MUSL_CC) -dumpmachine)))),$(MACHINE))
MUSL_CC :=
endif
ifneq ($(MUSL_CC),)
LAUNCHER_CC := $(MUSL_CC)
LAUNCHER_LDFLAGS := -static
else
LAUNCHER_CC := $(CC)
LAUNCHER_LDFLAGS := -static
endif

# What is missing is said before anything is compiled. These goals need no compiler, or install what they need.
NO_BUILD := check clean compdb demo dist format help lint man-lint uninstall
ifneq ($(filter-out $(NO_BUILD),$(or $(MAKECMDGOALS),all)),)
MISSING := $(foreach c,$(firstword $(CC)) $(PKG_CONFIG),$(if $(shell command -v $(c)),,$(c))) \
	$(foreach l,jansson inih,$(if $(shell $(PKG_CONFIG) --exists $(l) 2>/dev/null && echo yes),,$(l)))
ifneq ($(strip $(MISSING)),)
$(error Missing: $(strip $(MISSING)). Run scripts/deps build, or install them yourself)
endif
endif

# What runs is named in a word; V=1 shows the commands.
ifneq ($(V),1)
Q := @
say = @echo "  $(1)" $(patsubst $(B)/%,%,$@)
endif

.PHONY: all help demo check clean install uninstall
all: $(B)/libtsproxy.so $(B)/tsproxy $(COMMANDS:%=$(B)/tsproxy-%) $(B)/tsproxy-complete $(B)/tsproxy-sim ## build everything

help: ## this list
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

$(B)/exports.map: src/sys/hooks.def scripts/gen-exports
	@mkdir -p $(@D)
	$(call say,GEN)
	$(Q)scripts/gen-exports $< > $@

$(B)/libtsproxy.so: $(OBJECT_O) $(B)/exports.map
	$(call say,CC)
	$(Q)$(CC) $(O) -g $(OBJECT_LDFLAGS) -o $@ $(OBJECT_O)

$(B)/tsproxy: $(LAUNCHER_O)
	$(call say,CC)
	$(Q)$(LAUNCHER_CC) $(LAUNCHER_LDFLAGS) -o $@ $^

$(B)/tsproxy-sim: $(SIM_O)
	$(call say,CC)
	$(Q)$(CC) $(SAN) -o $@ $^

# An archive: a sub-command gets only what it uses, and a library only where something of it is used.
$(B)/tool/libtool.a: $(TOOL_O)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(COMMANDS:%=$(B)/tsproxy-%): $(B)/tsproxy-%: $(B)/tool/cli/cmd_%.o $(B)/tool/libtool.a
	$(call say,CC)
	$(Q)$(CC) $(SAN) $(LDFLAGS) -o $@ $^ -Wl,--as-needed $(TOOL_LIBS)

$(B)/tsproxy-complete: completions/tsproxy-complete
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(B)/object/%.o: src/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(OBJECT_CFLAGS) -c -o $@ $<

# Where the real functions are called, no jump takes the place of a call at a function's end: they return into the object, by which
# src/sys/rebind.c knows that the object calls. getaddrinfo jumps to the function that calls, for a small stack's sake.
$(B)/object/names/%.o $(B)/object/flow/%.o $(B)/object/hook/%.o: OBJECT_CFLAGS += -fno-optimize-sibling-calls
$(B)/object/hook/getaddrinfo.o: OBJECT_CFLAGS += -foptimize-sibling-calls

# What a cancelled thread leaves behind is given back without a library that unwinds: src/sys/cancel.c.
$(B)/object/sys/cancel.o: OBJECT_CFLAGS += -fno-exceptions

$(B)/launcher/%.o: src/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(LAUNCHER_CC) $(BASE_CFLAGS) -c -o $@ $<

$(B)/tool/%.o: src/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(TOOL_CFLAGS) $(TOOL_DEP_CFLAGS) -c -o $@ $<

include $(wildcard mk/*.mk)

demo: ## the demonstration (installs what it needs)
	@scripts/demo

check: ## every test (installs what it needs)
	@scripts/check

clean: ## remove build/
	rm -rf $(B)

-include $(shell find $(B) -name chroot -prune -o -name '*.d' -type f -print 2>/dev/null)
