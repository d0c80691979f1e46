import { afterAll, afterEach, beforeAll } from "vitest";
import { election } from "./election.js";
import { mirror } from "./mirror.js";
import { plugins } from "./plugins.js";
import { refusals } from "./refusals.js";
import { statuses } from "./statuses.js";
import { endReflectors, start, stop } from "./world.js";

// One API server for all, since starting it takes the longest: every topic has a file beside this one.
beforeAll(start, 180_000);
afterAll(stop);
afterEach(endReflectors);

refusals();
mirror();
statuses();
election();
plugins();
