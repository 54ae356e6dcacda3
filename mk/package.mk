# SPDX-License-Identifier: MIT
# Packages, and their tests in a Debian of their own.

DEB := $(B)/deb/tsproxy_$(VERSION)_$(shell dpkg --print-architecture 2>/dev/null).deb

.PHONY: deb check-deb check-install
deb: ## build/deb/tsproxy_VERSION_ARCH.deb (installs what it needs)
	@scripts/deps build package
	@scripts/make-deb $(B)/deb
	@echo $(DEB)

# A machine that has no such tools, or no mirror, cannot; then it says so.
check-deb: ## the package's life in a chroot (debootstrap, once: build/chroot)
	@scripts/deps build package || { echo "skip  the tools to build packages are missing"; \
		echo "0 passed, 0 failed, 1 skipped"; exit 0; }; \
	scripts/make-deb $(B)/deb && tests/package/deb $(B) $(DEB)

check-install: all $(UNITS) ## make install, upgrade and uninstall
	@tests/package/install $(B)

.PHONY: check-completions
check-completions: all ## completions, in bash, zsh and fish on a terminal
	@tests/package/completions $(B)

# The tools of a build need its glibc, so they are built in an older Debian (debootstrap, once), or here where that cannot be had.
SUITE := bullseye
TARBALL := $(B)/tarball/tsproxy-$(VERSION)-$(shell uname -m).tar.gz

.PHONY: tarball check-tarball
tarball: ## build/tarball/tsproxy-VERSION-MACHINE.tar.gz and .xz: runs from any folder, glibc 2.31 or newer (SUITE=: this machine's)
	@test -n '$(SUITE)' && scripts/make-old-tarball $(SUITE) $(B) $(B)/tarball || { \
		test $$? != 2 && scripts/make-tarball $(B)/portable $(B)/tarball; }

check-tarball: tarball ## unpack it in a Debian with nothing but libc, and use it
	@tests/package/tarball $(B) $(TARBALL) $$(test ! -e $(B)/chroot/$(SUITE)/done || echo $(SUITE))

.PHONY: check-contrib
check-contrib: all tarball ## contrib/: lint, and the images' steps in a chroot
	@tests/package/contrib $(B) $(TARBALL)
