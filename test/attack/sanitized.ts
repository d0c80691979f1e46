import { join } from "node:path";
import { root } from "../support/dataplane.js";
import type { Attack, Setting } from "./attack.js";
import { runLogged } from "./command.js";

const BUILD_MS = 30 * 60_000;
const TESTS_MS = 20 * 60_000;

interface Build {
  folder: string;
  definitions: string[];
}

/** With the compiler of every other build. */
const tests: Build = {
  folder: join(root, "build", "asan"),
  definitions: ["-DSLUICE_SANITIZE=address"],
};

/** With clang: libFuzzer is its own. */
const fuzzers: Build = {
  folder: join(root, "build", "fuzz"),
  definitions: [
    "-DCMAKE_C_COMPILER=clang",
    "-DCMAKE_CXX_COMPILER=clang++",
    "-DSLUICE_SANITIZE=address",
    "-DSLUICE_FUZZ=ON",
  ],
};

/** What a sanitizer does when it finds something: tell all and end. */
export const SANITIZER_ENV = {
  ASAN_OPTIONS: "detect_stack_use_after_return=1",
  UBSAN_OPTIONS: "print_stacktrace=1",
};

/** Builds a target with a sanitizer; the addon is left out. */
async function build(setting: Setting, { folder, definitions }: Build, target: string): Promise<void> {
  const configure = ["cmake", "-G", "Ninja", "-S", join(root, "native"), "-B", folder, "-DSLUICE_NODE_MODULES=none"];
  const limit = { timeoutMs: BUILD_MS };
  await runLogged(setting.cleanup, `build-${target}-configure.log`, [...configure, ...definitions], limit);
  await runLogged(setting.cleanup, `build-${target}.log`, ["cmake", "--build", folder, "--target", target], limit);
}

/** Builds a fuzzer. @returns its program. */
export async function buildFuzzer(setting: Setting, name: string): Promise<string> {
  await build(setting, fuzzers, `fuzz_${name}`);
  return join(fuzzers.folder, "fuzz", `fuzz_${name}`);
}

/** The native tests with the address and undefined-behaviour sanitizers. */
export const sanitizedTests: Attack = {
  name: "native-tests",
  about: "all native tests under the address and undefined-behaviour sanitizers",
  async run(setting) {
    await build(setting, tests, "all");
    const ctest = ["ctest", "--test-dir", tests.folder, "--output-on-failure", "--timeout", "600", "--no-tests=error"];
    const text = await runLogged(setting.cleanup, "native-tests.log", ctest, {
      env: SANITIZER_ENV,
      timeoutMs: TESTS_MS,
    });
    return /\d+% tests passed.*/.exec(text)?.[0] ?? "passed";
  },
};
