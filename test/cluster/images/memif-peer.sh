#!/bin/sh
# The other end of the pod's memif, whose socket bears the pod's name: testpmd carries frames between it and the kernel's
# networking, which has the pod's addresses (POD_IPS, as the downward API gives them) on eth0.
# usage: memif-peer FOLDER   (of the node's sockets)
set -e
ip() {
  /bin/ip "$@" # not the shell's own
}
if [ -e /sys/class/net/wire ]; then ip link delete wire; fi # of a container before this one
ip link add eth0 mtu 1280 type veth peer name wire mtu 1280
for device in wire eth0; do ip link set "$device" up; done
for address in $(echo "$POD_IPS" | tr , ' '); do
  case $address in
    *:*) ip addr add "$address/128" dev eth0 nodad; ip route add default via fe80::1 dev eth0 onlink ;;
    *) ip addr add "$address/32" dev eth0; ip route add default via 169.254.1.1 dev eth0 onlink ;;
  esac
done
until socket=$(ls "$1/$(hostname)."*.sock 2>/dev/null); do sleep 0.1; done
# Two threads on one CPU, as testpmd forwards on none but its first.
exec dpdk-testpmd --no-huge --no-pci --no-shconf --no-telemetry -m 64 --lcores=0@0,1@0 \
  -d /bin/librte_mempool_ring.so -d /bin/librte_net_memif.so -d /bin/librte_net_af_packet.so \
  "--vdev=net_memif0,role=client,id=0,socket=$socket,socket-abstract=no" --vdev=net_af_packet0,iface=wire -- \
  --total-num-mbufs=4096 --forward-mode=io --stats-period=60
