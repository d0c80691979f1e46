#!/usr/bin/env node
// npm run crds: writes deploy/crds/ from the zod schemas in host/src/resources/.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crdFiles } from "../host/dist/resources/crd.js";

const folder = join(import.meta.dirname, "crds");
mkdirSync(folder, { recursive: true });
for (const { name, text } of crdFiles()) writeFileSync(join(folder, name), text);
