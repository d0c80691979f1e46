// One access for each packet, chosen by its mark.
import { Batch, Counter, dropReason, Flag, Ipv6, Packet, Scratch, definePlugin, now, random, wallTime } from "@sluice/sdk";

definePlugin({ name: "access", version: "1.0.0", headerBytes: 64, failure: "FailOpen" });

const calls = new Counter("calls", "Calls of process");
const packets = new Counter("packets");
const scratch = new Scratch(10);
const tooOld = dropReason("too-old", "Seen too late");

@unmanaged
@flowState(3)
class Seen { packets: u32; first: u64; }

function access(batch: Batch, packet: Packet, what: u32): u32 {
  switch (what) {
    case 1: return packet.u8At(packet.viewLength);
    case 2: return packet.u16At(packet.viewLength - 1);
    case 3: return packet.u32At(0xfffffffe);
    case 4: packet.setU8At(packet.viewLength, 1); return 0;
    case 5: return packet.view<Ipv6>(packet.viewLength - 39).nextHeader;
    case 6: return packet.tcp.sourcePort;
    case 7: return packet.ipv6.hopLimit;
    case 8: return <u32>batch.at(batch.length).length;
    case 9: return packet.quoted.sourcePort;
    case 10: return <u32>packet.srhAt(40).segment(packet.srhAt(40).segmentsLeft + 1).low;
    case 11: return packet.srhAt(40).segmentsLeft;
    case 13: return scratch.get<u32>(7);
    case 14: scratch.set<u64>(0xfffffff9, 1); return 0;
    case 12: throw new Error("thrown on purpose");
    case 15: scratch.set<u16>(8, <u16>(scratch.get<u16>(8) + 3)); return scratch.get<u16>(8);
    case 20: return packet.u8At(packet.viewLength - 1);
    case 21: return <u32>packet.srhAt(packet.srhOffset).segment(packet.srhAt(packet.srhOffset).segmentsLeft).low;
    case 22: return packet.viewLength << 16 | <u32>packet.hasFlag(Flag.TRUNCATED_VIEW);
    case 23: return packet.l4Offset << 16 | packet.payloadOffset;
    case 24: return packet.ctState << 16 | <u32>packet.isReply << 8 | <u32>packet.isFlowStateNew;
    case 25: packet.drop(tooOld); return 1;
    case 26: packet.drop(0); return 1;
    case 27: packet.redirect4(3, 0x0a000001); return 1;
    case 28: packet.redirect(99); return 1;
    case 29: packet.reinput(7); return 1;
    case 30: packet.redirect6(3, packet.ipv6.source); return 1;
    case 31: packet.updateFlow<Seen>().packets++; return packet.flow<Seen>().packets;
    case 32: return packet.flow<Seen>().packets;
    case 33: return <u32>(now() / 1000000 - wallTime() / 1000000 + 1700000000000);
    case 34: return <u32>(random() != 0);
    case 35: packet.drop(4000); return 1;
    case 36: packet.drop(tooOld + 1); return 1;
    default: return 0;
  }
}

@hook("forward")
function forward(batch: Batch): void {
  calls.add();
  packets.add(batch.length);
  for (let i = 0, n = batch.length; i < n; i++) batch.at(i).mark = access(batch, batch.at(i), batch.at(i).mark);
}
