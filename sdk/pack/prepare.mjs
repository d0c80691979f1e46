// Before `npm pack`: makes what the package holds and git does not, and takes away what an older tree left in dist/.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const at = (...parts) => join(fileURLToPath(new URL("..", import.meta.url)), ...parts);

function run(script, ...args) {
  const { status } = spawnSync(process.execPath, [script, ...args], { stdio: ["ignore", 2, 2], cwd: at() });
  if (status !== 0) process.exit(1); // it has said why
}

run(at("abi", "generate.mjs"));
run(join(createRequire(import.meta.url).resolve("typescript/package.json"), "..", "bin", "tsc"), "-b");
for (const entry of readdirSync(at("dist"), { recursive: true })) {
  const source = /^(?<name>.+?)(\.d\.ts|\.js)(\.map)?$/.exec(entry)?.groups?.name;
  if (source !== undefined && !existsSync(at("src", `${source}.ts`))) rmSync(at("dist", entry));
}
