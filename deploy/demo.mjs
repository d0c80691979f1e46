#!/usr/bin/env node
// npm run demo: the set-up, then the demo (test/demo).
import { setupThen } from "./setup/then.mjs";

await setupThen(() => import("../test/dist/demo/main.js"));
