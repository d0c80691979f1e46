#!/usr/bin/env node
// npm run manifests: writes deploy/manifests/ from the chart, with its default values, for those who install without Helm,
// and before that into the chart's schema of values what nodeConfig may be.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setup } from "./setup/setup.mjs";

await setup({ cluster: true });
const { manifestFiles, valuesSchema } = await import("../test/dist/cluster/manifests.js");
writeFileSync(join(import.meta.dirname, "chart", "values.schema.json"), valuesSchema());
const folder = join(import.meta.dirname, "manifests");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
for (const { name, text } of await manifestFiles()) writeFileSync(join(folder, name), text);
