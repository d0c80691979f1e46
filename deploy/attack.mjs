#!/usr/bin/env node
// npm run attack: the set-up with what the attacks need on top, then the attacks (test/attack).
import { setupThen } from "./setup/then.mjs";

await setupThen(() => import("../test/dist/attack/main.js"), { attacks: true });
