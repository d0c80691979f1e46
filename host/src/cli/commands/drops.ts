import { example } from "@sluice/sdk/cli";
import { type Command, InvalidArgumentError } from "commander";
import type { DataplaneClient } from "../../dataplane/client.js";
import { type ConnectionOptions, connected, withConnection } from "../connection.js";
import { type LiveOptions, showLive, withInterval } from "../live.js";
import type { Io } from "../output.js";
import { dropsText, ratedDrops } from "../views/drops.js";

interface DropsOptions extends ConnectionOptions, LiveOptions {
  watch?: boolean;
  verbose?: boolean;
}

export function addDrops(program: Command, io: Io): void {
  const command = program
    .command("drops")
    .summary("show why packets were dropped, with the last one of each reason")
    .description(
      "Show each reason for which packets were dropped since the start: what it means, which stage decided so, how many, and the last one.",
    )
    .option("--watch", "show it again and again, with rates")
    .option("-v, --verbose", "with the last packets' bytes");
  withConnection(withInterval(command)).action(async (options: DropsOptions) => {
    const { watch = false, verbose = false, output } = options;
    if (!watch && ["interval", "count"].some((option) => command.getOptionValueSource(option) === "cli"))
      throw new InvalidArgumentError("--interval and --count: allowed: with --watch");
    await connected(options, async (client) => {
      const read = () => reading(client, options.timeout);
      if (watch) {
        return showLive(io, options, read, (before, after) => {
          const drops = ratedDrops(before.drops, after.drops, after.at - before.at);
          return { json: drops, text: () => dropsText(drops, verbose) };
        });
      }
      const { drops } = await read();
      io.out(output === "json" ? JSON.stringify(drops) : dropsText(drops, verbose));
    });
  });
  example(command, "sluice drops --watch", "which reasons are at work now");
}

async function reading(client: DataplaneClient, timeout: number) {
  const { drops } = await client.call("drops", {}, timeout);
  return { drops, at: performance.now() };
}
