import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { example, type OutputOptions, withOutput } from "@sluice/sdk/cli";
import { type Command, Option } from "commander";
import { messageOf, SluiceError, systemCode } from "../../errors.js";
import { durationMs, wholeNumber } from "../arguments.js";
import { type ClusterOptions, withCluster } from "../cluster/options.js";
import { type DumpFile, type DumpOptions, sysdump } from "../cluster/sysdump.js";
import { loadCluster } from "../connection.js";
import { untilInterrupted } from "../interrupt.js";
import { bytes, type Io } from "../output.js";
import { TAR_END, tarEntry } from "../tar.js";

type SysdumpOptions = ClusterOptions & OutputOptions & DumpOptions & { write?: string };

export function addSysdump(program: Command, io: Io): void {
  const command = program
    .command("sysdump")
    .summary("collect all that tells what is wrong on a cluster, in one archive")
    .description(
      "Collect what there is to know of Sluice on a cluster in a tar.gz archive: its objects and their statuses, events, logs of all its containers, and of each node the dataplane's figures, plugins, drops and flows. No Secrets are read, values of environment variables and plugins' state in flows are left out; addresses and names of pods are in it.",
    )
    .option("-w, --write <file>", "where to; default: sluice-sysdump-<time>.tar.gz in this folder")
    .option("--flows <n>", "of each node at most this many", wholeNumber(1), 10_000)
    .option("--log-lines <n>", "of each container's log the last ones", wholeNumber(1), 5000)
    .addOption(
      new Option("--timeout <time>", "how long to wait for each node").argParser(durationMs).default(15_000, "15s"),
    );
  withCluster(withOutput(command)).action(async (options: SysdumpOptions) => {
    const cluster = await loadCluster(options);
    await cluster.pods(); // before a file is made
    const name = `sluice-sysdump-${new Date().toISOString().replace(/[:.]/g, "-").slice(0, 19)}`;
    const file = options.write ?? `${name}.tar.gz`;
    let files = 0;
    let size = 0;
    let problems = "";
    const noted = async function* (all: AsyncIterable<DumpFile>) {
      for await (const each of all) {
        files++;
        size += each.text.length;
        if (each.path === "errors.txt") problems = each.text;
        yield each;
      }
    };
    await untilInterrupted(io, async (interrupted) => {
      const archive = Readable.from(entries(name, noted(sysdump(cluster, options))));
      await writeAll(archive, file, interrupted);
    });
    const isWhole = problems.startsWith("everything");
    if (options.output === "json") io.out(JSON.stringify({ file, files, bytes: size, complete: isWhole }));
    else io.out(`${file}: ${files} files, ${bytes(size)} before compression`);
    if (!isWhole) io.err(problems.trimEnd());
  });
  example(command, "sluice sysdump -w dump.tar.gz", "attach it to a report of what is wrong");
}

async function* entries(folder: string, files: AsyncIterable<DumpFile>): AsyncGenerator<Buffer> {
  for await (const { path, text } of files) {
    yield tarEntry({ path: `${folder}/${path}`, content: Buffer.from(text), at: Date.now() });
  }
  yield TAR_END;
}

/** The file is there once it is whole. @throws SluiceError "unwritable-file", "interrupted" */
async function writeAll(archive: Readable, file: string, signal: AbortSignal): Promise<void> {
  const part = `${file}.part`;
  try {
    await pipeline(archive, createGzip(), createWriteStream(part), { signal });
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true });
    if (signal.aborted) throw SluiceError.of("interrupted", file, "no archive was written", { cause: error });
    if (systemCode(error) === undefined) throw error;
    throw SluiceError.of("unwritable-file", file, messageOf(error), { cause: error });
  }
}
