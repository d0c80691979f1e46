import { Batch, Counter, definePlugin, Settings, TraceValue } from "@sluice/sdk";

// 40 bytes of IPv6, 60 of TCP with all its options, and some extension headers or IPv4 options.
definePlugin({ name: "mss-clamp", headerBytes: 160, failure: "FailOpen" });

@config
class Path {
  /** Largest packet, in bytes from the L3 header, that the narrowest link on the way carries. IPv6 asks for 1280 at least. */
  @minimum(1280)
  mtu: u16 = 1400;
}

/** IP header and TCP header without options (RFC 6691). */
const HEADERS4: u32 = 40;
const HEADERS6: u32 = 60;

const path = new Settings<Path>();
const clamped = new Counter("clamped_connections", "SYN and SYN+ACK segments whose MSS was lowered");
const asked = new TraceValue("mss", "The MSS that the sender asked for");

@hook("forward")
export function clamp(batch: Batch): void {
  if (!path.isSet) return;
  const mtu: u32 = path.value.mtu;
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    if (!packet.isTcp || !packet.tcp.syn) continue;
    const most = mtu - (packet.isIpv4 ? HEADERS4 : HEADERS6);
    const mss = packet.tcpMss;
    asked.note(packet, mss);
    // A host that names none is sent 536 bytes, over IPv6 1220 (RFC 9293, section 3.7.1): they fit.
    if (mss > most && packet.setTcpMss(most)) clamped.add();
  }
}
