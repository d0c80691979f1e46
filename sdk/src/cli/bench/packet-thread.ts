import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { HookName, Json } from "../../build/manifest.js";
import { CommandError } from "../errors.js";
import type { Figure } from "./measure.js";
import type { BenchPacket } from "./packets.js";

/** What of the addon is used here; see native/index.d.ts. */
interface Native {
  Dataplane: {
    start(options: Record<string, unknown>): Promise<{
      dataplane: {
        apply(desiredState: string): Promise<unknown>;
        runStage(request: string): Promise<string>;
        stop(): Promise<void>;
      };
    }>;
  };
}

interface Reply {
  tscHz: number;
  cycles: { burst: number; stages: [empty: number, stage: number] }[];
  trap?: { message: string };
}

export interface Measured {
  figures: Figure[];
  /** Timestamp-counter cycles a second. */
  tscHz: number;
}

/** Where the addon is; undefined when it is installed neither in the project nor beside the SDK. */
export function findNative(): string | undefined {
  for (const from of [resolve("package.json"), import.meta.url]) {
    try {
      return createRequire(from).resolve("@sluice/native");
    } catch {
      // Not there: the next place is asked.
    }
  }
  return undefined;
}

/** Times both stages in one packet thread of a dataplane without ports. @param stages the empty one and the one to measure */
export async function measureInPacketThread(
  native: string,
  stages: readonly { wasm: Uint8Array; config?: Json }[],
  hook: HookName,
  packets: readonly BenchPacket[],
): Promise<Measured> {
  const { Dataplane } = (await import(pathToFileURL(native).href)) as Native;
  const folder = await mkdtemp(join(tmpdir(), "sluice-bench-"));
  try {
    const { dataplane } = await Dataplane.start({
      name: `bench-${process.pid}`,
      workers: 1,
      memoryMb: 256,
      buffers: 4096,
      jumbos: 64,
      hugepages: "auto",
      logLevel: "error",
      stateDir: folder,
      cacheDir: join(folder, "cache"),
    });
    try {
      await dataplane.apply(JSON.stringify({ conntrack: { maxFlows: 1024 } }));
      const request = stages.map(({ wasm, config }) => ({
        wasm: Buffer.from(wasm).toString("hex"),
        row: {
          hook,
          packets: packets.map((packet) => ({ ...packet, ctState: "established" })),
          ...(config === undefined ? {} : { config }),
        },
      }));
      return figuresOf(JSON.parse(await dataplane.runStage(JSON.stringify({ bench: request }))) as Reply);
    } finally {
      await dataplane.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function figuresOf({ tscHz, cycles, trap }: Reply): Measured {
  if (trap) throw new CommandError("trap", `The stage trapped: ${trap.message}`, "Run its tests, or `run --pcap`");
  const ns = (value: number) => (value * 1e9) / tscHz;
  const figures = cycles.map(
    ({ burst, stages: [empty, stage] }): Figure => ({
      where: "packet thread",
      burst,
      emptyNs: ns(empty),
      stageNs: ns(stage),
    }),
  );
  return { figures, tscHz };
}
