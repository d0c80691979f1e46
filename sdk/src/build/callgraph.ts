// Which functions a compiled, not yet optimised module's exports can reach, from Binaryen's text format. There every
// function still has its AssemblyScript name: "folder/file/Class#method".

const functionStart = /^ \(func \$("(?:[^"\\]|\\.)*"|[^\s()]+)/;
const reference = /\((?:return_call|call|ref\.func) \$("(?:[^"\\]|\\.)*"|[^\s()]+)/g;
const exported = /^ \(export "([^"]+)" \(func \$("(?:[^"\\]|\\.)*"|[^\s()]+)\)/;
const element = /^ \(elem /;
const name = /\$("(?:[^"\\]|\\.)*"|[^\s()]+)/g;
const unquote = (text: string): string => (text.startsWith('"') ? text.slice(1, -1) : text);

export class CallGraph {
  private readonly calls = new Map<string, Set<string>>();
  private readonly indirect = new Set<string>();
  private readonly inTable = new Set<string>();
  private readonly exports = new Map<string, string>();

  constructor(text: string) {
    let current = "";
    for (const line of text.split("\n")) {
      const start = functionStart.exec(line);
      if (start) {
        current = unquote(start[1] as string);
        this.calls.set(current, new Set());
        continue;
      }
      const out = exported.exec(line);
      if (out) this.exports.set(out[1] as string, unquote(out[2] as string));
      else if (element.test(line))
        for (const match of line.matchAll(name)) this.inTable.add(unquote(match[1] as string));
      else if (current !== "") this.addCalls(current, line);
    }
  }

  private addCalls(from: string, line: string): void {
    for (const match of line.matchAll(reference)) this.calls.get(from)?.add(unquote(match[1] as string));
    if (line.includes("(call_indirect")) this.indirect.add(from);
  }

  /** Every function of the module. */
  get functions(): Iterable<string> {
    return this.calls.keys();
  }

  /** A shortest path of calls from an export to a function that `isTarget` accepts; undefined when there is none. */
  pathFrom(exportName: string, isTarget: (name: string) => boolean): string[] | undefined {
    const root = this.exports.get(exportName);
    if (root === undefined) return undefined;
    const cameFrom = new Map<string, string | undefined>([[root, undefined]]);
    for (const current of cameFrom.keys()) {
      if (isTarget(current)) return pathTo(current, cameFrom);
      for (const next of this.callees(current)) if (!cameFrom.has(next)) cameFrom.set(next, current);
    }
    return undefined;
  }

  private *callees(caller: string): Iterable<string> {
    yield* this.calls.get(caller) ?? [];
    if (this.indirect.has(caller)) yield* this.inTable;
  }
}

function pathTo(target: string, cameFrom: Map<string, string | undefined>): string[] {
  const path: string[] = [];
  for (let at: string | undefined = target; at !== undefined; at = cameFrom.get(at)) path.unshift(at);
  return path;
}
