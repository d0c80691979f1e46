import { readFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { z } from "zod";
import type { NodeRecord } from "../cluster/records.js";
import { writeDurably } from "../durable-file.js";
import { messageOf, type Problem, SluiceError, systemCode } from "../errors.js";
import type { NodeConfigSpec } from "../resources/node-config.js";
import { findUplink, type Uplink } from "./uplink.js";

const uplinkSchema = z.object({
  device: z.string(),
  addresses: z.array(z.string()),
  gateways: z.array(z.string()),
  mtu: z.int(),
});

/** The node's uplink, remembered over restarts: while the dataplane has it the kernel no longer tells of it. */
export class UplinkWatch {
  uplink: Uplink | undefined;
  problems: readonly Problem[] = [];

  private constructor(
    private readonly file: string,
    private readonly log: Logger,
  ) {}

  static async open(file: string, log: Logger): Promise<UplinkWatch> {
    const watch = new UplinkWatch(file, log);
    watch.uplink = await readIfThere(file, log);
    return watch;
  }

  /** @returns whether it is another one than before */
  async look(node: NodeRecord, config: NodeConfigSpec["uplink"]): Promise<boolean> {
    try {
      const found = await findUplink(node, config, this.uplink?.device);
      this.problems = [];
      if (isDeepStrictEqual(found, this.uplink)) return false;
      this.log.info({ uplink: found }, "the node's uplink");
      await writeDurably(this.file, JSON.stringify(found));
      this.uplink = found;
      return true;
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      const isTaken =
        this.uplink !== undefined && (config.device === undefined || config.device === this.uplink.device);
      this.problems = isTaken ? [] : error.problems;
      return false;
    }
  }
}

async function readIfThere(file: string, log: Logger): Promise<Uplink | undefined> {
  try {
    return uplinkSchema.parse(JSON.parse(await readFile(file, "utf8")));
  } catch (error) {
    if (systemCode(error) !== "ENOENT") log.warn({ file, problem: messageOf(error) }, "looked for anew");
    return undefined;
  }
}
