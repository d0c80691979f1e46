export { addressBytes, addressText } from "./addresses.js";
export { checksum, crc32c, onesSum, pseudoHeader } from "./checksums.js";
export { describePacket, packetDiff } from "./diff.js";
export { StageAbort } from "./instance.js";
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
  sctp,
  srh,
  type TcpFields,
  tcp,
  type UdpFields,
  udp,
} from "./packets.js";
export { isMalformed, type Malformed, type Parsed, parsePacket } from "./parse.js";
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
  type PacketResult,
  type PacketRow,
  type Row,
  type RowReport,
  type RowResult,
  runRows,
  type StageExecutor,
  type VerdictName,
} from "./rows.js";
