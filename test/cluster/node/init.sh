#!/bin/sh
# Process 1 of a node: makes the file system of its namespaces, says "ready", and lives as long as the node does.
# usage: init.sh NAME FOLDER   (FOLDER/data: an empty folder, whose content is the node's own and goes with it)
set -eu
name=$1
data=$2/data

hostname "$name"
mount -t proc proc /proc
mount -t tmpfs -o mode=0755 node "$data"

# What the node writes below these stays its own.
for top in etc opt var; do
  mkdir -p "$data/$top/upper" "$data/$top/work"
  mount -t overlay -o "lowerdir=/$top,upperdir=$data/$top/upper,workdir=$data/$top/work" "node-$top" "/$top"
done
# An overlay cannot be the upper layer of containers' overlays, and kubelet's volumes are mount points.
for own in containerd kubelet; do
  mkdir -p "$data/$own" "/var/lib/$own"
  mount --bind "$data/$own" "/var/lib/$own"
done
mount -t tmpfs -o mode=0755 node-run /run
mount -t tmpfs -o mode=1777 node-shm /dev/shm

# kubelet would set these of the whole machine; it leaves alone what already reads as it wants.
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  file=$data/sysctl/${setting%=*}
  mkdir -p "${file%/*}"
  echo "${setting#*=}" > "$file"
  mount --bind "$file" "/proc/sys/${setting%=*}"
done

# This network namespace's devices and this cgroup namespace's hierarchies.
mount -t sysfs sysfs /sys
if [ "$(cut -d: -f1 /proc/self/cgroup)" = 0 ]; then
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  # A cgroup with processes of its own cannot hand controllers down.
  mkdir /sys/fs/cgroup/init
  for pid in $(cat /sys/fs/cgroup/cgroup.procs); do echo "$pid" > /sys/fs/cgroup/init/cgroup.procs; done
  for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" > /sys/fs/cgroup/cgroup.subtree_control
  done
else
  mount -t tmpfs -o mode=0755 cgroup /sys/fs/cgroup
  while IFS=: read -r _ controllers _; do
    case $controllers in
      "") continue ;;
      name=*) options=none,$controllers folder=${controllers#name=} ;;
      *) options=$controllers folder=$controllers ;;
    esac
    mkdir "/sys/fs/cgroup/$folder"
    mount -t cgroup -o "$options" cgroup "/sys/fs/cgroup/$folder"
  done < /proc/self/cgroup
fi

# containerd and kubelet share this mount namespace; what they mount for containers has to spread into theirs.
mount --make-rshared /

echo ready
sleep infinity &
wait # also reaps what the node's processes leave behind
