import { FlowKey, now, Packet, random } from "@sluice/sdk";
import { sipEnd, sipStart, sipWord } from "./siphash";

/** How long a cookie holds: this period, which is 17 seconds, and the one after. */
const PERIOD_BITS: u64 = 34;
/** The bit that tells two forms of a cookie apart. */
const FORM: u32 = 0x80000000;
/** Larger than what a client can have sent with its SYN (RFC 7413). */
const MOST_WITH_SYN: u32 = 65536;

// The worker's own, made when it is needed first. A flow's packets all reach the worker that sent the cookie.
let key0: u64 = 0;
let key1: u64 = 0;
const flow = new FlowKey();

/**
 * What the answer to this SYN acknowledges: a number that only who gets the answer can know, and that acknowledges nothing the
 * client has sent (RFC 9293, section 3.10.7.3: it then sends a reset with this number).
 */
export function cookieFor(syn: Packet): u32 {
  const cookie = cookie31(syn, now() >>> PERIOD_BITS);
  return isSent(cookie, syn.tcp.sequence) ? cookie ^ FORM : cookie;
}

/** True when this reset has the number that a SYN of its flow was answered with, now or a period ago. */
export function hasCookie(reset: Packet): bool {
  const period = now() >>> PERIOD_BITS;
  const found = reset.tcp.sequence & ~FORM;
  return found == cookie31(reset, period) || found == cookie31(reset, period - 1);
}

// @ts-ignore: decorator
@inline function isSent(acknowledgment: u32, first: u32): bool { return acknowledgment - first <= MOST_WITH_SYN; }

function cookie31(packet: Packet, period: u64): u32 {
  if (key0 == 0) chooseKey();
  flow.read(packet);
  sipStart(key0, key1);
  sipWord(flow.source.high);
  sipWord(flow.source.low);
  sipWord(flow.destination.high);
  sipWord(flow.destination.low);
  sipWord(<u64>flow.sourcePort << 48 | <u64>flow.destinationPort << 32 | (period & 0xffffffff));
  return <u32>sipEnd(40) & ~FORM;
}

/** Both halves of the host's number for this burst, spread to 128 bits. */
function chooseKey(): void {
  sipStart(random(), 0x5359_4e20_6775_6172);
  sipWord(now());
  key0 = sipEnd(8) | 1;
  sipWord(random());
  key1 = sipEnd(16);
}
