import {
  Batch, Counter, definePlugin, dropReason, Gauge, Ipv6Address, LruTable, now, Packet, readSource, TokenBuckets, workerShare
} from "@sluice/sdk";
import { options, Options, servers } from "./config";
import { cookieFor, hasCookie } from "./cookie";
export { build } from "./config";

definePlugin({ name: "syn-guard", version: "1.0.0", headerBytes: 128 });

const SYN: u32 = 2;
const RST: u32 = 4;
const ACK: u32 = 16;

const proof = dropReason("syn-proof", "A reset that proved its source: the guard asked for it");
const tooMany = dropReason("syn-rate", "More new connections than a source may open");
const noAnswer = dropReason("syn-unanswerable", "A SYN that cannot be answered: in fragments, or on a source route");

const challenged = new Counter("challenged_syns", "SYNs answered with a cookie");
const proofs = new Counter("proofs", "Resets that proved their source");
const passed = new Counter("passed_syns", "SYNs of proven sources, and those under the threshold");
const trusted = new Gauge("trusted_sources", "Sources that proved themselves, by worker; 32768 at most");

/** When each proven source proved itself, as `now()` has it. Who proves nothing gets no room here. */
const proven = new LruTable<Ipv6Address, u64>(32768);
const connections = new TokenBuckets<Ipv6Address>(32768);
/** One bucket, for all that are not proven. */
const unasked = new TokenBuckets<u32>(1);
const source = new Ipv6Address();

@hook("forward")
export function guard(batch: Batch): void {
  if (!options.isSet) return;
  const it = options.value;
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    if (!packet.isTcp || !isProtected(packet)) continue;
    const flags = packet.tcp.flags & (SYN | RST | ACK);
    if (flags == SYN) judge(packet, it);
    else if (flags == RST && hasCookie(packet)) trust(packet);
  }
  trusted.set(proven.size);
}

function isProtected(packet: Packet): bool {
  return (packet.isIpv4 ? servers.lookup4(packet.ipv4.destination) : servers.lookup6(packet.ipv6.destination)) != 0;
}

function judge(syn: Packet, it: Options): void {
  readSource(syn, source);
  if (isTrusted(it)) {
    const most = workerShare(it.perSource);
    if (connections.take(source, 1, most, most)) passed.add();
    else syn.drop(tooMany);
    return;
  }
  const most = workerShare(it.threshold);
  if (unasked.take(0, 1, most, most)) passed.add();
  else if (challenge(syn)) challenged.add();
  else syn.drop(noAnswer);
}

function isTrusted(it: Options): bool {
  const since = proven.get(source, 0);
  return since != 0 && now() - since < it.trust;
}

/** Makes the SYN the answer SYN+ACK that acknowledges a cookie. It is as long as the SYN: it amplifies nothing. */
function challenge(syn: Packet): bool {
  const cookie = cookieFor(syn);
  return syn.reply() && syn.setTcpFlags(SYN | ACK) && syn.setTcpSequence(0) && syn.setTcpAcknowledgment(cookie);
}

function trust(reset: Packet): void {
  readSource(reset, source);
  proven.set(source, now());
  proofs.add();
  reset.drop(proof);
}
