#!/usr/bin/env bash
# The first process of a world of its own, in which a pod stands:
#
#   unshare --net --mount --pid --fork --kill-child --mount-proc tests/capture/ground.sh FOLDER
#
# This network namespace is the world: 93.184.216.34 and 2606:2800:220:1::7 are hosts in it, which
# /etc/hosts (here alone) calls api.acme.test. The pod's namespace is FOLDER/pod.net: one veth, and
# the world as its way out. FOLDER/ready appears when all stands.
set -euo pipefail

folder=$1
ip link set lo up
ip addr add 93.184.216.34/32 dev lo
ip addr add 2606:2800:220:1::7/128 dev lo nodad

printf '%s\n' '127.0.0.1 localhost' '::1 localhost' \
  '93.184.216.34 api.acme.test api.acme.test.' '2606:2800:220:1::7 api.acme.test api.acme.test.' >"$folder/hosts"
mount --bind "$folder/hosts" /etc/hosts

touch "$folder/pod.net"
unshare --net="$folder/pod.net" true
ip link add world0 type veth peer name pod0
# `ip` takes a namespace by a process in it
nsenter --net="$folder/pod.net" sleep 30 &
inside=$!
until [[ $(readlink "/proc/$inside/ns/net") != $(readlink /proc/self/ns/net) ]]; do sleep 0.05; done
ip link set pod0 netns "$inside"
kill "$inside"
ip addr add 10.88.0.1/24 dev world0
ip addr add fd88::1/64 dev world0 nodad
ip link set world0 up

in_pod() { nsenter --net="$folder/pod.net" -- "$@"; }
in_pod ip link set lo up
in_pod ip addr add 10.88.0.2/24 dev pod0
in_pod ip addr add fd88::2/64 dev pod0 nodad
in_pod ip link set pod0 up
in_pod ip route add default via 10.88.0.1
in_pod ip -6 route add default via fd88::1

touch "$folder/ready"
while :; do
  sleep 3600 &
  wait $! || true
done
