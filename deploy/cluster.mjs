#!/usr/bin/env node
// npm run cluster: the set-up, then a Kubernetes cluster on this machine (test/cluster).
import { setupThen } from "./setup/then.mjs";

await setupThen(() => import("../test/dist/cluster/main.js"), { cluster: true });
