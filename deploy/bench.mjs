#!/usr/bin/env node
// npm run bench: the set-up, then the benchmarks (test/bench).
import { setupThen } from "./setup/then.mjs";

await setupThen(() => import("../test/dist/bench/main.js"));
