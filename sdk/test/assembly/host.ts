// One request of the host for each packet, chosen by its mark; the mark then says what came of it.
import { Batch, Counter, Gauge, Histogram, isSourceTaken, Packet, TraceValue, definePlugin, worker, workers } from "@sluice/sdk";

definePlugin({ name: "host", version: "1.0.0", headerBytes: 64, failure: "FailOpen" });

const before = new Gauge("level", "Goes up and down");
const packets = new Counter("packets", "Packets seen");
const sizes = new Histogram("sizes", "Packets by length", [30, 40, 1000]);
const other = new Histogram("marks", "Packets by mark", [0, 4294967296]);
const gap = new Counter("declared_last");
const rule = new TraceValue("rule", "What matched");
const depth = new TraceValue("depth");

function ask(packet: Packet, what: u32): u32 {
  switch (what) {
    case 1: return sum(packet, 0, 4);
    case 2: return sum(packet, 100, 65536);
    case 3: return packet.readPayload(0, 65537).length;
    case 4: return packet.readPayload(1000, 4).length;
    case 5: return packet.readBytes(9, 1).u8(0);
    case 6: return packet.readPayload(0, 4).u16(3);
    case 7: {
      const first = packet.readPayload(0, 4);
      packet.readPayload(0, 4);
      return first.u8(0);
    }
    case 8: return packet.readPayload(0, 200).find("needle");
    case 9: return packet.readPayload(0, 200).findIgnoringCase("NEEDLE", 1);
    case 10: return packet.readPayload(0, 200).decimal(0);
    case 11: packet.patch8(packet.payloadOffset, 0x21); return packet.readPayload(0, 1).u8(0);
    case 12: return <u32>packet.pop(20) + packet.readPayload(0, 4).length;
    case 20: return <u32>packet.mirror(3) << 1 | <u32>packet.mirror(3, 24);
    case 21: return <u32>packet.mirror(3, 24) << 1 | <u32>packet.mirror(4, 9999);
    case 22: return <u32>packet.mirror(99);
    case 23: packet.setHopLimit(1); return <u32>packet.mirror(0, 24);
    case 24: packet.mirror(0); return packet.u8At(packet.viewLength);
    case 30: rule.note(packet, -5); depth.note(packet, 1); depth.note(packet, 9007199254740991); return 0;
    case 31: rule.note(packet, 7); return packet.u8At(packet.viewLength);
    case 32: rule.note(changetype<Packet>(changetype<usize>(packet) + 576), 7); return 0;
    case 40: return <u32>packet.reply();
    case 41: packet.patch16(packet.payloadOffset, 0xffff); return <u32>packet.reply();
    case 42: return <u32>isSourceTaken(packet, 0, 0xc0000201, 40000) << 1 | <u32>isSourceTaken(packet, 0, 0xc0000201, 40001);
    case 43: return <u32>isSourceTaken(packet, 0xfd000000 << 32, 7, 40000);
    case 44: return <u32>isSourceTaken(packet, 0, 0, 65536);
    case 50: return worker() << 16 | workers();
    case 51: before.set(-3); return 0;
    case 52: before.add(-4); return <u32>before.current;
    default: return 0;
  }
}

function sum(packet: Packet, offset: u32, length: u32): u32 {
  const payload = packet.readPayload(offset, length);
  let sum: u32 = 0;
  for (let i: u32 = 0, n = payload.length; i < n; i++) sum += payload.u8(i);
  return payload.length << 16 | sum & 0xffff;
}

@hook("forward")
function forward(batch: Batch): void {
  gap.add(2);
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    packets.add();
    sizes.observe(packet.length);
    other.observe(packet.mark);
    packet.mark = ask(packet, packet.mark);
  }
}
