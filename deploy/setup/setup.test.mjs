import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { withLock } from "./lock.mjs";
import {
  basePackages,
  benchPackages,
  clusterPackages,
  imagePackages,
  peerPackages,
  testPackages,
} from "./packages.mjs";
import { runSteps } from "./scheduler.mjs";
import { withoutServices } from "./services.mjs";
import { root } from "./setup.mjs";
import { tryOutput } from "./shell.mjs";
import { contentHash } from "./stamp.mjs";

let folder;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "setup-test-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

const shell = (text) => ({ command: "sh", args: ["-c", text] });
const at = (name) => join(folder, name);

/** A step that appends a line to `log` each time it runs, and makes `name`. */
const countingStep = (name, options = {}) => ({
  name,
  title: name,
  inputs: [at("input")],
  outputs: [at(name)],
  commands: () => [shell(`echo ${name} >> ${at("log")}; touch ${at(name)}`)],
  ...options,
});
const runs = () => (existsSync(at("log")) ? readFileSync(at("log"), "utf8").trim().split("\n") : []);

describe("steps", () => {
  test("run once, and again when an input changes or an output is gone", async () => {
    const steps = [countingStep("a")];
    writeFileSync(at("input"), "1");
    expect(await runSteps(steps, folder)).toBe(1);
    expect(await runSteps(steps, folder)).toBe(0);
    writeFileSync(at("input"), "2");
    expect(await runSteps(steps, folder)).toBe(1);
    rmSync(at("a"));
    expect(await runSteps(steps, folder)).toBe(1);
    expect(runs()).toEqual(["a", "a", "a"]);
  });

  test("run after those that they need, and again when those do", async () => {
    writeFileSync(at("input"), "1");
    const steps = [countingStep("a"), countingStep("b", { needs: ["a"], inputs: [] })];
    await runSteps(steps, folder);
    writeFileSync(at("input"), "2");
    await runSteps(steps, folder);
    expect(runs()).toEqual(["a", "b", "a", "b"]);
  });

  test("wait for those that they come after, and do not run again for them", async () => {
    writeFileSync(at("input"), "1");
    const slow = {
      ...countingStep("a"),
      commands: () => [shell(`sleep 0.2; echo a >> ${at("log")}; touch ${at("a")}`)],
    };
    const steps = [slow, countingStep("b", { after: ["a"], inputs: [] })];
    await runSteps(steps, folder);
    writeFileSync(at("input"), "2");
    await runSteps(steps, folder);
    expect(runs()).toEqual(["a", "b", "a"]);
  });

  test("one that fails shows the end of its log, stops the others and is not taken as done", async () => {
    const steps = [
      { ...countingStep("bad"), commands: () => [shell("echo first; echo the reason >&2; exit 3")] },
      { ...countingStep("long"), commands: () => [shell("sleep 60")] },
      countingStep("after", { needs: ["bad"] }),
    ];
    await expect(runSteps(steps, folder)).rejects.toThrow(
      /bad: sh -c .*failed \(3\)[\s\S]*first\nthe reason\nWhole log: .*bad\.log/,
    );
    expect(runs()).toEqual([]);
    await expect(runSteps(steps.slice(0, 1), folder)).rejects.toThrow(/the reason/);
  });
});

test("a hash changes with names and contents, and not with what builds make", () => {
  writeFileSync(at("one"), "1");
  const before = contentHash([folder]);
  writeFileSync(at("one"), "2");
  expect(contentHash([folder])).not.toBe(before);
  writeFileSync(at("one"), "1");
  expect(contentHash([folder])).toBe(before);
  spawnSync("mkdir", [at("build")]);
  writeFileSync(join(at("build"), "made"), "x");
  expect(contentHash([folder])).toBe(before);
  expect(contentHash([folder], "another compiler")).not.toBe(before);
});

test("two set-ups of a tree run one after the other, and a dead one's lock is taken over", async () => {
  const order = [];
  const work = (name) => async () => {
    order.push(`${name} begins`);
    await new Promise((wake) => setTimeout(wake, 100));
    order.push(`${name} ends`);
  };
  writeFileSync(at("lock"), "999999999"); // no process has this id
  await Promise.all([withLock(at("lock"), work("a")), withLock(at("lock"), work("b"))]);
  expect(order.map((line) => line.split(" ")[1])).toEqual(["begins", "ends", "begins", "ends"]);
  expect(existsSync(at("lock"))).toBe(false);
});

test("what is missing is said in one line each", () => {
  for (const name of ["apt-get", "npm", "node", "unshare", "true"]) {
    symlinkSync(tryOutput("which", [name]).trim(), at(name));
  }
  const env = { PATH: folder, HOME: folder, CARGO_HOME: folder };
  const result = spawnSync(process.execPath, [join(root, "deploy/setup/main.mjs")], { env, encoding: "utf8" });
  expect(result.status).toBe(1);
  expect(result.stderr.trim()).toMatch(/^missing: Rust is needed \(cargo, rustc .* or newer\): see \S+$/);
}, 60_000);

test("an unknown option is refused with the usage", () => {
  const result = spawnSync(process.execPath, [join(root, "deploy/setup/main.mjs"), "--fast"], { encoding: "utf8" });
  expect(result).toMatchObject({ status: 2, stderr: expect.stringContaining("unknown option --fast") });
});

test("every package has a reason, and is in one list", () => {
  const lists = [basePackages, peerPackages, benchPackages, testPackages, imagePackages, clusterPackages];
  const names = lists.flatMap(Object.keys);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  for (const reason of lists.flatMap(Object.values)) expect(reason.length).toBeGreaterThan(5);
});

describe("an installation of packages", () => {
  test("starts no service, and leaves no policy behind, not even when it fails", async () => {
    const policy = at("policy-rc.d");
    const asked = () => spawnSync(policy, ["docker-registry", "start"]).status;
    expect(await withoutServices(asked, policy)).toBe(101);
    expect(existsSync(policy)).toBe(false);
    const failing = async () => {
      throw new Error("apt-get failed");
    };
    await expect(withoutServices(failing, policy)).rejects.toThrow("apt-get failed");
    expect(existsSync(policy)).toBe(false);
  });

  test("goes by the machine's own policy where there is one", async () => {
    writeFileSync(at("policy-rc.d"), "theirs");
    await withoutServices(() => undefined, at("policy-rc.d"));
    expect(readFileSync(at("policy-rc.d"), "utf8")).toBe("theirs");
  });
});
