// One message for each packet, chosen by its mark; the mark then says whether it was sent.
import {
  Batch, Emit, Ipv6Address, Packet, Scratch, Unreachable, definePlugin, emitReset, emitUnreachable
} from "@sluice/sdk";

definePlugin({ name: "emit", version: "1.0.0", headerBytes: 320, failure: "FailOpen" });

const FROM: u32 = 0x0a000009;
const TO: u32 = 0x0a000001;
const from6 = new Ipv6Address(); // 2001:db8::9
from6.high = 0x20010db800000000;
from6.low = 9;
const scratch = new Scratch(2000);
for (let i: u32 = 0; i < 2000; i++) scratch.set<u8>(i, <u8>(i * 7));

let kept = changetype<Emit>(0);

function begin(packet: Packet): Emit {
  return packet.isIpv4 ? Emit.ipv4(FROM, TO) : Emit.ipv6(from6, packet.ipv6.source, 3, 46);
}

function numbers(message: Emit): bool {
  message.u16(10);
  message.u16(0);
  message.u8(255);
  message.u32(0xdeadbeef);
  message.u64(0x0102030405060708);
  message.address6(from6);
  message.text("naïve");
  message.zeroes(3);
  message.setU16(2, message.payloadLength);
  message.setU32(5, 0xfeedface);
  return message.send(7);
}

function send(packet: Packet, what: u32): bool {
  if (what == 20) {
    kept.u8(1);
    return kept.send();
  }
  const message = begin(packet);
  switch (what) {
    case 1: message.udp(4739, 9995); return numbers(message);
    case 2: message.tcp(80, 1024, 0x11223344, 0x55667788, 18, 65535); return numbers(message);
    case 3:
      message.tcp(80, 1024, 1, 2, 18, 65535);
      message.mssOption(1460);
      message.u8(1);
      message.endOptions();
      message.text("after");
      return message.send();
    case 4: message.icmp(8, 0, 0x00070009); return numbers(message);
    case 5: message.protocol(89); return numbers(message);
    case 6: message.udp(1, 2); message.bytes(packet.bytes(0, 20), 20); return message.send();
    case 7: return emitReset(packet);
    case 8: return emitUnreachable(packet, Unreachable.Prohibited);
    case 9: return emitUnreachable(packet, Unreachable.Port);
    case 10: { // the longest one, and one byte more
      message.udp(1, 2);
      message.zeroes(65535 - message.length);
      return message.send();
    }
    case 11: message.udp(1, 2); message.zeroes(65535 - message.length + 1); return false;
    case 12: message.u8(1); return false; // no L4 header
    case 13: message.udp(1, 2); message.udp(1, 2); return false;
    case 14: message.udp(1, 2); begin(packet).udp(1, 2); message.u8(1); return false; // another was started
    case 15: message.udp(1, 2); message.send(); message.u8(1); return false; // sent
    case 16: message.udp(1, 2); message.u8(0); message.setU16(0, 1); return false;
    case 17: message.tcp(1, 2, 3, 4, 5, 6); message.zeroes(41); message.endOptions(); return false;
    case 18: return message.send();
    case 19: message.udp(1, 2); kept = message; return true;
    case 21: {
      let sent = true;
      for (let i = 0; i < 65; i++) {
        const one = begin(packet);
        one.udp(1, i);
        sent = one.send();
      }
      return sent;
    }
    case 22: { const lost = Emit.ipv4(0x7f000001, TO); lost.udp(1, 2); return lost.send(); }
    case 23: message.udp(1, 2); message.send(); return packet.u8At(packet.viewLength) == 0;
    default: { // a payload whose length is in the mark
      message.udp(what, 2);
      message.bytes(changetype<usize>(scratch) + 8, what - 100);
      return message.send();
    }
  }
}

@hook("forward")
function forward(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    packet.mark = send(packet, packet.mark) ? 1 : 0;
  }
}
