import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

// SLUICE_ADDON names another build of the addon, such as the sanitizers'.
const path = process.env.SLUICE_ADDON ?? fileURLToPath(new URL("../build/native/sluice.node", import.meta.url));
if (!existsSync(path)) {
  throw new Error(`the native addon is not built: ${path} does not exist; run the set-up (npm run setup) first`);
}

const addon = createRequire(import.meta.url)(path);

export const Dataplane = addon.Dataplane;
export const replaceProcess = addon.replaceProcess;

export function isSluiceNativeError(value) {
  return value instanceof Error && value.name === "SluiceNativeError";
}
