import { contains, formatPrefix, parseAddress, parsePrefix } from "./addresses.js";
import { placed } from "./explain.js";
import { suggestion } from "./suggest.js";
export function duplicateNames(items, key) {
    return duplicates(items, (item) => item.name).map(({ index, value, first }) => placed([key, index, "name"], `"${value.name}" is also the name of ${key}[${first}]; allowed: a name of its own`));
}
export function duplicates(items, keyOf) {
    const seen = new Map();
    return items.flatMap((value, index) => {
        const key = keyOf(value);
        if (key === undefined)
            return [];
        const first = seen.get(key);
        if (first !== undefined)
            return [{ index, value, first }];
        seen.set(key, index);
        return [];
    });
}
/** A problem when `name` is none of `known`. */
export function checkReference(name, known, what, at) {
    if (known.includes(name))
        return [];
    const allowed = known.length === 0 ? `a ${what} of this file (there are none)` : `one of ${known.join(", ")}`;
    return [placed(at, `no ${what} is called "${name}"${suggestion(name, known)}; allowed: ${allowed}`)];
}
export function onLink(address, port) {
    const parsed = parseAddress(address);
    if (parsed === undefined)
        return false;
    const prefixes = [...port.addresses, ...(port.kind === "tap" ? port.peerAddresses : [])];
    return prefixes.some((text) => {
        const prefix = parsePrefix(text);
        return prefix !== undefined && contains(prefix, parsed);
    });
}
export function samePrefix(text) {
    const prefix = parsePrefix(text);
    return prefix === undefined ? text : formatPrefix(prefix);
}
//# sourceMappingURL=relations.js.map