#!/bin/sh
# Moves itself into the cgroups given, and runs the command after "--" there.
while [ "$1" != -- ]; do
  echo $$ > "$1/cgroup.procs" || exit
  shift
done
shift
exec "$@"
