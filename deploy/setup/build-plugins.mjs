// Builds plugins' modules: <folder>/assembly/index.ts becomes <folder>/build/<name>.wasm. Usage: build-plugins.mjs <folder...>
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { buildPlugin } from "@sluice/sdk/build";

for (const folder of process.argv.slice(2)) {
  const { wasm, warnings } = await buildPlugin({ entry: join(folder, "assembly", "index.ts") });
  for (const warning of warnings) console.warn(`${warning.file}: ${warning.message}`);
  const output = join(folder, "build");
  mkdirSync(output, { recursive: true });
  writeFileSync(join(output, `${basename(folder)}.wasm`), wasm);
  console.log(`${basename(folder)}: ${wasm.length} bytes`);
}
