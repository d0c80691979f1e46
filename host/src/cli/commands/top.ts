import { example } from "@sluice/sdk/cli";
import type { Command } from "commander";
import { type ConnectionOptions, connected, withConnection } from "../connection.js";
import { type LiveOptions, showLive, withInterval } from "../live.js";
import type { Io } from "../output.js";
import { ratesBetween } from "../rates.js";
import { topText } from "../views/top.js";

export function addTop(program: Command, io: Io): void {
  const command = program
    .command("top")
    .summary("show live what workers, stages and ports do")
    .description(
      "Show packets, drops and cycles a packet of each stage and worker, and the ports' rates, again and again: in a terminal in place, elsewhere one frame after the other.",
    );
  withConnection(withInterval(command)).action(async (options: ConnectionOptions & LiveOptions) => {
    await connected(options, (client) =>
      showLive(
        io,
        options,
        () => client.call("status", {}, options.timeout),
        (before, after) => {
          const rates = ratesBetween(before, after);
          return { json: rates, text: () => topText(rates) };
        },
      ),
    );
  });
  example(command, "sluice top --interval 500ms --count 10 -o json", "five seconds of figures, one object a line");
}
