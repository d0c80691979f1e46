import { Batch, Counter, definePlugin, dropReason, Histogram, Packet, Protocol, TraceValue } from "@sluice/sdk";
import { deniedTypes, options, Options } from "./config";
import { isNameDenied, questionType, readQuestion } from "./question";
export { build } from "./config";

definePlugin({ name: "dns-guard", version: "1.0.0", headerBytes: 128, segmentBytes: 4194304 });

const oversized = dropReason("dns-oversized", "A DNS query larger than allowed, or in fragments");
const malformed = dropReason("dns-malformed", "No standard DNS query with one question");
const nameDenied = dropReason("dns-name-denied", "A DNS query for a denied name");
const typeDenied = dropReason("dns-type-denied", "A DNS query of a denied type");
const overTcp = dropReason("dns-over-tcp", "DNS over TCP, where the configuration denies it");
const hidden = dropReason("udp-hidden", "UDP behind more IPv6 extension headers than the stage sees");

const queries = new Counter("queries", "DNS queries over UDP, with those that were dropped");
const refused = new Counter("refused_queries", "Denied queries that were answered with REFUSED");
const sizes = new Histogram("query_bytes", "DNS queries by length of message", [32, 64, 128, 256, 512]);
const traced = new TraceValue("query_type", "Type of the query");

@hook("forward")
export function guard(batch: Batch): void {
  if (!options.isSet) return;
  const it = options.value;
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    if (packet.isUdp) {
      if (packet.destinationPort == it.port) judge(packet, it);
    } else if (packet.isTcp) {
      if (it.denyTcp && packet.destinationPort == it.port) packet.drop(overTcp);
    } else if (packet.protocol == Protocol.Udp && !packet.isFragment) {
      // Later fragments are nothing without the first, which has the ports.
      packet.drop(hidden);
    }
  }
}

function judge(packet: Packet, it: Options): void {
  const length = packet.udp.length - 8;
  queries.add();
  sizes.observe(length);
  if (length > it.maxBytes || packet.isFragment) return packet.drop(oversized);
  const message = packet.readPayload(0, length);
  if (!readQuestion(message)) return packet.drop(malformed);
  const type = questionType(message);
  traced.note(packet, type);
  if (deniedTypes.has(type)) deny(packet, it, typeDenied, message.u16(2));
  else if (isNameDenied(message)) deny(packet, it, nameDenied, message.u16(2));
}

/** `flags`: the query's, to which the answer's QR bit and the code REFUSED are added (RFC 1035, section 4.1.1). */
function deny(packet: Packet, it: Options, reason: i32, flags: u32): void {
  if (it.refuse && packet.reply() && packet.patch16(packet.payloadOffset + 2, flags | 0x8005)) refused.add();
  else packet.drop(reason);
}
