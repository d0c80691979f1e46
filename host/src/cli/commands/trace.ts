import { example } from "@sluice/sdk/cli";
import { type Command, Option } from "commander";
import type { DataplaneClient } from "../../dataplane/client.js";
import { durationMs, wholeNumber } from "../arguments.js";
import { connected, type NodeOptions, withNode } from "../connection.js";
import { untilInterrupted } from "../interrupt.js";
import type { Io } from "../output.js";
import { traceText, withFields } from "../views/trace.js";

interface TraceCommandOptions extends NodeOptions {
  count: number;
  timeout: number;
  verbose?: boolean;
}

export function addTrace(program: Command, io: Io): void {
  const command = program
    .command("trace")
    .summary("show the way of the next packets through the pipeline")
    .description(
      "Show the way of the next packets that match a filter: each stage with its verdict, what it rewrote and noted, the route, and how it left or why it was dropped.",
    )
    .argument("[filter...]", "pcap-filter(7), matched where a packet comes in; none: every packet")
    .option("-c, --count <n>", "packets to follow", wholeNumber(1), 10)
    .addOption(
      new Option("--timeout <time>", "end when not all of them came in this time")
        .argParser(durationMs)
        .default(10_000, "10s"),
    )
    .option("-v, --verbose", "with checksums and each packet's bytes");
  withNode(command).action(async (words: string[], options: TraceCommandOptions) => {
    const filter = words.join(" ");
    await connected(options, (client) =>
      untilInterrupted(io, (interrupted) => follow(io, client, filter, options, interrupted), options.timeout),
    );
  });
  example(command, "sluice trace -c 1 tcp port 80 and host 10.1.1.10", "what happens to that pod's next HTTP packet");
}

async function follow(
  io: Io,
  client: DataplaneClient,
  filter: string,
  { count, verbose = false, output }: TraceCommandOptions,
  interrupted: AbortSignal,
): Promise<void> {
  let isFirst = true;
  let shown = 0;
  let lost = 0;
  for await (const read of client.stream("trace", { filter, packets: count }, interrupted)) {
    if (isFirst) io.err(`waiting for ${count} packets`);
    isFirst = false;
    lost = read.lost;
    for (const packet of read.packets.map(withFields)) {
      if (output === "json") io.out(JSON.stringify(packet));
      else io.out(`${shown === 0 ? "" : "\n"}${traceText(packet, verbose)}`);
      shown++;
    }
  }
  if (lost > 0) io.err(`${lost} packets or steps did not fit into the trace buffer`);
  if (shown < count) io.err(`${shown} of ${count} packets came`);
}
