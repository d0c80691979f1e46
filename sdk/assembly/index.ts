export { Batch, generation, now, random, wallTime, worker } from "./burst";
export { checksum } from "./checksum";
export { Counter, dropReason } from "./counter";
export { CtDirection, CtState, DropReason, Flag, Hook, NO_PORT, Verdict } from "./generated/abi";
export { Icmp, Ipv4, Ipv6, Ipv6Address, Sctp, Srh, Tcp, Udp } from "./headers";
export { Packet } from "./packet";
export { Protocol } from "./protocol";
export { Quoted } from "./quoted";
export { definePlugin } from "./plugin";
