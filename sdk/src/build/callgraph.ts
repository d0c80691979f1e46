// Which functions a compiled, not yet optimised module's exports can reach, from Binaryen's text format. There every
// function still has its AssemblyScript name, "folder/file/Class#method", and calls have places: `;;@ file.ts:3:14`.

import type { Place } from "./errors.js";

const functionStart = /^ \(func \$("(?:[^"\\]|\\.)*"|[^\s()]+)/;
const reference = /\((?:return_call|call|ref\.func) \$("(?:[^"\\]|\\.)*"|[^\s()]+)/;
const exported = /^ \(export "([^"]+)" \(func \$("(?:[^"\\]|\\.)*"|[^\s()]+)\)/;
const element = /^ \(elem /;
const name = /\$("(?:[^"\\]|\\.)*"|[^\s()]+)/g;
const location = /^\s*;;@ (.+):(\d+):(\d+)$/;
const unquote = (text: string): string => (text.startsWith('"') ? text.slice(1, -1) : text);

/** A call on the way from an export. */
export interface Step {
  function: string;
  /** Where the function before it calls it, or the nearest place in that function's own file before the call. */
  at?: Place;
}

export class CallGraph {
  /** Callers to their callees, each with the first place of such a call. */
  private readonly calls = new Map<string, Map<string, Place | undefined>>();
  private readonly indirect = new Set<string>();
  private readonly inTable = new Map<string, undefined>();
  private readonly exports = new Map<string, string>();

  constructor(text: string) {
    let current = "";
    let place: Place | undefined;
    for (const line of text.split("\n")) {
      const start = functionStart.exec(line);
      if (start) {
        current = unquote(start[1] as string);
        place = undefined;
        this.calls.set(current, new Map());
      } else if (line.includes(";;@ ")) {
        place = placeIn(line, current) ?? place;
      } else if (current === "") {
        this.readHead(line);
      } else {
        this.addCall(current, line, place);
      }
    }
  }

  private readHead(line: string): void {
    const out = exported.exec(line);
    if (out) this.exports.set(out[1] as string, unquote(out[2] as string));
    else if (element.test(line))
      for (const match of line.matchAll(name)) this.inTable.set(unquote(match[1] as string), undefined);
  }

  private addCall(from: string, line: string, place: Place | undefined): void {
    const called = reference.exec(line);
    const callees = this.calls.get(from);
    if (called && !callees?.has(unquote(called[1] as string))) callees?.set(unquote(called[1] as string), place);
    if (line.includes("(call_indirect")) this.indirect.add(from);
  }

  /** Every function of the module. */
  get functions(): Iterable<string> {
    return this.calls.keys();
  }

  /** A shortest path of calls from an export to a function that `isTarget` accepts; undefined when there is none. */
  pathFrom(exportName: string, isTarget: (name: string) => boolean): Step[] | undefined {
    const root = this.exports.get(exportName);
    if (root === undefined) return undefined;
    const cameFrom = new Map<string, { caller?: string; at?: Place }>([[root, {}]]);
    for (const current of cameFrom.keys()) {
      if (isTarget(current)) return pathTo(current, cameFrom);
      for (const [next, at] of this.callees(current))
        if (!cameFrom.has(next)) cameFrom.set(next, { caller: current, ...(at ? { at } : {}) });
    }
    return undefined;
  }

  private *callees(caller: string): Iterable<[string, Place | undefined]> {
    yield* this.calls.get(caller) ?? [];
    if (this.indirect.has(caller)) yield* this.inTable;
  }
}

/** A place in the library, in a function of the plugin's, is of what the compiler put there: it is not where the author looks. */
function placeIn(line: string, current: string): Place | undefined {
  const [, file = "", row, column] = location.exec(line) ?? [];
  if (file === "" || (file.startsWith("~lib/") && !current.startsWith("~lib/"))) return undefined;
  return { file, line: Number(row), column: Number(column) + 1 };
}

function pathTo(target: string, cameFrom: Map<string, { caller?: string; at?: Place }>): Step[] {
  const path: Step[] = [];
  for (let current: string | undefined = target; current !== undefined; ) {
    const { caller, at }: { caller?: string; at?: Place } = cameFrom.get(current) ?? {};
    path.unshift({ function: current, ...(at ? { at } : {}) });
    current = caller;
  }
  return path;
}
