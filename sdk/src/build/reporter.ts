import { type Node, placeOf } from "./ast.js";
import type { Diagnostic } from "./errors.js";
import { literalValue } from "./literals.js";
import type { Json } from "./manifest.js";

/** What is wrong with a source. */
export class Reporter {
  readonly diagnostics: Diagnostic[] = [];

  report(node: Node, code: string, message: string, remedy: string): void {
    this.diagnostics.push({ severity: "error", code, message, remedy, ...placeOf(node) });
  }

  /** The value of a literal; reports what is none. */
  constant(node: Node): Json {
    return literalValue(node, (part) => {
      const remedy = "Write the value itself: it is read before the program runs";
      this.report(part, "literal", "The build needs a literal here", remedy);
    });
  }
}
