// RFC 7011: a message is a header of 16 bytes and sets, each with a header of 4. Messages go by UDP.

import { Counter, Emit, now, wallTime, worker } from "@sluice/sdk";
import { FlowRecord } from "./cache";
import { collector6, Options, source6 } from "./config";

const VERSION: u32 = 10;
const TEMPLATE_SET: u32 = 2;
const OPTIONS_TEMPLATE_SET: u32 = 3;
const FLOWS4: u32 = 256;
const FLOWS6: u32 = 257;
const SAMPLING: u32 = 258;

/** IANA's numbers of information elements, each << 16 with its length in bytes: a template's field as it is sent. */
const ADDRESSES4: StaticArray<u32> = [8 << 16 | 4, 12 << 16 | 4]; // sourceIPv4Address, destinationIPv4Address
const ADDRESSES6: StaticArray<u32> = [27 << 16 | 16, 28 << 16 | 16]; // sourceIPv6Address, destinationIPv6Address
const COMMON: StaticArray<u32> = [
  7 << 16 | 2, 11 << 16 | 2, // sourceTransportPort, destinationTransportPort
  4 << 16 | 1, 5 << 16 | 1, 6 << 16 | 1, // protocolIdentifier, ipClassOfService, tcpControlBits (reduced, section 6.2)
  10 << 16 | 4, 14 << 16 | 4, // ingressInterface, egressInterface
  2 << 16 | 8, 1 << 16 | 8, // packetDeltaCount, octetDeltaCount: of the sampled packets
  152 << 16 | 8, 153 << 16 | 8, // flowStartMilliseconds, flowEndMilliseconds
  136 << 16 | 1 // flowEndReason
];
/** Of the options template: its scope, observationDomainId, then RFC 5477's selectorAlgorithm, samplingPacketInterval and Space. */
const SAMPLER: StaticArray<u32> = [149 << 16 | 4, 304 << 16 | 2, 305 << 16 | 4, 306 << 16 | 4];
/** Systematic count-based sampling (RFC 5477, section 8.2.1). */
const COUNT_BASED: u32 = 1;

const messages = new Counter("messages", "IPFIX messages sent");
const unsent = new Counter("unsent_messages", "IPFIX messages that could not be sent");

/** Data records sent in this worker's domain; what the header calls the sequence number. */
let sequence: u32 = 0;
let templatesAt: u64 = 0;
/** Offset of the open set's length in the message. */
let setAt: u32 = 0;
let recordsInMessage: u32 = 0;

export function startMessage(options: Options): Emit {
  const message = options.isIpv6
    ? Emit.ipv6(source6.value, collector6.value)
    : Emit.ipv4(options.source4, options.collector4);
  message.udp(options.port, options.port);
  message.u16(VERSION);
  message.u16(0); // length, by sendMessage
  message.u32(<u32>(wallTime() / 1000000000));
  message.u32(sequence);
  message.u32(options.domain + worker());
  recordsInMessage = 0;
  return message;
}

export function sendMessage(message: Emit): void {
  message.setU16(2, message.payloadLength);
  // What could not be sent counts: the collector sees the gap.
  sequence += recordsInMessage;
  if (message.send()) messages.add();
  else unsent.add();
}

export function startSet(message: Emit, id: u32): void {
  message.u16(id);
  setAt = message.payloadLength;
  message.u16(0);
}
export function endSet(message: Emit): void { message.setU16(setAt, message.payloadLength - setAt + 2); }

/** Set of a flow's record, which tells its template. */
export function flowSet(isIpv6: bool): u32 { return isIpv6 ? FLOWS6 : FLOWS4; }

/** `reason`: flowEndReason, RFC 5102: 1 idle, 2 active timeout, 5 lack of resources. */
export function writeFlow(message: Emit, flow: FlowRecord, reason: u32): void {
  recordsInMessage++;
  if (flow.isIpv6) {
    message.address6(flow.source);
    message.address6(flow.destination);
  } else {
    // The key has IPv4 addresses in IPv6's last four bytes.
    message.u32(<u32>flow.source.low);
    message.u32(<u32>flow.destination.low);
  }
  message.u16(flow.sourcePort);
  message.u16(flow.destinationPort);
  message.u8(flow.protocol);
  message.u8(flow.trafficClass);
  message.u8(flow.flags);
  message.u32(flow.inPort);
  message.u32(flow.outPort);
  message.u64(flow.packets);
  message.u64(flow.bytes);
  message.u64(milliseconds(flow.first));
  message.u64(milliseconds(flow.last));
  message.u8(reason);
}

/** Sends templates and how packets are sampled, when that is due. */
export function refreshTemplates(options: Options): void {
  if (templatesAt != 0 && now() - templatesAt < options.templates) return;
  templatesAt = now();
  const message = startMessage(options);
  startSet(message, TEMPLATE_SET);
  writeTemplate(message, FLOWS4, ADDRESSES4);
  writeTemplate(message, FLOWS6, ADDRESSES6);
  endSet(message);
  startSet(message, OPTIONS_TEMPLATE_SET);
  message.u16(SAMPLING);
  message.u16(SAMPLER.length);
  message.u16(1); // fields of scope
  writeFields(message, SAMPLER);
  message.u16(0); // to a multiple of 4 bytes
  endSet(message);
  startSet(message, SAMPLING);
  message.u32(options.domain + worker());
  message.u16(COUNT_BASED);
  message.u32(1);
  message.u32(options.sampling - 1);
  endSet(message);
  recordsInMessage++;
  sendMessage(message);
}
/** Has templates sent with the next message. */
export function forgetTemplates(): void { templatesAt = 0; }

function writeTemplate(message: Emit, id: u32, addresses: StaticArray<u32>): void {
  message.u16(id);
  message.u16(addresses.length + COMMON.length);
  writeFields(message, addresses);
  writeFields(message, COMMON);
}
function writeFields(message: Emit, fields: StaticArray<u32>): void {
  for (let i = 0; i < fields.length; i++) message.u32(unchecked(fields[i]));
}

/** Unix time of a moment of `now`. */
function milliseconds(moment: u64): u64 { return (wallTime() - (now() - moment)) / 1000000; }
