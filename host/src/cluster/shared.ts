const MOST = 16_384;

/**
 * Gives equal values as one object, so that what many records have in common is in memory once. It remembers a bounded number of
 * them, and begins anew when there are more: values that are all different cost no more than that.
 */
export class Shared<Value> {
  private readonly known = new Map<string, Value>();

  /** @param text the same for equal values, and for no others */
  of(value: Value, text: string = JSON.stringify(value)): Value {
    const found = this.known.get(text);
    if (found !== undefined) return found;
    if (this.known.size === MOST) this.known.clear();
    this.known.set(text, value);
    return value;
  }
}
