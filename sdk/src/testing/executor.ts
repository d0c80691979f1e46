import { isDeepStrictEqual } from "node:util";
import { packetDiff } from "./diff.js";
import { hasNative, NativeStage } from "./native-stage.js";
import { NodeStage } from "./node-stage.js";
import type { PacketResult, Row, RowResult, StageExecutor } from "./rows.js";

/** Where stages run under test: in Node's WebAssembly, in a packet thread, or in both, which then must agree. */
export type ExecutorName = "node" | "native" | "both";
const names: ExecutorName[] = ["node", "native", "both"];

/** What SLUICE_EXECUTOR says. Without it: both where the package `@sluice/native` is there, else node. Throws RangeError. */
export function executorName(): ExecutorName {
  const name = process.env.SLUICE_EXECUTOR;
  if (name === undefined || name === "") return hasNative() ? "both" : "node";
  if (!(names as string[]).includes(name))
    throw new RangeError(`SLUICE_EXECUTOR is '${name}'; it may be ${names.join(", ")}, or not set`);
  return name as ExecutorName;
}

/** An executor of the module's rows as SLUICE_EXECUTOR says. Throws ModuleError, NativeMissingError, RangeError. */
export async function stageExecutor(wasm: Uint8Array, name: ExecutorName = executorName()): Promise<StageExecutor> {
  if (name === "node") return new NodeStage(wasm);
  const native = await NativeStage.start(wasm);
  return name === "native" ? native : new BothExecutor(new NodeStage(wasm), native);
}

/** Node and a packet thread came to different results. */
export class DisagreementError extends Error {
  override readonly name = "DisagreementError";
}

class BothExecutor implements StageExecutor {
  readonly name = "node and packet thread";
  constructor(
    private readonly node: StageExecutor,
    private readonly native: StageExecutor,
  ) {}

  async run(row: Row): Promise<RowResult> {
    const result = await this.node.run(row);
    requireAgreement(row.name, result, await this.native.run(row));
    return result;
  }
}

/** Throws DisagreementError with each field that differs. */
export function requireAgreement(row: string, node: RowResult, native: RowResult): void {
  const lines = node.packets.flatMap((packet, i) =>
    differences(packet, native.packets[i]).map((line) => `packet ${i}: ${line}`),
  );
  const { packets: _packets, trap, ...rest } = node;
  for (const [field, value] of Object.entries(rest)) {
    const found = native[field as keyof RowResult];
    if (!isDeepStrictEqual(found, value)) lines.push(difference(field, found, value));
  }
  // The two engines have words of their own for why a stage trapped.
  if (trap?.packet !== native.trap?.packet) lines.push(difference("trap", native.trap, trap));
  if (lines.length > 0)
    throw new DisagreementError(`Node and the packet thread disagree in '${row}':\n  ${lines.join("\n  ")}`);
}

function differences(node: PacketResult, native: PacketResult | undefined): string[] {
  if (!native) return ["no result in the packet thread"];
  const fields = new Set([...Object.keys(node), ...Object.keys(native)]) as Set<keyof PacketResult>;
  fields.delete("out");
  const lines = [...fields]
    .filter((field) => !isDeepStrictEqual(node[field], native[field]))
    .map((field) => difference(field, native[field], node[field]));
  if (node.out === undefined || native.out === undefined) return lines;
  return [...lines, ...packetDiff(node.out, native.out).map((line) => `${line} by Node`)];
}

const difference = (field: string, native: unknown, node: unknown): string =>
  `${field}: ${JSON.stringify(native) ?? "absent"} in the packet thread, ${JSON.stringify(node) ?? "absent"} in Node`;
