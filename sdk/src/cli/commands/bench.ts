import { type Command, Option } from "commander";
import { buildPlugin } from "../../build/build.js";
import { inspectModule } from "../../build/inspect.js";
import { type HookName, hookNames, type Json, type Manifest } from "../../build/manifest.js";
import { StageInstance } from "../../testing/instance.js";
import { hasNative } from "../../testing/native-stage.js";
import { BURSTS, type Figure, medians } from "../bench/measure.js";
import { NodeTimer, type TimedStage } from "../bench/node-timer.js";
import { type Measured, measureInPacketThread } from "../bench/packet-thread.js";
import { type BenchPacket, capturedPackets, madeUpPackets, repeated } from "../bench/packets.js";
import { CommandError, messageOf } from "../errors.js";
import { DEFAULT_ENTRY, moduleBytes, ofModule, readConfig } from "../files.js";
import { example, type Io, type OutputOptions, table, withOutput } from "../shell.js";
import { withAbort } from "../signals.js";

type Where = "node" | "packet-thread";

interface BenchOptions extends OutputOptions {
  config?: string;
  hook?: HookName;
  pcap?: string;
  only?: Where;
}

export function addBench(program: Command, io: Io): void {
  const command = program
    .command("bench")
    .summary("measure what a stage costs a packet")
    .description(
      "Measure a stage against an empty one, in Node and, where @sluice/native is installed, in a packet thread: " +
        "medians of runs that take turns, on bursts of 32 and 256 packets of known flows.",
    )
    .argument("[entry]", "the plugin's main file, or a module (.wasm)", DEFAULT_ENTRY)
    .option("--config <file>", "its configuration, JSON or YAML")
    .addOption(new Option("--hook <hook>", "which of its hooks; default: its first").choices(hookNames))
    .option("--pcap <file>", "packets to measure with; default: made-up TCP and UDP")
    .addOption(new Option("--only <where>", "measure there only").choices(["node", "packet-thread"]));
  withOutput(command).action(async (entry: string, options: BenchOptions) => {
    const wasm = await moduleBytes(entry);
    const { manifest } = await ofModule(entry, () => inspectModule(wasm));
    const hook = hookOf(manifest, options.hook);
    const config = options.config === undefined ? undefined : await readConfig(options.config);
    const packets = repeated(options.pcap === undefined ? madeUpPackets() : capturedPackets(options.pcap));
    const stage = { wasm, ...(config === undefined ? {} : { config }) };
    const subjects = [{ wasm: await emptyStage(manifest, hook) }, stage];
    const result = await withAbort(() => measure(subjects, hook, packets, options));
    const about = { name: manifest.name, version: manifest.version, hook };
    io.out(options.output === "json" ? JSON.stringify({ ...about, ...result }) : resultText(about, result));
  });
  example(command, "sluice-plugin bench --config config.json", "builds assembly/index.ts and measures it");
}

function hookOf(manifest: Manifest, asked: HookName | undefined): HookName {
  const hook = asked ?? (manifest.hooks[0] as HookName);
  if (manifest.hooks.includes(hook)) return hook;
  throw new CommandError("hook", `${manifest.name} has no hook ${hook}`, `Its hooks are ${manifest.hooks.join(", ")}`);
}

/** Does nothing, at the same hook and with as many header bytes. */
async function emptyStage({ headerBytes }: Manifest, hook: HookName): Promise<Uint8Array> {
  const source = `import { Batch, definePlugin } from "@sluice/sdk";
definePlugin({ name: "empty", version: "1.0.0", headerBytes: ${headerBytes} });
@hook("${hook}") export function nothing(batch: Batch): void {}
`;
  return (await buildPlugin({ source })).wasm;
}

interface Subject {
  wasm: Uint8Array;
  config?: Json;
}

interface Result {
  figures: Figure[];
  /** Absent: not known. */
  tscHz?: number;
  /** Why there are no figures of a packet thread. */
  remark?: string;
}

async function measure(
  subjects: readonly Subject[],
  hook: HookName,
  packets: readonly BenchPacket[],
  { only }: BenchOptions,
): Promise<Result> {
  const inNode = only === "packet-thread" ? [] : measureInNode(subjects, hook, packets);
  if (only === "node") return { figures: inNode };
  if (only === undefined && !hasNative()) return { figures: inNode, remark: "@sluice/native is not installed here" };
  let measured: Measured;
  try {
    measured = await measureInPacketThread(subjects, hook, packets);
  } catch (error) {
    if (only !== undefined || error instanceof CommandError) throw error;
    return { figures: inNode, remark: messageOf(error) };
  }
  return { figures: [...inNode, ...measured.figures], tscHz: measured.tscHz };
}

/** Throws CommandError, ConfigureError. */
function measureInNode(subjects: readonly Subject[], hook: HookName, packets: readonly BenchPacket[]): Figure[] {
  const timers = subjects.map((subject) => new NodeTimer(timedStage(subject), hook, packets));
  try {
    return BURSTS.map((burst) => {
      const [emptyNs = 0, stageNs = 0] = medians(
        timers.map((timer) => timer.measure.bind(timer)),
        burst,
      );
      return { where: "Node", burst, emptyNs, stageNs };
    });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const remedy = "Run its tests, or `run --pcap`, to see on which packet";
    throw new CommandError("trap", `The stage trapped: ${error.message}`, remedy, "", { cause: error });
  }
}

function timedStage({ wasm, config }: Subject): TimedStage {
  const { manifest } = inspectModule(wasm);
  const module = new WebAssembly.Module(wasm as Uint8Array<ArrayBuffer>);
  if (config === undefined) return { manifest, module, segment: new Uint8Array() };
  const builder = new StageInstance(module, manifest.traceValues);
  return { manifest, module, segment: builder.configure(JSON.stringify(config), manifest.segmentBytes) };
}

function resultText({ name, version, hook }: { name: string; version: string; hook: string }, result: Result): string {
  const { figures, tscHz, remark } = result;
  const columns = [
    { title: "WHERE" },
    { title: "BURST", right: true },
    { title: "EMPTY NS", right: true },
    { title: "STAGE NS", right: true },
    { title: "OWN NS", right: true },
    { title: "OWN CYCLES", right: true },
  ];
  const rows = figures.map(({ where, burst, emptyNs, stageNs }) => {
    const own = stageNs - emptyNs;
    const cycles = tscHz === undefined ? "-" : ((own * tscHz) / 1e9).toFixed(1);
    return [where, String(burst), emptyNs.toFixed(1), stageNs.toFixed(1), own.toFixed(1), cycles];
  });
  const notes = remark === undefined ? [] : [`packet thread: not measured: ${remark}`];
  if (tscHz === undefined) notes.push("cycles: not known without a packet thread");
  return [`${name} ${version} at ${hook}, a packet:`, table(columns, rows), ...notes].join("\n");
}
