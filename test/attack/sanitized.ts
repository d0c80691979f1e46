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

/** With clang, since libFuzzer is its own; the fuzzers and the native tests share all that is not theirs. */
const memory: Build = {
  folder: join(root, "build", "asan"),
  definitions: ["-DSLUICE_SANITIZE=address", "-DSLUICE_FUZZ=ON"],
};

const threads: Build = { folder: join(root, "build", "tsan"), definitions: ["-DSLUICE_SANITIZE=thread"] };
const CHANGES = 3000;
const CHANGES_OF_SHORT = 100;
const RACES_MS = 20 * 60_000;

/** What a sanitizer does when it finds something: tell all and end. */
export const SANITIZER_ENV = {
  ASAN_OPTIONS: "detect_stack_use_after_return=1",
  UBSAN_OPTIONS: "print_stacktrace=1",
};

/** Builds a target with sanitizers; the addon is left out. */
async function build(setting: Setting, { folder, definitions }: Build, target: string): Promise<void> {
  const configure = [
    ...["cmake", "-G", "Ninja", "-S", join(root, "native"), "-B", folder, "-DSLUICE_NODE_MODULES=none"],
    ...["-DCMAKE_C_COMPILER=clang", "-DCMAKE_CXX_COMPILER=clang++", ...definitions],
  ];
  const limit = { timeoutMs: BUILD_MS };
  await runLogged(setting.cleanup, `build-${target}-configure.log`, configure, limit);
  await runLogged(setting.cleanup, `build-${target}.log`, ["cmake", "--build", folder, "--target", target], limit);
}

/** Builds a fuzzer. @returns its program. */
export async function buildFuzzer(setting: Setting, name: string): Promise<string> {
  await build(setting, memory, `fuzz_${name}`);
  return join(memory.folder, "fuzz", `fuzz_${name}`);
}

/** The native tests with the address and undefined-behaviour sanitizers. */
export const sanitizedTests: Attack = {
  name: "native-tests",
  about: "all native tests under the address and undefined-behaviour sanitizers",
  async run(setting) {
    await build(setting, memory, "native_tests");
    const ctest = [
      "ctest",
      "--test-dir",
      memory.folder,
      "--output-on-failure",
      "--timeout",
      "600",
      "--no-tests=error",
      "-j2",
    ];
    const text = await runLogged(setting.cleanup, "native-tests.log", ctest, {
      env: SANITIZER_ENV,
      timeoutMs: TESTS_MS,
    });
    return /\d+% tests passed.*/.exec(text)?.[0] ?? "passed";
  },
};

/** A node, and all that is done to it while packets go through it, under the thread sanitizer. */
export const races: Attack = {
  name: "races",
  about: "a node under the thread sanitizer, with packets, while all of it is changed and read",
  async run(setting) {
    await build(setting, threads, "sluice_races");
    const program = join(threads.folder, "races", "sluice_races");
    const suppressions = join(root, "native", "races", "suppressions.txt");
    const changes = setting.short ? CHANGES_OF_SHORT : CHANGES;
    const text = await runLogged(setting.cleanup, "races.log", [program, String(changes)], {
      env: { TSAN_OPTIONS: `suppressions=${suppressions}` },
      timeoutMs: RACES_MS,
    });
    return /^.* changes, .*$/m.exec(text)?.[0] ?? "nothing is reported";
  },
};
