import { readFile } from "node:fs/promises";
import type { Logger } from "pino";
import { z } from "zod";
import { pipelineRecord, pluginVersion } from "../cluster/records.js";
import { writeDurably } from "../durable-file.js";
import { messageOf, systemCode } from "../errors.js";
import type { Release } from "../translate/releases.js";
import type { PluginTrials } from "./plugin-trials.js";

const nodePlugin = z.object({ name: z.string(), createdAt: z.string(), version: pluginVersion });

const schema = z.object({
  format: z.literal(1),
  good: z.array(nodePlugin),
  refused: z.array(
    z.object({
      name: z.string(),
      id: z.string(),
      problem: z.object({ code: z.string(), path: z.string(), message: z.string() }),
    }),
  ),
  release: z.object({ pipeline: pipelineRecord, plugins: z.array(nodePlugin) }).optional(),
});

/** What the trials of Plugins have shown, on the node's disk: an agent that starts does not try again what has failed, and knows what ran well. */
export class PluginVerdicts {
  private writing: Promise<void> | undefined;
  private isDirty = false;
  /** What the node goes back to when a part of a release fails. */
  release: Release | undefined;

  constructor(
    private readonly file: string,
    private readonly log: Logger,
  ) {}

  /** A file that can't be used is none. */
  async restore(trials: PluginTrials): Promise<void> {
    try {
      const { release, ...verdicts } = schema.parse(JSON.parse(await readFile(this.file, "utf8")));
      trials.restore(verdicts);
      this.release = release;
    } catch (error) {
      if (systemCode(error) === "ENOENT") return;
      this.log.error({ file: this.file, problem: messageOf(error) }, "which Plugins ran well is not known any more");
    }
  }

  save(trials: PluginTrials): void {
    this.isDirty = true;
    this.writing ??= this.write(trials);
  }

  /** Resolves once all is written. */
  async close(): Promise<void> {
    await this.writing;
  }

  private async write(trials: PluginTrials): Promise<void> {
    while (this.isDirty) {
      this.isDirty = false;
      try {
        await writeDurably(this.file, JSON.stringify({ format: 1, ...trials.verdicts, release: this.release }));
      } catch (error) {
        this.log.error({ file: this.file, problem: messageOf(error) }, "which Plugins ran well was not written");
      }
    }
    this.writing = undefined;
  }
}
