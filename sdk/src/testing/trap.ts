// Why a stage failed, for people: the engine's words, the source's line, the packet.

import { type SourceLocation, sourceOf } from "../build/sourcemap.js";
import { fieldsOf } from "./describe.js";
import { StageAbort } from "./instance.js";
import type { Trap } from "./rows.js";

/** What V8 says of a function of a module: its index, and the byte in the module's file. */
const frame = /wasm-function\[\d+\]:0x([0-9a-f]+)/g;

const shown = ({ file, line, column }: { file: string; line: number; column: number }): string =>
  `${file}:${line}:${column}`;

/** "assembly/index.ts:12:5", with the plugin's own line when the library failed for it; undefined without a source map. */
export function sourceOfTrap(error: Error, wasm: Uint8Array): string | undefined {
  const places = [...(error.stack ?? "").matchAll(frame)]
    .map(([, offset]) => sourceOf(wasm, Number.parseInt(offset as string, 16)))
    .filter((place): place is SourceLocation => place !== null);
  // What abort itself says of its place is part of the message; the first frame is that of the call of abort.
  const [first, ...callers] = places;
  if (!first) return undefined;
  const isLibrary = first.file.startsWith("~");
  const caller =
    first.near ?? callers.map((each) => (each.file.startsWith("~") ? each.near : each)).find((each) => each);
  const from = isLibrary && caller ? `, called near ${shown(caller)}` : "";
  return `${error instanceof StageAbort && isLibrary && caller ? shown(caller) : shown(first) + from}`;
}

/** "tcp 10.0.0.1:1000 > 192.0.2.1:80, 40 bytes". Hex, from the L3 header on. */
export function packetLine(packet: string): string {
  const bytes = Buffer.from(packet, "hex");
  const fields = fieldsOf(bytes);
  const of = (name: string): string | undefined => [...fields].find(([key]) => key.endsWith(`.${name}`))?.[1];
  const layers = [...new Set([...fields.keys()].map((key) => key.split(".")[0] as string))];
  const layer = layers.filter((each) => each !== "payload").at(-1) ?? "packet";
  const end = (address: string | undefined, port: string | undefined) =>
    (address?.includes(":") && port ? `[${address}]` : (address ?? "?")) + (port ? `:${port}` : "");
  const from = end(of("source"), of("sourcePort"));
  return `${layer} ${from} > ${end(of("destination"), of("destinationPort"))}, ${bytes.length} bytes`;
}

/** One line. */
export function trapText({ message, source, about }: Trap): string {
  return message + (source === undefined ? "" : `, at ${source}`) + (about === undefined ? "" : `, on ${about}`);
}
