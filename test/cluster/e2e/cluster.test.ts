import { describe } from "vitest";
import { sharedWorld } from "../suite.js";
import { burst } from "./burst.js";
import { failures } from "./failures.js";
import { hostilePlugins } from "./hostile-plugins.js";
import { memif } from "./memif.js";
import { nodes } from "./nodes.js";
import { plugins } from "./plugins.js";
import { policies } from "./policies.js";
import { reachability } from "./reachability.js";
import { restarts } from "./restarts.js";
import { services } from "./services.js";
import { transport } from "./transport.js";
import { World } from "./world.js";

// One cluster for all, since bringing one up takes the longest: every topic has a file beside this one.
const world = sharedWorld(World.start, (started) => started.cluster.diagnosis());

describe("Kubernetes on Sluice", () => {
  reachability(world);
  services(world);
  policies(world);
  transport(world);
  restarts(world);
  burst(world);
  failures(world);
  memif(world);
  plugins(world);
  hostilePlugins(world);
  // The last one: from here on there is a third node.
  nodes(world);
});
