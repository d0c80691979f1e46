// The benchmarks of native/bench: built here, run one after the other, each in a process of its own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { buildPlugin } from "@sluice/sdk/build";
import { root } from "../support/dataplane.js";
import { stageConfigs } from "./configs.js";
import type { Figure } from "./result.js";

/** In the order in which they run: quick ones first. */
export const nativeBenchmarks = [
  "stage-empty",
  "stage-nat",
  "service-path-10k",
  "service-path-1m",
  "latency",
  "scale-2",
  "hot-swap",
  "flows",
];

const folder = join(root, "build", "bench");

/** The program with what all of its benchmarks need. */
export const nativeCommand: readonly string[] = [
  join(root, "build", "native", "sluice_bench"),
  ...["--modules", folder, "--configs", folder],
];

async function run(command: string, args: string[]): Promise<void> {
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "inherit"] });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}`);
}

/** The program, and the stages that it runs. */
export async function prepare(): Promise<void> {
  const build = join(root, "build", "native");
  await run("cmake", ["-G", "Ninja", "-S", join(root, "native"), "-B", build]);
  await run("cmake", ["--build", build, "--target", "sluice_bench"]);
  mkdirSync(folder, { recursive: true });
  for (const stage of ["empty", "dnat"]) {
    const { wasm } = await buildPlugin({ entry: join(root, "native", "bench", "stages", `${stage}.ts`) });
    writeFileSync(join(folder, `${stage}.wasm`), wasm);
  }
  for (const [plugin, config] of Object.entries(stageConfigs)) {
    copyFileSync(join(root, "plugins", plugin, "build", `${plugin}.wasm`), join(folder, `${plugin}.wasm`));
    writeFileSync(join(folder, `${plugin}.json`), JSON.stringify(config));
  }
}

/** Figures as they come. The worker has the last CPU, all else the others. */
export async function* runNative(name: string, rounds: number): AsyncGenerator<Figure> {
  const core = String(cpus().length - 1);
  const [command, ...common] = nativeCommand as [string, ...string[]];
  const args = [...common, "--core", core, "--rounds", String(rounds), name];
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "close") as Promise<[number | null]>;
  let complaint = "";
  child.stderr.on("data", (text: Buffer) => {
    complaint += text.toString();
  });
  for await (const text of createInterface({ input: child.stdout })) yield JSON.parse(text) as Figure;
  const [code] = await ended;
  if (code !== 0) throw new Error(`${name}: ${complaint.trim()}`);
}
