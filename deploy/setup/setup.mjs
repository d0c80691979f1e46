import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { withLock } from "./lock.mjs";
import {
  attackPackages,
  basePackages,
  benchPackages,
  clusterPackages,
  imagePackages,
  peerPackages,
  testPackages,
} from "./packages.mjs";
import { checkPrerequisites } from "./prerequisites.mjs";
import { runSteps, withProgress } from "./scheduler.mjs";
import { withoutServices } from "./services.mjs";
import { runLogged, stopCommands, tryOutput } from "./shell.mjs";
import { buildSteps } from "./steps.mjs";

export const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const buildFolder = join(root, "build");

function missingPackages(wanted) {
  const names = Object.keys(wanted);
  const installed = tryOutput("sh", [
    "-c",
    `dpkg-query -W -f='\${db:Status-Status} \${Package}\\n' ${names.join(" ")} 2>/dev/null || true`,
  ]);
  const present = new Set(
    installed
      .split("\n")
      .filter((line) => line.startsWith("installed "))
      .map((line) => line.split(" ")[1]),
  );
  return names.filter((name) => !present.has(name));
}

async function installPackages(wanted) {
  const missing = missingPackages(wanted);
  if (missing.length === 0) return;
  console.log(`Debian packages to install (${missing.length}, with what they depend on):`);
  for (const name of missing) console.log(`  ${name.padEnd(20)} ${wanted[name]}`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await withProgress("Debian packages", join(buildFolder, "logs", "apt.log"), (log) =>
    withoutServices(() =>
      runLogged(log, [
        { command: "apt-get", args: ["update"], env },
        { command: "apt-get", args: ["install", "-y", "--no-install-recommends", ...missing], env },
      ]),
    ),
  );
}

/**
 * Makes this machine ready: Debian packages, npm packages, Wasmtime's C API, ABI constants, TypeScript, plugins, the addon,
 * with `tests` the native tests, with `image` the container image, with `cluster` that and Kubernetes; with `attacks` the packages of the tests and the attacks, with
 * `benches` the programs that Sluice is measured against. Does only what is missing or stale. Throws a SetupError with what
 * to do about it.
 */
export async function setup({ tests = false, attacks = false, benches = false, image = false, cluster = false }) {
  const started = Date.now();
  const remark = checkPrerequisites(root, { cluster });
  if (remark) console.log(remark);
  const interrupt = () => {
    stopCommands();
    process.exit(130);
  };
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  try {
    await withLock(join(buildFolder, "setup.lock"), async () => {
      await installPackages({
        ...basePackages,
        ...((tests || attacks) && testPackages),
        ...(attacks && attackPackages),
        ...(benches && benchPackages),
        ...((tests || attacks || benches || cluster) && peerPackages),
        ...((image || cluster) && imagePackages),
        ...(cluster && clusterPackages),
      });
      const built = await runSteps(buildSteps(root, { tests, image, cluster }), buildFolder);
      const elapsed = ((Date.now() - started) / 1000).toFixed(1);
      console.log(built === 0 ? `Set-up: all is there (${elapsed} s).` : `Set-up: ready after ${elapsed} s.`);
    });
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}
