# SPDX-License-Identifier: MIT
# Programs of many languages and event loops, natively and under tsproxy; tests/programs/run says how one is added.

.PHONY: check-programs check-programs-fast
check-programs: all $(DIFF)/delaytun ## real programs in both worlds (installs what it can; T=part of a name)
	@scripts/deps programs || :
	@tests/programs/run $(B) $(T)

# Those whose packages every check has.
check-programs-fast: all $(DIFF)/delaytun
	@tests/programs/run $(B) --set fast $(T)
