// Modules made byte by byte, to be wrong in one place each.

import { embedManifest, type Manifest } from "@sluice/sdk/build";

export const manifest: Manifest = {
  abi: 1,
  name: "made",
  version: "1.0.0",
  hooks: ["forward"],
  headerBytes: 128,
  writes: false,
  flowState: null,
  migratesFrom: [],
  counters: [],
  gauges: [],
  histograms: [],
  traceValues: [],
  dropReasons: [],
  segmentBytes: 0,
  failure: "FailClosed",
  configSchema: null,
};

const unsigned = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)]);
const signed = (value: number): number[] => {
  const rest = value >> 7;
  const isLast = (rest === 0 && (value & 64) === 0) || (rest === -1 && (value & 64) !== 0);
  return isLast ? [value & 127] : [(value & 127) | 128, ...signed(rest)];
};
const name = (text: string): number[] => [...unsigned(text.length), ...Buffer.from(text)];
const list = (items: number[][]): number[] => [...unsigned(items.length), ...items.flat()];
const section = (id: number, content: number[]): number[] => [id, ...unsigned(content.length), ...content];

const I32 = 0x7f;
const I64 = 0x7e;
const types = [
  [0x60, ...list([[I32], [I32]]), 0], // 0: (i32, i32) -> ()
  [0x60, 0, 1, I32], // 1: () -> i32
  [0x60, ...list([[I32], [I32], [I32], [I32]]), 0], // 2: abort's
  [0x60, 0, 0], // 3: () -> ()
  [0x60, ...list([[I32], [I32], [I32]]), 1, I32], // 4: read_payload's and mirror's
  [0x60, ...list([[I32], [I32]]), 1, I32], // 5: emit's
  [0x60, ...list([[I32], [I32], [I64]]), 0], // 6: trace's
];
export const TYPE = { process: 0, number: 1, abort: 2, nothing: 3, readPayload: 4, mirror: 4, emit: 5, trace: 6 };

export interface Made {
  /** Module, name, kind, type or limits. */
  imports?: [string, string, number, number[]][];
  /** Types of the functions `process` and `sluice_abi_version`. */
  functions?: number[];
  /** Flags, minimum, maximum; a list of memories. */
  memories?: number[][];
  exports?: [string, number, number][];
  /** Address of a byte of data, or a whole segment's bytes. */
  data?: number | number[];
  start?: boolean;
  manifest?: object | string | null;
}

const bodies: Record<number, number[]> = { 0: [2, 0, 0x0b], 1: [4, 0, 0x41, 1, 0x0b], 3: [2, 0, 0x0b] };

/** A valid stage, but for what `made` says. */
export function makeModule(made: Made = {}): Uint8Array {
  const functions = made.functions ?? [TYPE.process, TYPE.number];
  const imports = made.imports ?? [];
  const first = imports.filter(([, , kind]) => kind === 0).length;
  const exports = made.exports ?? [
    ["process", 0, first],
    ["sluice_abi_version", 0, first + 1],
    ["memory", 2, 0],
  ];
  const memories = made.memories ?? [[1, ...unsigned(3328), ...unsigned(3328)]];
  const address = typeof made.data === "number" ? made.data : 4096;
  const data = Array.isArray(made.data) ? made.data : [0, 0x41, ...signed(address), 0x0b, 1, 0xff];
  const wasm = Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, list(types)),
    ...section(2, list(imports.map(([module, field, kind, type]) => [...name(module), ...name(field), kind, ...type]))),
    ...section(3, list(functions.map((type) => [type]))),
    ...section(5, list(memories)),
    ...section(7, list(exports.map(([field, kind, index]) => [...name(field), kind, ...unsigned(index)]))),
    ...(made.start ? section(8, [first]) : []),
    ...section(10, list(functions.map((type) => bodies[type] ?? []))),
    ...section(11, list([data])),
  ]);
  if (made.manifest === null) return wasm;
  if (typeof made.manifest !== "string") return embedManifest(wasm, { ...manifest, ...made.manifest });
  return Uint8Array.from([...wasm, ...section(0, [...name("sluice.manifest"), ...Buffer.from(made.manifest)])]);
}
