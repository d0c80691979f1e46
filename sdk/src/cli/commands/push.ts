import { type Command, InvalidArgumentError } from "commander";
import { inspectModule } from "../../build/inspect.js";
import { ofModule, readInput } from "../files.js";
import { makeArtifact } from "../oci/artifact.js";
import { pushToLayout } from "../oci/layout.js";
import { Repository } from "../oci/registry.js";
import { parseTarget } from "../oci/target.js";
import { bytes, example, facts, type Io, type OutputOptions, withOutput } from "../shell.js";

interface PushOptions extends OutputOptions {
  annotation?: Record<string, string>;
  source?: string;
  plainHttp?: boolean;
  /** Seconds. */
  timeout: number;
}

export function addPush(program: Command, io: Io): void {
  const command = program
    .command("push")
    .summary("put a module into an OCI layout or registry")
    .description(
      "Put a module into an OCI image layout (a folder) or a registry, as an image of the CNCF's Wasm artifact format.",
    )
    .argument("<file.wasm>", "the module")
    .argument("<target>", "registry/name:tag, or a folder; default tag: the module's version")
    .option("--source <url>", "where its source is, for the image's annotations")
    .option("--annotation <key=value>", "another annotation; may be repeated", annotations)
    .option("--plain-http", "speak to the registry without TLS")
    .option("--timeout <seconds>", "longest that one request may take", seconds, 60);
  withOutput(command).action(async (file: string, text: string, options: PushOptions) => {
    const wasm = await readInput(file);
    const { manifest: stage } = await ofModule(file, () => inspectModule(wasm));
    const target = parseTarget(text, stage.version);
    const source = options.source === undefined ? {} : { "org.opencontainers.image.source": options.source };
    const artifact = makeArtifact(wasm, stage, { ...source, ...options.annotation });
    let uploaded: number | undefined;
    if (target.kind === "layout") {
      await pushToLayout(target.folder, target.tag, artifact);
    } else {
      const access = { plainHttp: options.plainHttp ?? false, timeout: options.timeout * 1000 };
      uploaded = await new Repository(target.registry, target.repository, access).push(target.tag, artifact);
    }
    const { digest } = artifact.manifest.descriptor;
    const place = target.kind === "layout" ? target.folder : `${target.registry}/${target.repository}`;
    const result = { target: place, tag: target.tag, digest, layer: artifact.blobs[1]?.descriptor.digest ?? "" };
    io.out(options.output === "json" ? JSON.stringify(result) : resultText(result, uploaded));
  });
  example(
    command,
    "sluice-plugin push build/guard.wasm registry.example.com/team/guard:1.0.0",
    "logs in as `docker login` left it",
  );
}

/** @param uploaded bytes; of a registry */
function resultText(
  { target, tag, digest, layer }: { target: string; tag: string; digest: string; layer: string },
  uploaded?: number,
): string {
  const state = uploaded === 0 ? "nothing: all was there" : bytes(uploaded ?? 0);
  return facts([
    ["pushed", `${target}:${tag}`],
    ["image", digest],
    ["module", layer],
    ...(uploaded === undefined ? [] : [["uploaded", state] as const]),
  ]);
}

/** "key=value", added to what came before. */
function annotations(text: string, previous: Record<string, string> = {}): Record<string, string> {
  const { key, value } = /^(?<key>[^=]+)=(?<value>.*)$/.exec(text)?.groups ?? {};
  if (key === undefined || value === undefined) throw new InvalidArgumentError(`Found "${text}"; allowed: KEY=VALUE.`);
  return { ...previous, [key]: value };
}

function seconds(text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value <= 0)
    throw new InvalidArgumentError(`Found "${text}"; allowed: seconds above 0.`);
  return value;
}
