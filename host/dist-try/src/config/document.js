import { isMap, isNode, isScalar, LineCounter, parseDocument } from "yaml";
import { SluiceError } from "../errors.js";
/** A YAML (or JSON) text that knows where each of its values stands. */
export class ConfigDocument {
    file;
    document;
    lines;
    constructor(file, document, lines) {
        this.file = file;
        this.document = document;
        this.lines = lines;
    }
    /** @throws SluiceError "invalid-yaml" with a line for each mistake of syntax. */
    static parse(text, file) {
        const lines = new LineCounter();
        const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
        const mistakes = [...document.errors, ...document.warnings];
        if (mistakes.length > 0) {
            throw new SluiceError(mistakes.map(({ pos, message }) => {
                const { line, col } = lines.linePos(pos[0]);
                return { code: "invalid-yaml", path: `${file}:${line}:${col}`, message };
            }));
        }
        return new ConfigDocument(file, document, lines);
    }
    value() {
        return this.document.toJS({ maxAliasCount: 100 });
    }
    /** "file:line:column" of a value, or of its key; of the nearest parent that exists when it doesn't. */
    locate(segments, atKey = false) {
        let node = this.document.contents;
        let offset = isNode(node) ? startOf(node) : 0;
        for (const [depth, segment] of segments.entries()) {
            const child = step(node, segment);
            if (child === undefined)
                break;
            const last = depth === segments.length - 1;
            offset = (last && atKey) || child.value === undefined ? child.keyOffset : startOf(child.value);
            node = child.value;
        }
        const { line, col } = this.lines.linePos(offset);
        return `${this.file}:${line}:${col}`;
    }
}
function step(node, segment) {
    if (isMap(node)) {
        const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(segment));
        if (pair === undefined || !isNode(pair.key))
            return undefined;
        return { keyOffset: startOf(pair.key), value: isNode(pair.value) ? pair.value : undefined };
    }
    if (isNode(node) && "items" in node && Array.isArray(node.items)) {
        const item = node.items[Number(segment)];
        return isNode(item) ? { keyOffset: startOf(item), value: item } : undefined;
    }
    return undefined;
}
function startOf(node) {
    return node.range?.[0] ?? 0;
}
//# sourceMappingURL=document.js.map