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

# The tools of a build need its glibc: SUITE=bullseye builds for 2.31, in a chroot (debootstrap, once).
TARBALL := $(B)/tarball/tsproxy-$(VERSION)-$(shell uname -m).tar.xz

.PHONY: tarball check-tarball
tarball: ## build/tarball/tsproxy-VERSION-MACHINE.tar.xz: runs from any folder (SUITE=bullseye: for its glibc)
	@$(if $(SUITE),scripts/make-old-tarball $(SUITE) $(B) $(B)/tarball,scripts/make-tarball $(B)/portable $(B)/tarball)

check-tarball: tarball ## unpack it in a Debian with nothing but libc, and use it (SUITE=bullseye)
	@tests/package/tarball $(B) $(TARBALL) $(SUITE)

.PHONY: check-contrib
check-contrib: all tarball ## contrib/: lint, and the images' steps in a chroot
	@tests/package/contrib $(B) $(TARBALL)
