#!/usr/bin/env bash
# Builds Kubernetes 1.34.2 (API server, controller manager, scheduler, kubelet, kube-proxy and
# kubectl) once, into Outrider's cache, and prints the folder.
#
#   tests/cluster/install.sh
#
# Needs Go; no C compiler. What is built is pinned by build/go.sum. The folder appears whole or
# not at all; a second run waits for the first.
# Exit: 0 the binaries are there; 1 the build failed; 3 something needed is missing.
set -euo pipefail

version=1.34.2
wanted_go=1.26
programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${OUTRIDER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/outrider}
target=$cache/kubernetes-$version

say() { printf '==> %s\n' "$*" >&2; }
lacks() {
  say "Kubernetes $version cannot be built: $*"
  exit 3
}

complete() { # a folder holds every program, and they say the version that is wanted
  local one
  for one in "${programs[@]}"; do [[ -x $1/$one ]] || return 1; done
  [[ $("$1/kube-apiserver" --version) == "Kubernetes v$version" ]]
}

check_tools() {
  command -v go >/dev/null || lacks "there is no \`go\` on the path; install Go $wanted_go or newer (https://go.dev/dl)"
  local found
  found=$(GOTOOLCHAIN=local go env GOVERSION)
  found=${found#go}
  if [[ $(printf '%s\n%s\n' "$wanted_go" "${found%%[-+ ]*}" | sort -V | head -n 1) != "$wanted_go" ]]; then
    lacks "Go is $found; $wanted_go or newer is wanted"
  fi
}

build() { # a folder, then the program's name
  say "building $2"
  (cd "$here/build" &&
    GOTOOLCHAIN=local GOFLAGS= CGO_ENABLED=0 nice -n 15 \
      go build -mod=readonly -trimpath -buildvcs=false \
      -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=v$version" \
      -o "$1/" "k8s.io/kubernetes/cmd/$2")
}

if complete "$target"; then
  printf '%s\n' "$target"
  exit 0
fi
check_tools
mkdir -p "$cache"
exec 9>"$cache/.kubernetes-$version.lock"
if command -v flock >/dev/null; then # elsewhere two runs cost time, no more: the last rename wins
  flock -n 9 || { say "another run builds Kubernetes $version; waiting for it" && flock 9; }
  complete "$target" || rm -rf "$cache/.kubernetes-$version".?????? # of a run that was killed
fi
if ! complete "$target"; then
  staging=$(mktemp -d "$cache/.kubernetes-$version.XXXXXX")
  trap 'rm -rf "$staging"' EXIT
  started=$SECONDS
  say "building Kubernetes $version (some six minutes on two cores, once)"
  for one in "${programs[@]}"; do build "$staging" "$one"; done
  complete "$staging" || {
    say "what was built does not say that it is Kubernetes $version"
    exit 1
  }
  chmod 755 "$staging"
  rm -rf "$target"
  mv "$staging" "$target"
  say "Kubernetes $version built in $((SECONDS - started)) s"
fi
printf '%s\n' "$target"
