import { writeFile } from "node:fs/promises";
import { buildPlugin } from "./build.js";
import { BuildError, formatDiagnostic } from "./errors.js";

const usage =
  "Usage: sluice-plugin build <entry.ts> -o <out.wasm>\nExample: sluice-plugin build assembly/index.ts -o policy.wasm\n";

/** The `sluice-plugin` command; returns its exit code. */
export async function main(args: string[]): Promise<number> {
  const [command, entry, flag, out] = args;
  if (args.includes("--help")) {
    process.stdout.write(usage);
    return 0;
  }
  if (command !== "build" || entry === undefined || flag !== "-o" || out === undefined || args.length > 4) {
    process.stderr.write(usage);
    return 2;
  }
  try {
    const { wasm, manifest, digest, warnings } = await buildPlugin({ entry });
    for (const warning of warnings) process.stderr.write(`warning: ${formatDiagnostic(warning)}\n`);
    await writeFile(out, wasm);
    process.stdout.write(`${out}: ${manifest.name} ${manifest.version}, ${wasm.length} bytes, sha256 ${digest}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
}
