// What a collector makes of a message (RFC 7011): by the templates it was sent, not by what the exporter is known to send.

import { isMalformed, parsePacket } from "@sluice/sdk/testing";

/** A field's value by its information element's number. */
export type Fields = Record<number, bigint>;
export interface Message {
  exportTime: number;
  sequence: number;
  domain: number;
  /** Templates' numbers, in order. */
  templates: number[];
  records: { set: number; fields: Fields }[];
}

/** Templates outlive messages. */
export class Collector {
  private readonly templates = new Map<number, { element: number; length: number }[]>();

  /** Throws RangeError where the message is not as the RFC has it. */
  read(packet: Uint8Array): Message {
    const parsed = parsePacket(packet);
    if (isMalformed(parsed)) throw new RangeError("the packet is malformed");
    const bytes = Buffer.from(packet).subarray(parsed.l4Offset + 8);
    if (bytes.readUInt16BE(0) !== 10) throw new RangeError("not version 10");
    if (bytes.readUInt16BE(2) !== bytes.length) throw new RangeError("wrong length");
    const message: Message = {
      exportTime: bytes.readUInt32BE(4),
      sequence: bytes.readUInt32BE(8),
      domain: bytes.readUInt32BE(12),
      templates: [],
      records: [],
    };
    for (let at = 16; at < bytes.length; ) {
      const [id, length] = [bytes.readUInt16BE(at), bytes.readUInt16BE(at + 2)];
      if (length < 4 || at + length > bytes.length) throw new RangeError(`set ${id} has a wrong length`);
      this.readSet(id, bytes.subarray(at + 4, at + length), message);
      at += length;
    }
    return message;
  }

  private readSet(id: number, set: Buffer, message: Message): void {
    let at = 0;
    while (set.length - at >= 4) {
      if (id < 256) {
        const number = set.readUInt16BE(at);
        const count = set.readUInt16BE(at + 2);
        at += id === 3 ? 6 : 4;
        const fields = Array.from({ length: count }, (_, i) => ({
          element: set.readUInt16BE(at + 4 * i),
          length: set.readUInt16BE(at + 4 * i + 2),
        }));
        at += 4 * count;
        this.templates.set(number, fields);
        message.templates.push(number);
        continue;
      }
      const template = this.templates.get(id);
      if (!template) throw new RangeError(`no template ${id}`);
      const fields: Fields = {};
      for (const { element, length } of template) {
        fields[element] = BigInt(`0x${set.subarray(at, at + length).toString("hex")}`);
        at += length;
      }
      message.records.push({ set: id, fields });
    }
    if (set.subarray(at).some((byte) => byte !== 0)) throw new RangeError(`set ${id} ends with more than padding`);
  }
}
