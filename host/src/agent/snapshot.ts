import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { writeDurably } from "../durable-file.js";
import { messageOf, SluiceError, systemCode } from "../errors.js";
import type { ClusterView } from "./cluster-view.js";

// The view on the disk: a first line that says so, then a line of JSON for each record: [key, value].

const HEADER = "sluice-agent-snapshot 1";
/** The last line: without it the file was cut short. */
const END = "end";
const LINES_A_WRITE = 1000;

/** Takes the place of the file at once or not at all. */
export async function writeSnapshot(file: string, view: ClusterView): Promise<void> {
  await writeDurably(file, partsOf(view));
}

function* partsOf(view: ClusterView): Iterable<string> {
  let lines = [HEADER];
  for (const record of view.records()) {
    lines.push(JSON.stringify(record));
    if (lines.length < LINES_A_WRITE) continue;
    yield `${lines.join("\n")}\n`;
    lines = [];
  }
  yield `${[...lines, END].join("\n")}\n`;
}

/**
 * Fills an empty view. @returns false where there is no such file
 * @throws SluiceError "snapshot-corrupt", with the view as it was
 */
export async function readSnapshot(file: string, view: ClusterView): Promise<boolean> {
  let hasPolicies = false;
  try {
    let first: string | undefined;
    let last = "";
    for await (const line of linesOf(file)) {
      first ??= line;
      last = line;
      if (!line.startsWith("[")) continue;
      const [key] = recordOf(line);
      hasPolicies ||= key.includes("/networkpolicies/");
    }
    if (first !== HEADER || last !== END) throw new Error("it is of another version, or was cut short");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw SluiceError.of("snapshot-corrupt", file, `${messageOf(error)}; it is written anew once etcd answers`, {
      cause: error,
    });
  }
  if (hasPolicies) view.keepAllPods();
  // Read twice: all of it at once is more than the view that it becomes.
  for await (const line of linesOf(file)) if (line.startsWith("[")) view.apply(...recordOf(line));
  return true;
}

function linesOf(file: string): AsyncIterable<string> {
  return createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY });
}

function recordOf(line: string): [key: string, value: string] {
  return JSON.parse(line) as [string, string];
}
