import { existsSync, rmSync, writeFileSync } from "node:fs";

/** Debian asks this program before a package's installation starts a service of the package; 101: it may not. */
const POLICY = "/usr/sbin/policy-rc.d";

/** Runs `work`, an installation of packages, so that it starts no service. A policy that the machine has stays as it is. */
export async function withoutServices(work, policy = POLICY) {
  if (existsSync(policy)) return work();
  const remove = () => rmSync(policy, { force: true });
  process.once("exit", remove); // an interrupted set-up too
  writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    return await work();
  } finally {
    process.off("exit", remove);
    remove();
  }
}
