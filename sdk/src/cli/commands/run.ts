import { type Command, Option } from "commander";
import { type HookName, hookNames } from "../../build/manifest.js";
import { type RunPcapSummary, runPcap } from "../../offline/run-pcap.js";
import { CommandError } from "../errors.js";
import { DEFAULT_ENTRY, moduleBytes, ofModule, readConfig } from "../files.js";
import { example, facts, type Io, type OutputOptions, table, withOutput } from "../shell.js";
import { withAbort } from "../signals.js";

interface RunOptions extends OutputOptions {
  pcap: string;
  out?: string;
  hook?: HookName[];
  config?: string;
}

export function addRun(program: Command, io: Io): void {
  const command = program
    .command("run")
    .summary("take a capture's packets through a stage")
    .description(
      "Take the packets of a capture through a stage in Node, at the capture's times; say what became of them and write " +
        "those that leave.",
    )
    .argument("[entry]", "the plugin's main file, or a module (.wasm)", DEFAULT_ENTRY)
    .requiredOption("--pcap <file>", "the capture: pcap or pcapng, Ethernet or raw IP")
    .option("--out <file>", "where to write what leaves; .pcapng tells the ways it left")
    .addOption(
      new Option("--hook <hooks...>", "where packets meet the stage; default: all on their way").choices(hookNames),
    )
    .option("--config <file>", "its configuration, JSON or YAML");
  withOutput(command).action(async (entry: string, { pcap, out, hook, config, output }: RunOptions) => {
    const given = config === undefined ? {} : { config: await readConfig(config) };
    const plugin = await moduleBytes(entry);
    const files = { in: pcap, ...(out === undefined ? {} : { out }) };
    const where = hook === undefined ? {} : { hook };
    const summary = await withAbort((signal) =>
      ofModule(entry, () => runPcap({ plugin, signal, ...files, ...given, ...where })),
    );
    io.out(output === "json" ? JSON.stringify(summary) : summaryText(summary, out));
    if (summary.trap) {
      const { message, packet } = summary.trap;
      throw new CommandError(
        "trap",
        `the stage failed: ${message}`,
        "No packet after it was run",
        `${pcap}, packet ${packet}`,
      );
    }
  });
  example(command, "sluice-plugin run --pcap in.pcap --out out.pcap --config config.json", "through assembly/index.ts");
}

function summaryText(summary: RunPcapSummary, out: string | undefined): string {
  const { plugin, packets, leftOut, verdicts, emitted, mirrored, written, seconds } = summary;
  const verdictTexts = Object.entries(verdicts)
    .filter(([, count]) => count > 0)
    .map(([verdict, count]) => `${verdict} ${count}`);
  const head = facts([
    ["plugin", `${plugin.name} ${plugin.version}`],
    ["packets", `${packets} in ${seconds} s; not IP ${leftOut.notIp}, cut short ${leftOut.cut}`],
    ["verdicts", verdictTexts.join(", ") || "none"],
    ["sent", `emitted ${emitted}, mirrored ${mirrored}`],
    ...(out === undefined ? [] : [["written", `${written} to ${out}`] as const]),
  ]);
  const rows = [
    ...Object.entries(summary.reasons).map(([name, count]) => ["dropped for", name, String(count)]),
    ...Object.entries(summary.counters).map(([name, value]) => ["counter", name, String(value)]),
    ...Object.entries(summary.gauges).map(([name, value]) => ["gauge", name, String(value)]),
    ...Object.entries(summary.histograms).flatMap(([name, { bounds, counts }]) =>
      counts.map((count, at) => [
        "histogram",
        bounds[at] === undefined ? `${name} above` : `${name} to ${bounds[at]}`,
        String(count),
      ]),
    ),
  ];
  const columns = [{ title: "WHAT" }, { title: "NAME" }, { title: "VALUE", right: true }];
  return rows.length === 0 ? head : `${head}\n\n${table(columns, rows)}`;
}
