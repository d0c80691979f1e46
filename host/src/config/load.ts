import { dirname } from "node:path";
import { type Problem, pointerSegments, SluiceError } from "../errors.js";
import { readText } from "../readable-file.js";
import { checkNode } from "./checks.js";
import { ConfigDocument } from "./document.js";
import { explainIssues, type PlacedProblem } from "./explain.js";
import { type NodeFile, type NodeSpec, nodeFileSchema, nodeSpecSchema } from "./schema.js";

export interface LoadedNodeFile {
  readonly node: NodeFile;
  /** Folder that the file's relative paths start at. */
  readonly folder: string;
  /** Puts file:line:column before paths that are pointers into the file. */
  locate(problem: Problem): Problem;
}

/** Reads and checks a node file. @throws SluiceError with every problem found, each with file:line:column. */
export async function loadNodeFile(file: string): Promise<LoadedNodeFile> {
  return parseNodeFile(await readText(file), file);
}

export function parseNodeFile(text: string, file: string): LoadedNodeFile {
  const document = ConfigDocument.parse(text, file);
  const value = document.value();
  const parsed = nodeFileSchema.safeParse(value ?? {});
  const problems = parsed.success ? checkNode(parsed.data) : explainIssues(parsed.error.issues, value ?? {});
  if (!parsed.success || problems.length > 0) {
    const offset = ({ segments, atKey }: PlacedProblem) => document.offsetOf(segments, atKey);
    const inOrder = problems.sort((a, b) => offset(a) - offset(b));
    throw new SluiceError(inOrder.map((problem) => inFile(problem, document)));
  }
  return {
    node: parsed.data,
    folder: dirname(file),
    locate: (problem) => (problem.path.startsWith("/") ? locatePointer(problem, document, value) : problem),
  };
}

/** Checks a spec that came from elsewhere (gRPC, the store). @throws SluiceError with JSON pointers. */
export function parseNodeSpec(value: unknown): NodeSpec {
  const parsed = nodeSpecSchema.safeParse(value);
  const problems = parsed.success ? checkNode(parsed.data) : explainIssues(parsed.error.issues, value);
  if (!parsed.success || problems.length > 0) throw new SluiceError(problems.map(({ problem }) => problem));
  return parsed.data;
}

function inFile({ problem, segments, atKey }: PlacedProblem, document: ConfigDocument): Problem {
  return { ...problem, path: `${document.locate(segments, atKey)} ${problem.path}`.trimEnd() };
}

/** A pointer that leads nowhere in the file may be a file's absolute path. */
function locatePointer(problem: Problem, document: ConfigDocument, root: unknown): Problem {
  const segments = pointerSegments(problem.path);
  const [top = ""] = segments;
  const isPointer = top in nodeFileSchema.shape || (typeof root === "object" && root !== null && top in root);
  return isPointer ? { ...problem, path: `${document.locate(segments)} ${problem.path}` } : problem;
}
