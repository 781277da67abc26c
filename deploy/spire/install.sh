#!/usr/bin/env bash
# Builds SPIRE 1.15.3, server and agent, once, into Outrider's cache, and prints the folder.
#
#   deploy/spire/install.sh
#
# Needs Go 1.26.6 or newer and a C compiler: SPIRE's SQLite is C. What is built is pinned by
# build/go.sum. The folder appears whole or not at all; a second run waits for the first.
# Exit: 0 the binaries are there; 1 the build failed; 3 something needed is missing.
set -euo pipefail

version=1.15.3
wanted_go=1.26.6
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${OUTRIDER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/outrider}
target=$cache/spire-$version

say() { printf '==> %s\n' "$*" >&2; }
lacks() {
  say "SPIRE $version cannot be built: $*"
  exit 3
}

works() { # the binary says the version that is wanted
  [[ -x $1 ]] && [[ $("$1" --version 2>&1) == "$version"* ]]
}

installed() { works "$target/spire-server" && works "$target/spire-agent"; }

check_tools() {
  command -v go >/dev/null || lacks "there is no \`go\` on the path; install Go $wanted_go or newer (https://go.dev/dl)"
  local found
  found=$(GOTOOLCHAIN=local go env GOVERSION)
  found=${found#go}
  if [[ $(printf '%s\n%s\n' "$wanted_go" "${found%%[-+ ]*}" | sort -V | head -n 1) != "$wanted_go" ]]; then
    lacks "Go is $found; $wanted_go or newer is wanted"
  fi
  local compiler
  compiler=$(go env CC)
  command -v "${compiler%% *}" >/dev/null || lacks "there is no C compiler (\`${compiler%% *}\`); install gcc or clang"
}

build() { # a folder, then the program's name
  say "building $2 (some four minutes on two cores)"
  (cd "$here/build" &&
    GOTOOLCHAIN=local GOFLAGS= CGO_ENABLED=1 nice -n 10 \
      go build -mod=readonly -trimpath -buildvcs=false -ldflags '-s -w' \
      -o "$1/" "github.com/spiffe/spire/cmd/$2")
}

if installed; then
  printf '%s\n' "$target"
  exit 0
fi
check_tools
mkdir -p "$cache"
exec 9>"$cache/.spire-$version.lock"
if command -v flock >/dev/null; then # elsewhere two runs cost time, no more: the last rename wins
  flock -n 9 || { say "another run builds SPIRE $version; waiting for it" && flock 9; }
  installed || rm -rf "$cache/.spire-$version".?????? # of a run that was killed
fi
if ! installed; then
  staging=$(mktemp -d "$cache/.spire-$version.XXXXXX")
  trap 'rm -rf "$staging"' EXIT
  started=$SECONDS
  say "fetching SPIRE's modules (some 400 MB, once)"
  (cd "$here/build" && GOTOOLCHAIN=local GOFLAGS=-mod=readonly go list -deps \
    github.com/spiffe/spire/cmd/spire-server github.com/spiffe/spire/cmd/spire-agent >/dev/null)
  build "$staging" spire-server
  build "$staging" spire-agent
  works "$staging/spire-server" && works "$staging/spire-agent" || {
    say "what was built does not say that it is SPIRE $version"
    exit 1
  }
  chmod 755 "$staging"
  rm -rf "$target"
  mv "$staging" "$target"
  say "SPIRE $version built in $((SECONDS - started)) s"
fi
printf '%s\n' "$target"
