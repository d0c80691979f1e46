#!/usr/bin/env node
// npm run bench: the set-up, then the benchmarks (test/bench).
import { setupThen } from "./setup/then.mjs";

// What needs Kubernetes is measured only where it is named.
const cluster = ["reflector", "plugins", "rollout"].some((name) => process.argv.includes(name));
await setupThen(() => import("../test/dist/bench/main.js"), { benches: true, cluster });
