import {
  Batch, BitmapTable, Counter, definePlugin, dropReason, Gauge, Ipv6Address, LruTable, now, Packet, PortRange, readSource,
  refuse, Settings, ArrayTable
} from "@sluice/sdk";

definePlugin({ name: "port-knocking", version: "1.0.0", headerBytes: 64 });

@config
class Config {
  /** Ports of TCP and UDP that are closed until a source has knocked. */
  @minItems(1)
  protect: PortRange[];
  /** Ports to knock at, in this order: by TCP SYN or UDP. */
  @minItems(2) @maxItems(16)
  sequence: u16[];
  /** Seconds from the first knock to the last. */
  @minimum(1) @maximum(3600)
  within: u32 = 10;
  /** Seconds that the ports are open after the last knock; connections made in that time go on. */
  @minimum(1) @maximum(86400)
  open: u32 = 30;
}

@unmanaged
class Times {
  /** Nanoseconds. */
  within: u64;
  open: u64;
}

/** What is known of a source. Times are those of `now`. */
@unmanaged
class Knocker {
  /** Of the first knock. */
  began: u64;
  /** Its connections are let in until then. */
  openUntil: u64;
  /** Knocks of the sequence so far. */
  step: u64;
}

const times = new Settings<Times>("times");
const sequence = new ArrayTable<u32>("sequence");
const knocks = new BitmapTable("knocks");
const guarded = new BitmapTable("guarded");
const knockers = new LruTable<Ipv6Address, Knocker>(16384);
const source = new Ipv6Address();

const closed = dropReason("port-closed", "A new connection to a protected port, of a source that has not knocked");
const knock = dropReason("knock", "A knock: nobody answers it");
const opened = new Counter("opened", "Sequences that were complete");
const wrong = new Counter("wrong_knocks", "Knocks out of order or too late");
const known = new Gauge("knockers", "Sources that have knocked, by worker; 16384 at most");

@configure
export function build(config: Config): void {
  const made = times.make();
  if (made == null) return;
  made.within = <u64>config.within * 1_000_000_000;
  made.open = <u64>config.open * 1_000_000_000;
  for (let i = 0; i < config.protect.length; i++) guarded.addRange(config.protect[i].first, config.protect[i].last);
  for (let i = 0; i < config.sequence.length; i++) {
    const port: u32 = config.sequence[i];
    if (port == 0) refuse(config, "sequence", "has port 0");
    for (let j = 0; j < config.protect.length; j++) {
      const range = config.protect[j];
      if (port >= range.first && port <= range.last) refuse(config, "sequence", "has a protected port");
    }
    sequence.push(port);
    knocks.add(port);
  }
}

@hook("prerouting")
export function guard(batch: Batch): void {
  if (!times.isSet) return;
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    // Connections that were let in, and answers, go on.
    if (!packet.isTcp && !packet.isUdp || packet.isEstablished || packet.isReply) continue;
    const port = packet.destinationPort;
    if (guarded.has(port)) {
      if (!isOpen(packet)) packet.drop(closed);
    } else if (knocks.has(port) && (packet.isUdp || packet.tcp.syn && !packet.tcp.hasAck)) {
      hear(packet, port);
      packet.drop(knock);
    }
  }
  known.set(knockers.size);
}

function isOpen(packet: Packet): bool {
  if (!readSource(packet, source)) return false;
  const it = knockers.find(source);
  return it != null && it.openUntil > now();
}

function hear(packet: Packet, port: u32): void {
  if (!readSource(packet, source)) return;
  // Who knocks wrong is not remembered: only the first knock makes an entry.
  if (port != sequence.get(0) && !knockers.has(source)) return wrong.add();
  const it = knockers.add(source);
  const isLate = it.step > 0 && now() - it.began > times.value.within;
  if (isLate || port != sequence.get(<u32>it.step)) {
    if (it.step > 0) wrong.add();
    it.step = 0;
    // A wrong knock may be the first of another try.
    if (port != sequence.get(0)) return;
  }
  if (it.step == 0) it.began = now();
  if (++it.step < sequence.length) return;
  it.step = 0;
  it.openUntil = now() + times.value.open;
  opened.add();
}
