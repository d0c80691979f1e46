import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { COMMAND, source, testFolder } from "./support.js";

const { path, write } = testFolder();

/** Resolves once the program has written this to either stream, after what was waited for before. */
function reader(child: ChildProcess): (text: string) => Promise<void> {
  let written = "";
  let notify = (): void => undefined;
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (data: Buffer) => {
      written += data.toString();
      notify();
    });
  }
  return (text) =>
    new Promise((done) => {
      notify = () => {
        const at = written.indexOf(text);
        if (at < 0) return;
        written = written.slice(at + text.length);
        done();
      };
      notify();
    });
}

test("build --watch builds again after each change, goes on after a mistake, and ends with Ctrl-C", async () => {
  await write("assembly/index.ts", source());
  const child = spawn(process.execPath, [COMMAND, "build", "--watch"], { cwd: path("") });
  const written = reader(child);
  await written("module  build/quiet.wasm");
  await write("assembly/index.ts", source("oops("));
  await written("error: assembly/index.ts:");
  await write("assembly/index.ts", source());
  await written("module  build/quiet.wasm");
  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([0, null]);
}, 120_000);
