/// <reference types="node" preserve="true" />

export { type RunPcapOptions, type RunPcapSummary, runPcap } from "../offline/run-pcap.js";
export { addressBytes, addressText } from "./addresses.js";
export { checksum, crc32c, onesSum, pseudoHeader } from "./checksums.js";
export { describeFrame, describePacket } from "./describe.js";
export { type FieldDifference, fieldDifferences, hexRegion, packetDiff } from "./diff.js";
export { DisagreementError, type ExecutorName, executorName, requireAgreement, stageExecutor } from "./executor.js";
export {
  type ArpFields,
  arp,
  type EthernetFields,
  ethernet,
  macBytes,
  type VlanFields,
  vlan,
  vxlan,
} from "./frames.js";
export { StageAbort } from "./instance.js";
export type { PluginSource } from "./load.js";
export type { HistogramValue, Metrics } from "./metrics.js";
export { NativeMissingError, NativeStage, stopNative } from "./native-stage.js";
export { NodeStage } from "./node-stage.js";
export {
  type ChecksumMode,
  fragment,
  type IcmpFields,
  type Ipv4Fields,
  type Ipv6Fields,
  icmp,
  icmpv6,
  ipv4,
  ipv6,
  type Layer,
  options,
  type Part,
  type PortFields,
  packet,
  packetHex,
  type SctpFields,
  sctp,
  sctpChunk,
  srh,
  type TcpFields,
  tcp,
  type UdpFields,
  udp,
} from "./packets.js";
export { isMalformed, type Malformed, type Parsed, parsePacket } from "./parse.js";
export { type DnsFields, dnsQuery, type FragmentOptions, filler, fragmentsOf, hex, quoted } from "./payloads.js";
export { PcapWriter, type PcapWriterOptions, packetsOf, readPcap, type WritablePacket, writePcap } from "./pcap.js";
export { type LinkType, PcapError, type PcapPacket } from "./pcap-format.js";
export {
  type CapturedFrame,
  type CaptureInterface,
  interfaceBlock,
  LINK_ETHERNET,
  LINK_RAW,
  packetBlock,
  sectionBlock,
} from "./pcapng.js";
export {
  ConfigureError,
  type CtStateName,
  compareRow,
  type Expectation,
  type MirroredPacket,
  type PacketResult,
  type PacketRow,
  type Row,
  type RowReport,
  type RowResult,
  runRows,
  type SourceEnd,
  type StageExecutor,
  type VerdictName,
} from "./rows.js";
export type { Packet, SendOptions, SendResult } from "./send.js";
export { loadPlugin, Stage, type StageOptions } from "./stage.js";
export type { TcpOptions } from "./tcp-options.js";
export { StageTimeout } from "./time-limit.js";
export { verifyStages } from "./verify.js";
