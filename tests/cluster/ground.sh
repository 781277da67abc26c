#!/usr/bin/env bash
# The first process of a node's own network, mount and pid namespaces:
#
#   unshare --net --mount --pid --fork --kill-child --mount-proc tests/cluster/ground.sh FOLDER [node]
#
# With `node` it keeps from the machine what a kubelet would write to fixed places. FOLDER/ready
# appears when all stands; the namespaces end with this process, and every process in them.
set -euo pipefail

folder=$1
ip link set lo up
ip link add node0 type bridge
ip addr add 10.99.0.1/24 dev node0
ip link set node0 up
ip route add default via 10.99.0.1 dev node0

if [[ ${2:-} == node ]]; then
  sysctl -qw net.ipv4.ip_forward=1
  for each in /var/log /var/lib /run; do
    mkdir -p "$folder/over$each/upper" "$folder/over$each/work"
    mount -t overlay overlay "$each" \
      -o "lowerdir=$each,upperdir=$folder/over$each/upper,workdir=$folder/over$each/work"
  done
  # A kubelet sets these for the whole machine; here it finds them as it wants them.
  for each in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1; do
    told=$folder/sysctl-$(basename "${each%=*}")
    printf '%s\n' "${each#*=}" >"$told"
    mount --bind "$told" "/proc/sys/${each%=*}"
  done
fi

touch "$folder/ready"
# bash takes in what its orphans leave; it ends by SIGKILL alone, as the first process of a space
while :; do
  sleep 3600 &
  wait $! || true
done
