# SPDX-License-Identifier: MIT
# A tailnet of real daemons: tests/tailnet. tailscaled and its control server are built once, from Go modules.

TAILNET := $(B)/tailnet/tailscaled $(B)/tailnet/tailscale $(B)/tailnet/control

.PHONY: tailnet-world check-tailnet tailnet-shell
tailnet-world: $(TAILNET) $(if $(shell command -v cargo),$(B)/programs/rust_quic/release/quic)

$(TAILNET) &: tests/tailnet/go.mod tests/tailnet/go.sum tests/tailnet/control/main.go
	@mkdir -p $(B)/tailnet
	cd tests/tailnet && CGO_ENABLED=0 go build -o $(abspath $(B))/tailnet/ \
		tailscale.com/cmd/tailscaled tailscale.com/cmd/tailscale ./control
	@touch $(TAILNET)

# One of the programs of tests/programs that a check runs, too.
$(B)/programs/rust_quic/release/quic: tests/programs/rust_quic.rs tests/programs/quic/Cargo.toml tests/programs/quic/Cargo.lock
	cargo build -q --locked --release --manifest-path tests/programs/quic/Cargo.toml --target-dir $(B)/programs/rust_quic
	@touch $@

check-tailnet: all ## the scenario on real tailscaleds (T=part of a title)
	@tests/tailnet/run --build $(B) $(if $(T),"$(T)")

tailnet-shell: all ## a shell in a tailnet of real tailscaleds
	@tests/tailnet/run --build $(B) --shell
