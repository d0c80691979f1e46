import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SetupError } from "./shell.mjs";

/** conf.h's names for the crate features that native/wasmtime/Cargo.toml switches on. */
const FEATURES = ["PROFILING", "WAT", "PARALLEL_COMPILATION", "CRANELIFT", "ADDR2LINE", "DEMANGLE", "DISABLE_LOGGING"];
const CRATE = "wasmtime-c-api-impl";

function headerFolder(manifest, env) {
  const result = spawnSync("cargo", ["metadata", "--format-version=1", "--locked", "--manifest-path", manifest], {
    encoding: "utf8",
    env,
    maxBuffer: 64 << 20,
  });
  if (result.status !== 0) throw new SetupError(`cargo metadata failed: ${result.stderr}`);
  const found = JSON.parse(result.stdout).packages.find((entry) => entry.name === CRATE);
  if (!found) throw new SetupError(`${manifest} has no dependency ${CRATE}`);
  return join(dirname(found.manifest_path), "include");
}

/** What CMake's configure_file would make of conf.h.in. */
function configureHeader(template) {
  return template.replace(/^#cmakedefine WASMTIME_FEATURE_(\w+)$/gm, (_, name) =>
    FEATURES.includes(name) ? `#define WASMTIME_FEATURE_${name}` : `/* #undef WASMTIME_FEATURE_${name} */`,
  );
}

/** Puts the built library and the crate's headers below `destination`. Processes that use an older library keep theirs. */
export function installWasmtime(manifest, target, destination) {
  mkdirSync(join(destination, "lib"), { recursive: true });
  const headers = headerFolder(manifest, process.env);
  cpSync(headers, join(destination, "include"), { recursive: true });
  const template = join(headers, "wasmtime", "conf.h.in");
  if (!existsSync(template)) throw new SetupError(`${template} is not there: ${CRATE} changed its layout`);
  writeFileSync(join(destination, "include", "wasmtime", "conf.h"), configureHeader(readFileSync(template, "utf8")));
  const library = join(destination, "lib", "libsluice_wasmtime.so");
  copyFileSync(join(target, "release", "libsluice_wasmtime.so"), `${library}.new`);
  renameSync(`${library}.new`, library);
}
