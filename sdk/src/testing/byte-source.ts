import { closeSync, openSync, readSync } from "node:fs";

const CHUNK = 1 << 18;

/** A file read from its beginning to its end, in pieces. */
export class ByteSource {
  /** Of the next byte in the file. */
  offset = 0;
  private readonly descriptor: number;
  private buffer = Buffer.alloc(0);

  constructor(readonly file: string) {
    this.descriptor = openSync(file, "r");
  }

  /** The next `length` bytes, fewer at the file's end. They are not overwritten later. */
  take(length: number): Buffer {
    const bytes = this.peek(length);
    this.buffer = this.buffer.subarray(bytes.length);
    this.offset += bytes.length;
    return bytes;
  }

  /** The same, without going on. */
  peek(length: number): Buffer {
    while (this.buffer.length < length) {
      const more = Buffer.allocUnsafe(Math.max(CHUNK, length - this.buffer.length));
      const read = readSync(this.descriptor, more);
      if (read === 0) break;
      this.buffer = Buffer.concat([this.buffer, more.subarray(0, read)]);
    }
    return this.buffer.subarray(0, length);
  }

  close(): void {
    closeSync(this.descriptor);
  }
}
