// Link headers: around packets in captures, within VXLAN.
//   packet(ethernet(), vlan({ id: 7 }), ipv4({ ... }), udp({ ... }))

import { addressBytes } from "./addresses.js";
import { assemble, isLayer, type Layer, type Part } from "./packets.js";

/** The number of what follows; the experimental one of IEEE 802 where it has none. */
const etherTypeOf = (part: Part | undefined): number => (isLayer(part) && part.etherType) || 0x88b5;

/** 6 bytes of an address such as "02:00:00:00:00:01". Throws RangeError. */
export function macBytes(text: string): Uint8Array {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) throw new RangeError(`'${text}' is no MAC address`);
  return Buffer.from(text.replaceAll(":", ""), "hex");
}

/** IEEE 802.3. */
export interface EthernetFields {
  /** Default "02:00:00:00:00:01". */
  source?: string;
  /** Default "02:00:00:00:00:02". */
  destination?: string;
  /** Instead of that of what follows. */
  etherType?: number;
}
/** An Ethernet header, without a frame check sequence. */
export function ethernet(fields: EthernetFields = {}): Layer {
  return {
    protocol: 143,
    build(rest) {
      const { source = "02:00:00:00:00:01", destination = "02:00:00:00:00:02" } = fields;
      const type = Buffer.alloc(2);
      type.writeUInt16BE(fields.etherType ?? etherTypeOf(rest[0]));
      return Buffer.concat([macBytes(destination), macBytes(source), type, assemble(rest, undefined)]);
    },
  };
}

/** IEEE 802.1Q. */
export interface VlanFields {
  id: number;
  /** 0 to 7. */
  priority?: number;
  dropEligible?: boolean;
  /** The outer one of two tags (802.1ad). */
  isService?: boolean;
  /** Instead of that of what follows. */
  etherType?: number;
}
/** A VLAN tag, behind an Ethernet header or another tag. */
export function vlan(fields: VlanFields): Layer {
  return {
    protocol: 143,
    etherType: fields.isService ? 0x88a8 : 0x8100,
    build(rest) {
      const tag = Buffer.alloc(4);
      tag.writeUInt16BE(((fields.priority ?? 0) << 13) | (fields.dropEligible ? 0x1000 : 0) | fields.id, 0);
      tag.writeUInt16BE(fields.etherType ?? etherTypeOf(rest[0]), 2);
      return Buffer.concat([tag, assemble(rest, undefined)]);
    },
  };
}

/** RFC 826, of Ethernet and IPv4. */
export interface ArpFields {
  operation: "request" | "reply" | number;
  senderMac: string;
  senderAddress: string;
  /** Default zeroes. */
  targetMac?: string;
  targetAddress: string;
}
/** An ARP message, behind an Ethernet header. */
export function arp(fields: ArpFields): Layer {
  return {
    protocol: 143,
    etherType: 0x0806,
    build(rest) {
      const { operation, targetMac = "00:00:00:00:00:00" } = fields;
      const fixed = Buffer.from("0001080006040000", "hex");
      fixed.writeUInt16BE(operation === "request" ? 1 : operation === "reply" ? 2 : operation, 6);
      const sender = [macBytes(fields.senderMac), addressBytes(fields.senderAddress)];
      const target = [macBytes(targetMac), addressBytes(fields.targetAddress)];
      return Buffer.concat([fixed, ...sender, ...target, assemble(rest, undefined)]);
    },
  };
}

/** RFC 7348, section 5; behind UDP to port 4789, before an Ethernet header. */
export function vxlan(fields: { vni: number; flags?: number }): Layer {
  return {
    protocol: 17,
    build(rest) {
      const header = Buffer.alloc(8);
      header[0] = fields.flags ?? 0x08;
      header.writeUIntBE(fields.vni, 4, 3);
      return Buffer.concat([header, assemble(rest, undefined)]);
    },
  };
}
