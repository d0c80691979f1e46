#!/bin/sh
# Runs a command as a node's process: in the node's cgroups too, which nsenter does not join.
if [ -d /sys/fs/cgroup/init ]; then
  echo $$ > /sys/fs/cgroup/init/cgroup.procs
else
  for procs in /sys/fs/cgroup/*/cgroup.procs; do echo $$ > "$procs"; done
fi || exit
exec "$@"
