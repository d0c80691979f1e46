import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, vi } from "vitest";
import { main } from "../../dist/cli/main.js";

// Commands compile, and start programs.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

export const COMMAND = fileURLToPath(new URL("../../bin/sluice-plugin.mjs", import.meta.url));

export interface Output {
  code: number | null;
  out: string;
  err: string;
}

/** Runs a command line in this process. */
export async function plugin(...args: string[]): Promise<Output> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await main(args, { out: (text) => out.push(text), err: (text) => err.push(text) });
  return { code, out: out.join("\n"), err: err.join("\n") };
}

/** Runs a program of Node's in a folder. */
export async function run(cwd: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<Output> {
  const child = spawn(process.execPath, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output: Output = { code: null, out: "", err: "" };
  child.stdout.on("data", (data: Buffer) => {
    output.out += data.toString();
  });
  child.stderr.on("data", (data: Buffer) => {
    output.err += data.toString();
  });
  [output.code] = (await once(child, "close")) as [number | null];
  return output;
}

/** A folder that goes with the test file. */
export function testFolder(): {
  path(name: string): string;
  write(name: string, text: string | Uint8Array): Promise<string>;
} {
  const folder = mkdtempSync(join(tmpdir(), "sluice-cli-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const path = (name: string) => join(folder, name);
  const write = async (name: string, text: string | Uint8Array) => {
    await mkdir(dirname(path(name)), { recursive: true });
    await writeFile(path(name), text);
    return path(name);
  };
  return { path, write };
}

/** A plugin's main file, with one hook that does nothing unless said otherwise. */
export const source = (body = '@hook("forward") export function nothing(batch: Batch): void {}'): string =>
  `import { Batch, definePlugin } from "@sluice/sdk";\ndefinePlugin({ name: "quiet", version: "1.2.3" });\n${body}\n`;
