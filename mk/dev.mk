# SPDX-License-Identifier: MIT
# For those who change tsproxy.

SCRIPTS = $(shell grep -lE '^\#!/(usr/)?bin/(env )?(ba)?sh' scripts/* tests/*/* .ci/* completions/* 2>/dev/null)

.PHONY: format lint man-lint dist compdb check-messages
check-messages: ## every message that a user can meet stands in a test
	@scripts/check-messages

format: ## lay out C files as .clang-format says (F=files)
	clang-format -i $(F)

lint: ## include layers, documentation, shell scripts, man pages, what style forbids (installs what it needs)
	scripts/deps lint
	@$(MAKE) --no-print-directory man-lint
	scripts/check-layers
	scripts/check-docs
	shellcheck -S warning -s bash completions/tsproxy.bash
	shellcheck -S warning $(SCRIPTS)
	! git grep -nIwE 'TODO|FIXME|XXX' -- '*.c' '*.h' '*.S' '*.sh' '*.py' Makefile

man-lint: ## mandoc over the man pages
	mandoc -Tlint -W warning man/*.[157]

.PHONY: pictures
pictures: all ## docs/*.svg and bench/results.svg anew, from real output and bench/results.md
	scripts/record $(B)
	bench/plot.py

dist: ## build/tsproxy-VERSION.tar.gz from the last commit
	@mkdir -p $(B)
	git archive --prefix=tsproxy-$(VERSION)/ --add-virtual-file=tsproxy-$(VERSION)/COMMIT:$(COMMIT) -o $(B)/tsproxy-$(VERSION).tar.gz HEAD
	@echo $(B)/tsproxy-$(VERSION).tar.gz

compdb: ## build/compile_commands.json, for clangd and the like
	@mkdir -p $(B)
	@$(MAKE) --no-print-directory -Bn all | scripts/compdb > $(B)/compile_commands.json
