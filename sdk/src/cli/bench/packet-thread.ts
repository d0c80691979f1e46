import type { HookName, Json } from "../../build/manifest.js";
import { askPacketThread, stopNative } from "../../testing/native-stage.js";
import { CommandError } from "../errors.js";
import type { Figure } from "./measure.js";
import type { BenchPacket } from "./packets.js";

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

/**
 * Times both stages in one packet thread of a dataplane without ports. Throws NativeMissingError, ConfigureError.
 * @param stages the empty one and the one to measure
 */
export async function measureInPacketThread(
  stages: readonly { wasm: Uint8Array; config?: Json }[],
  hook: HookName,
  packets: readonly BenchPacket[],
): Promise<Measured> {
  const bench = stages.map(({ wasm, config }) => ({
    wasm: Buffer.from(wasm).toString("hex"),
    row: {
      hook,
      packets: packets.map((packet) => ({ ...packet, ctState: "established" })),
      ...(config === undefined ? {} : { config }),
    },
  }));
  try {
    return figuresOf((await askPacketThread({ bench })) as Reply);
  } finally {
    await stopNative();
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
