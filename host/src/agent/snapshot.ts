import { createReadStream } from "node:fs";
import { open, rename } from "node:fs/promises";
import { createInterface } from "node:readline";
import { messageOf, SluiceError, systemCode } from "../errors.js";
import type { ClusterView } from "./cluster-view.js";

// The view on the disk: a first line that says so, then a line of JSON for each record: [key, value].

const HEADER = "sluice-agent-snapshot 1";
/** The last line: without it the file was cut short. */
const END = "end";
const LINES_A_WRITE = 1000;

/** Takes the place of the file at once or not at all. */
export async function writeSnapshot(file: string, view: ClusterView): Promise<void> {
  const part = `${file}.part`;
  const handle = await open(part, "w", 0o600);
  try {
    let lines = [HEADER];
    for (const record of view.records()) {
      lines.push(JSON.stringify(record));
      if (lines.length < LINES_A_WRITE) continue;
      await handle.writeFile(`${lines.join("\n")}\n`);
      lines = [];
    }
    await handle.writeFile(`${[...lines, END].join("\n")}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(part, file);
}

/**
 * Fills an empty view. @returns false where there is no such file
 * @throws SluiceError "snapshot-corrupt", with the view as it was
 */
export async function readSnapshot(file: string, view: ClusterView): Promise<boolean> {
  const records: [string, string][] = [];
  try {
    const lines = createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY });
    let first: string | undefined;
    let last = "";
    for await (const line of lines) {
      first ??= line;
      last = line;
      if (line.startsWith("[")) records.push(JSON.parse(line) as [string, string]);
    }
    if (first !== HEADER || last !== END) throw new Error("it is of another version, or was cut short");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw SluiceError.of("snapshot-corrupt", file, `${messageOf(error)}; it is written anew once etcd answers`, {
      cause: error,
    });
  }
  if (records.some(([key]) => key.includes("/networkpolicies/"))) view.keepAllPods();
  for (const [key, value] of records) view.apply(key, value);
  return true;
}
