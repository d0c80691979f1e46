import { readFileSync } from "node:fs";

interface OwnPackage {
  version: string;
  peerDependencies: { vitest: string };
}

const own = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as OwnPackage;

/** Of this SDK. */
export const SDK_VERSION = own.version;
/** The versions of vitest that the test harness works with. */
export const VITEST_RANGE = own.peerDependencies.vitest;
