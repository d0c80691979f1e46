// Compiles the stage and attaches its manifest. Usage: node build.mjs; it writes build/gtsm-guard.wasm.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { MEMORY_PAGES } from "@sluice/sdk/abi";
import { embedManifest } from "@sluice/sdk/build";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const include = fileURLToPath(new URL("../include/generated", import.meta.resolve("@sluice/sdk")));
const memoryBytes = MEMORY_PAGES * 65536;
const linker = [
  "--no-entry",
  `--initial-memory=${memoryBytes}`,
  `--max-memory=${memoryBytes}`,
  "--stack-first", // a stack that overflows leaves the memory and traps
  "-z,stack-size=65536",
];

/** Returns the stage's module. Needs clang and wasm-ld (Debian: clang, lld). */
export function build() {
  const unlinked = at("build/code.wasm");
  mkdirSync(at("build"), { recursive: true });
  const language = ["--target=wasm32", "-std=c11", "-O2", "-ffreestanding", "-nostdlib", "-mno-bulk-memory"];
  const warnings = ["-Wall", "-Wextra", "-Werror"];
  const sources = [at("src/guard.c"), at("src/config.c")];
  const link = linker.map((option) => `-Wl,${option}`);
  execFileSync("clang", [...language, ...warnings, "-I", include, ...link, ...sources, "-o", unlinked]);
  return embedManifest(readFileSync(unlinked), JSON.parse(readFileSync(at("manifest.json"), "utf8")));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(at("build/gtsm-guard.wasm"), build());
