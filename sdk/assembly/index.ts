export { Ipv4Address } from "./address";
export { ArrayTable } from "./arraytable";
export { Batch, generation, now, random, wallTime, worker, workers } from "./burst";
export { BitmapTable } from "./bitmaptable";
export { checksum } from "./checksum";
export { refuse } from "./config";
export { Emit } from "./emit";
export { isSourceTaken, renewReply } from "./flow";
export { CtDirection, CtState, DropReason, Flag, Hook, NO_PORT, Verdict } from "./generated/abi";
export { hashText, jumpHash, mix, mixPair, mixSymmetric, reduce } from "./hash";
export { HashTable } from "./hashtable";
export {
  Arp, Authentication, Esp, Ethernet, Extension, ExtensionOption, Fragment, HeaderOption, Icmp, Icmpv6, Ipv4, Ipv6, Ipv6Address,
  Sctp, SctpChunk, Srh, Tcp, TcpOption, Udp, Vlan, Vxlan
} from "./headers";
export { Interval } from "./interval";
export { IpAddress, Json, Prefix } from "./json";
export { FlowKey, readDestination, readSource } from "./keys";
export { LpmTable } from "./lpm";
export { LruTable } from "./lru";
export { maglevChoices, maglevSize, MaglevTable } from "./maglev";
export { Counter, dropReason, Gauge, Histogram } from "./metrics";
export { Packet } from "./packet";
export { Payload } from "./payload";
export { definePlugin } from "./plugin";
export { PortRange, readPorts } from "./ports";
export { Protocol } from "./protocol";
export { Quoted } from "./quoted";
export { RangeTable } from "./rangetable";
export { emitReset, emitUnreachable, Unreachable } from "./reject";
export { Scratch } from "./scratch";
export { Settings } from "./settings";
export { CountMinSketch } from "./sketch";
export { TokenBuckets, workerShare } from "./tokenbuckets";
export { TraceValue } from "./trace";
