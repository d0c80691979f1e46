import { afterAll, afterEach, beforeAll, describe, type TestContext } from "vitest";
import { Cleanup } from "../../support/cleanup.js";
import { burst } from "./burst.js";
import { failures } from "./failures.js";
import { policies } from "./policies.js";
import { reachability } from "./reachability.js";
import { restarts } from "./restarts.js";
import { services } from "./services.js";
import { World } from "./world.js";

// One cluster for all, since bringing one up takes the longest: every topic has a file beside this one.
const cleanup = new Cleanup();
let started: World | undefined;
const world = () => {
  if (started === undefined) throw new Error("the cluster did not come up");
  return started;
};

beforeAll(async () => {
  started = await World.start(cleanup);
});

afterAll(() => cleanup.close());

/** What is worth knowing of a cluster when a test on it failed. */
afterEach(async ({ task }: TestContext) => {
  if (task.result?.state === "fail" && started !== undefined) console.log(await started.cluster.diagnosis());
});

describe("Kubernetes on Sluice", () => {
  reachability(world);
  services(world);
  policies(world);
  restarts(world);
  burst(world);
  failures(world);
});
