import { InvalidArgumentError } from "commander";
import { type Family, familyOf, type IpPrefix, parsePrefix } from "../../config/addresses.js";

// Filters for what VXLAN carries to another node. libpcap looks at the outer packet only, so what is asked of the inner one
// is said by its offsets. Behind the outer UDP header: VXLAN (8 bytes), Ethernet (14), the inner packet.

const VXLAN_PORT = 4789;
const UDP_HEADER = 8;
const INNER = UDP_HEADER + 8 + 14;
const IPV6_HEADER = 40;
const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, icmp6: 58, sctp: 132 };
const PORT_PROTOCOLS = [PROTOCOLS.tcp, PROTOCOLS.udp, PROTOCOLS.sctp];

/** A field of the inner packet, by its offset there and its size. */
type Field = (offset: number, size: 1 | 2 | 4) => string;

/** Over IPv4 and IPv6: what says that VXLAN is there, and the way to a field behind it. */
const OUTER: readonly { readonly guard: string; readonly field: Field }[] = [
  { guard: `udp dst port ${VXLAN_PORT} and ip`, field: (offset, size) => `udp[${INNER + offset}:${size}]` },
  {
    guard: `ip6[6] = 17 and ip6[${IPV6_HEADER + 2}:2] = ${VXLAN_PORT}`,
    field: (offset, size) => `ip6[${IPV6_HEADER + INNER + offset}:${size}]`,
  },
];

/**
 * The filter, of packets as they are and of those that VXLAN carries.
 * @param filter of host, net, port and names of protocols, with src, dst, and, or, not and parentheses
 * @throws InvalidArgumentError of anything else: where it is in the inner packet is not known
 */
export function alsoCarried(filter: string): string {
  if (filter === "") return "";
  const carried = OUTER.map(({ guard, field }) => `(${guard} and (${translated(filter, field)}))`);
  return [`(${filter})`, ...carried].join(" or ");
}

const WORD = /\s*(&&|\|\||[()!]|[^\s()!&|]+)/y;
const OPERATORS: Readonly<Record<string, string>> = { "&&": "and", "||": "or", "!": "not" };
const isOperator = (word: string) => /^(and|or|not|[()])$/.test(word);

function translated(filter: string, field: Field): string {
  const words = [...filter.matchAll(new RegExp(WORD.source, "g"))].map(([, word = ""]) => OPERATORS[word] ?? word);
  const result: string[] = [];
  for (let at = 0; at < words.length; ) {
    if (isOperator(words[at] ?? "")) result.push(words[at++] ?? "");
    else {
      const end = words.findIndex((word, index) => index > at && isOperator(word));
      const primitive = words.slice(at, end < 0 ? undefined : end);
      result.push(`(${primitiveOf(primitive, field)})`);
      at += primitive.length;
    }
  }
  return result.join(" ");
}

function primitiveOf(words: readonly string[], field: Field): string {
  const left = [...words];
  const next = (allowed: RegExp) => (allowed.test(left[0] ?? "") ? left.shift() : undefined);
  const protocol = next(/^(ip|ip6|tcp|udp|icmp|icmp6|sctp)$/);
  const side = next(/^(src|dst)$/);
  const kind = next(/^(host|net|port)$/);
  const value = left.shift();
  const isWhole = left.length === 0 && (value === undefined ? side === undefined && kind === undefined : true);
  const said = value === undefined ? undefined : valueIs(kind, value, side, field);
  if (!isWhole || (protocol === undefined && said === undefined) || (value !== undefined && said === undefined)) {
    throw new InvalidArgumentError(
      `Found "${words.join(" ")}"; allowed on several nodes: [src|dst] host, net or port, and ip, ip6, tcp, udp, icmp, icmp6, sctp.`,
    );
  }
  return [protocol === undefined ? undefined : protocolOf(protocol, field), said].filter(Boolean).join(" and ");
}

const isFamily = (family: Family, field: Field) => `${field(-2, 2)} = ${family === 4 ? "0x0800" : "0x86dd"}`;

function protocolOf(name: string, field: Field): string {
  if (name === "ip") return isFamily(4, field);
  if (name === "ip6") return isFamily(6, field);
  return isOneOf([PROTOCOLS[name]], field);
}

/** Of a packet without IPv6 extension headers. */
function isOneOf(protocols: readonly (number | undefined)[], field: Field): string {
  const among = (place: string) => `(${protocols.map((protocol) => `${place} = ${protocol}`).join(" or ")})`;
  return `((${isFamily(4, field)} and ${among(field(9, 1))}) or (${isFamily(6, field)} and ${among(field(6, 1))}))`;
}

type Side = string | undefined;

/** undefined: no such value. */
function valueIs(kind: string | undefined, value: string, side: Side, field: Field): string | undefined {
  if (kind === "port") return /^\d{1,5}$/.test(value) ? portIs(Number(value), side, field) : undefined;
  const prefix = parsePrefix(kind === "net" ? value : `${value}/${familyOf(value) === 6 ? 128 : 32}`);
  return prefix === undefined ? undefined : prefixIs(prefix, side, field);
}

/** Of IPv4 without options. */
function portIs(port: number, side: Side, field: Field): string {
  const at = (start: number) => eitherSide(side, (offset) => `${field(start + offset, 2)} = ${port}`, 0, 2);
  const places = `((${isFamily(4, field)} and ${at(20)}) or (${isFamily(6, field)} and ${at(40)}))`;
  return `${isOneOf(PORT_PROTOCOLS, field)} and ${places}`;
}

function prefixIs({ family, bytes, length }: IpPrefix, side: Side, field: Field): string {
  const matches = (start: number) => {
    const parts: string[] = [];
    for (let at = 0; at * 8 < length; at += 4) {
      const bits = Math.min(32, length - at * 8);
      const mask = bits === 32 ? 0xffffffff : ~(0xffffffff >>> bits) >>> 0;
      const wanted = (Buffer.from(bytes).readUInt32BE(at) & mask) >>> 0;
      const place = field(start + at, 4);
      parts.push(`${bits === 32 ? place : `(${place} & ${mask})`} = ${wanted}`);
    }
    return parts.length === 0 ? isFamily(family, field) : `(${parts.join(" and ")})`;
  };
  const [source, destination] = family === 4 ? ([12, 16] as const) : ([8, 24] as const);
  return `${isFamily(family, field)} and ${eitherSide(side, matches, source, destination)}`;
}

function eitherSide(side: Side, matches: (offset: number) => string, source: number, destination: number): string {
  if (side === "src") return matches(source);
  if (side === "dst") return matches(destination);
  return `(${matches(source)} or ${matches(destination)})`;
}
