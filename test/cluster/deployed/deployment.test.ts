import { describe } from "vitest";
import { sharedWorld } from "../suite.js";
import { changes } from "./changes.js";
import { commands } from "./commands.js";
import { install } from "./install.js";
import { otherwise } from "./otherwise.js";
import { uninstall } from "./uninstall.js";
import { World } from "./world.js";

// A cluster of its own, since all of Sluice is replaced and removed on it; a topic has a file beside this one.
const world = sharedWorld(World.start, (started) => started.deployment.diagnosis());

describe("Sluice deployed from its chart", () => {
  install(world);
  commands(world);
  changes(world);
  uninstall(world);
  otherwise(world);
});
