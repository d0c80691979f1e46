import { describeFrame, describePacket } from "@sluice/sdk/testing";

/** A packet as its pods see it: without what carries it to another node. */
export interface InnerPacket {
  readonly source: string;
  readonly destination: string;
  /** Upper case; of others their number. */
  readonly protocol: string;
  /** Of TCP, UDP and SCTP. */
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** Of TCP the flags' letters, of ICMP type and code; else empty. */
  readonly detail: string;
  /** It is carried inside another packet. */
  readonly isCarried: boolean;
  /** Its TTL or hop limit: each node takes one. */
  readonly hopsLeft: number;
  /** The same for the same packet wherever it is met, unless it is rewritten between: addresses, ports, numbers. */
  readonly identity: string;
}

type Fields = Readonly<Record<string, string>>;

/** Of bytes (hex) from the L3 header on; undefined: no IP packet. */
export const innerPacket = (packet: string): InnerPacket | undefined => innermost(describePacket(packet));
/** Of an Ethernet frame. */
export const innerPacketOfFrame = (frame: Uint8Array): InnerPacket | undefined => innermost(describeFrame(frame));

/** What carries a packet (VXLAN, SRv6, IP in IP) has its fields below "inner.". */
function innermost(fields: Fields): InnerPacket | undefined {
  let prefix = "";
  while (familyOf(fields, `${prefix}inner.`) !== undefined) prefix += "inner.";
  const family = familyOf(fields, prefix);
  return family === undefined ? undefined : packetOf((name) => fields[prefix + name], family, prefix !== "");
}

const familyOf = (fields: Fields, prefix: string) =>
  (["ipv4", "ipv6"] as const).find((family) => fields[`${prefix}${family}.source`] !== undefined);

type Field = (name: string) => string | undefined;

function packetOf(field: Field, family: "ipv4" | "ipv6", isCarried: boolean): InnerPacket {
  const ports = ["tcp", "udp", "sctp"].find((each) => field(`${each}.sourcePort`) !== undefined);
  const icmp = ["icmp", "icmpv6"].find((each) => field(`${each}.type`) !== undefined);
  const number = field(family === "ipv4" ? "ipv4.protocol" : "ipv6.nextHeader") ?? "?";
  const protocol = ports ?? icmp ?? number;
  const source = field(`${family}.source`) ?? "";
  const destination = field(`${family}.destination`) ?? "";
  return {
    source,
    destination,
    protocol: protocol.toUpperCase(),
    ...(ports === undefined
      ? {}
      : {
          sourcePort: Number(field(`${ports}.sourcePort`)),
          destinationPort: Number(field(`${ports}.destinationPort`)),
        }),
    detail: detailOf(field, icmp),
    isCarried,
    hopsLeft: Number(field(family === "ipv4" ? "ipv4.ttl" : "ipv6.hopLimit") ?? 0),
    identity: [source, destination, protocol, ...IDENTIFYING.map((name) => field(name) ?? "")].join(" "),
  };
}

/** What no hop changes, and what tells a packet from the others of its flow. */
const IDENTIFYING = [
  "ipv4.identification",
  "ipv4.fragmentOffset",
  "ipv6.flowLabel",
  "fragment.identification",
  "fragment.offset",
  "tcp.sourcePort",
  "tcp.destinationPort",
  "tcp.sequence",
  "tcp.acknowledgment",
  "tcp.flags",
  "udp.sourcePort",
  "udp.destinationPort",
  "udp.length",
  "sctp.sourcePort",
  "sctp.destinationPort",
  "sctp.verificationTag",
  "icmp.type",
  "icmp.identifier",
  "icmp.sequence",
  "icmpv6.type",
  "icmpv6.identifier",
  "icmpv6.sequence",
] as const;

function detailOf(field: Field, icmp: string | undefined): string {
  if (icmp !== undefined) return `type ${field(`${icmp}.type`)} code ${field(`${icmp}.code`)}`;
  return field("tcp.flags") ?? "";
}
