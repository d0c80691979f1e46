#!/usr/bin/env node
// npm test: the set-up, the native tests, then all TypeScript tests but those on Kubernetes. npm run test:cluster (--cluster):
// the set-up and the tests on Kubernetes. Both end with a line "N passed, N failed".
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, setup } from "../deploy/setup/setup.mjs";
import { SetupError } from "../deploy/setup/shell.mjs";

const results = join(root, "build", "results");

/** Counts of one run; a program that ended badly without a failed test counts as one failure. */
function counts(passed, failed, status) {
  return { passed, failed: failed === 0 && status !== 0 ? 1 : failed };
}

function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}

/** Every native test program under ctest; each writes its own JSON report. */
export function nativeTests(buildFolder, env = {}) {
  const reports = join(results, "native");
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(reports, { recursive: true });
  const { status } = spawnSync(
    "ctest",
    ["--test-dir", buildFolder, "--output-on-failure", "--timeout", "300", "--no-tests=error"],
    {
      stdio: "inherit",
      env: { ...process.env, GTEST_OUTPUT: `json:${reports}/`, ...env },
    },
  );
  const all = readdirSync(reports).map((name) => readJson(join(reports, name)));
  const sum = (field) => all.reduce((total, report) => total + report[field], 0);
  return counts(
    sum("tests") - sum("failures") - sum("errors") - sum("disabled"),
    sum("failures") + sum("errors"),
    status,
  );
}

function typescriptTests(args) {
  const report = join(results, "vitest.json");
  rmSync(report, { force: true });
  const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
  const { status } = spawnSync(
    process.execPath,
    [vitest, "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...args],
    {
      cwd: root,
      stdio: "inherit",
    },
  );
  if (!existsSync(report)) return counts(0, 0, status);
  const { numPassedTests, numFailedTests } = readJson(report);
  return counts(numPassedTests, numFailedTests, status);
}

async function allButCluster(args) {
  await setup({ tests: true });
  const native = nativeTests(join(root, "build", "native"));
  const typescript = typescriptTests(["--project=!cluster", ...args]);
  console.log(
    `native: ${native.passed} passed, ${native.failed} failed; TypeScript: ${typescript.passed} passed, ${typescript.failed} failed`,
  );
  return { passed: native.passed + typescript.passed, failed: native.failed + typescript.failed };
}

async function clusterTests(args) {
  await setup({ tests: true, cluster: true });
  return typescriptTests(["--project=cluster", ...args]);
}

const args = process.argv.slice(2);
try {
  const total = args[0] === "--cluster" ? await clusterTests(args.slice(1)) : await allButCluster(args);
  mkdirSync(results, { recursive: true });
  writeFileSync(join(results, "summary.json"), JSON.stringify(total));
  console.log(`${total.passed} passed, ${total.failed} failed`);
  process.exitCode = total.failed === 0 ? 0 : 1;
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
