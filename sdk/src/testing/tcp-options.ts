/** TCP's options (RFC 9293, section 3.2; RFC 7323; RFC 2018), in this order. */
export interface TcpOptions {
  /** Maximum segment size. */
  mss?: number;
  /** Shift count. */
  windowScale?: number;
  sackPermitted?: boolean;
  /** Blocks: the first sequence number and the one after the last. */
  sack?: [number, number][];
  timestamps?: { value: number; echo: number };
}

/** Options as they stand in the header, each from a multiple of 4 bytes on, as most senders do. */
export function optionBytes(options: TcpOptions | Uint8Array): Uint8Array {
  if (options instanceof Uint8Array) return options;
  const { mss, windowScale, sackPermitted, sack, timestamps } = options;
  return Buffer.concat([
    mss === undefined ? NONE : option(2, [mss], 2),
    windowScale === undefined ? NONE : option(3, [windowScale], 1),
    sackPermitted ? option(4, [], 4) : NONE,
    sack === undefined ? NONE : option(5, sack.flat(), 4),
    timestamps === undefined ? NONE : option(8, [timestamps.value, timestamps.echo], 4),
  ]);
}

const NONE = Buffer.alloc(0);
const NO_OPERATION = 1;

/** Numbers of `size` bytes behind kind and length, behind as many NOPs as there must be. */
function option(kind: number, numbers: number[], size: 1 | 2 | 4): Uint8Array {
  const length = 2 + numbers.length * size;
  const bytes = Buffer.alloc(length);
  bytes.set([kind, length]);
  numbers.forEach((number, i) => {
    bytes.writeUIntBE(number, 2 + i * size, size);
  });
  return Buffer.concat([Buffer.alloc(-length & 3, NO_OPERATION), bytes]);
}
