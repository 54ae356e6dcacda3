# SPDX-License-Identifier: MIT
# nix-build contrib/nix. Read by nix-instantiate; not yet built with a nixpkgs at hand.
{ pkgs ? import <nixpkgs> { } }:

pkgs.stdenv.mkDerivation {
  pname = "tsproxy";
  version = pkgs.lib.fileContents ../../VERSION;
  src = pkgs.lib.cleanSource ../..;

  nativeBuildInputs = [ pkgs.pkg-config pkgs.python3 ];
  buildInputs = [ pkgs.glibc.static pkgs.inih pkgs.jansson pkgs.qrencode ];

  # The object is freestanding: flags for programs of a libc must not reach it.
  hardeningDisable = [ "all" ];
  enableParallelBuilding = true;
  postPatch = "patchShebangs scripts";
  makeFlags = [ "prefix=$(out)" ];
  doCheck = true;
  checkTarget = "check-symbols check-layers";

  meta = {
    description = "Reach a tailnet from any program through userspace Tailscale";
    license = pkgs.lib.licenses.mit;
    mainProgram = "tsproxy";
    platforms = [ "x86_64-linux" "aarch64-linux" ];
  };
}
