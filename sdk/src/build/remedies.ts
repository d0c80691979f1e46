/** What to do about the compiler's errors that authors who know TypeScript meet first; by its diagnostic codes. */
const remedies: Record<number, string> = {
  2304: "Import it, from @sluice/sdk if it is the SDK's",
  6054: "Check the path of the import; the SDK is @sluice/sdk",
  2322: "AssemblyScript converts nothing by itself between types of different size: cast with <u32>value",
  2365: "Give both sides the same type with a cast such as <u32>value",
  200: "Write the cast, such as <u32>value, or use the larger type",
};

export function remedyFor(code: number, message: string): string | undefined {
  if (message.includes("losures"))
    return "AssemblyScript has no closures: use a class, a top-level variable or a parameter";
  return remedies[code];
}

/** What to use instead of a part of AssemblyScript's library that needs the host. */
const imports: Record<string, string> = {
  "env.seed": "Instead of Math.random use the SDK's random() with mix()",
  "env.trace": "Instead of trace() note a TraceValue, which a packet's trace shows, or count with a Counter",
  "env.console.log": "Instead of console.log note a TraceValue, which a packet's trace shows",
  "env.Date.now": "Instead of Date.now use the SDK's wallTime() or now()",
  "env.performance.now": "Instead of performance.now use the SDK's now()",
};

export function importRemedy(message: string): string | undefined {
  return Object.entries(imports).find(([name]) => message.includes(name))?.[1];
}
