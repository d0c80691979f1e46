// Addresses of a cluster: both families everywhere. Nodes have numbers from 1.

export const WIRE_PREFIX = { v4: 24, v6: 64 };
export const nodeAddress = (node: number) => ({ v4: `172.31.0.${node}`, v6: `fd31::${node}` });
export const CONTROL = { v4: "172.31.0.100", v6: "fd31::100" };
/** The nodes' default gateway, and a host beyond it. */
export const GATEWAY = { v4: "172.31.0.254", v6: "fd31::fe" };
export const OUTSIDE = { v4: "203.0.113.1", v6: "2001:db8:113::1" };

export const POD_CIDRS = { v4: "10.244.0.0/16", v6: "fd00:10:244::/104" };
export const SERVICE_CIDRS = { v4: "10.96.0.0/16", v6: "fd00:10:96::/112" };
/** The first of the services', which the API server takes for itself. */
export const API_SERVICE = "10.96.0.1";
export const DNS_SERVICE = { v4: "10.96.0.10", v6: "fd00:10:96::a" };

export const API_PORT = 6443;
export const KUBERNETES_ETCD = "http://127.0.0.1:2379";
export const SLUICE_ETCD_PORT = 12379;
/** As the agents reach it. */
export const SLUICE_ETCD = `http://${CONTROL.v4}:${SLUICE_ETCD_PORT}`;
