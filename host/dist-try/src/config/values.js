import { z } from "zod";
import { formatPrefix, isMulticast, isStationMac, networkOf, parseAddress, parsePrefix } from "./addresses.js";
// Building blocks of the schemas. Every message says what is allowed; config/explain.ts puts the value found before it.
/** A mapping with these keys and no others. The message of an unknown key is the list of known ones. */
export function mapping(shape) {
    const keys = Object.keys(shape).join(", ");
    return z.strictObject(shape, {
        error: (issue) => (issue.code === "unrecognized_keys" ? keys : `a mapping with the keys ${keys}`),
    });
}
export function integer(min, max, unit = "") {
    const error = `a whole number from ${min} to ${max}${unit === "" ? "" : ` (${unit})`}`;
    return z.int({ error }).min(min, { error }).max(max, { error });
}
export function oneOf(values) {
    return z.enum(values, { error: `one of ${values.join(", ")}` });
}
export function list(item, what) {
    return z.array(item, { error: `a list of ${what}` });
}
function text(error, allowed) {
    return z.string({ error }).refine(allowed, { error });
}
export const flag = z.boolean({ error: "true or false" });
export const nonEmpty = text("a text that is not empty", (value) => value !== "");
const NAME = /^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/;
export const isName = (value) => NAME.test(value);
/** Names of nodes, ports and plugins: they appear in file names, socket names and metrics. */
export const name = text("a name of up to 63 characters a-z 0-9 . _ -, with a letter or digit first and last", isName);
/** What the kernel takes as the name of an interface (IFNAMSIZ is 16 with the terminating zero). */
export const interfaceName = text("an interface name of up to 15 characters without spaces and slashes", (value) => /^[^\s/:]{1,15}$/.test(value) && value !== "." && value !== "..");
export const mac = text("a unicast MAC address such as 02:00:00:00:00:01", isStationMac);
export const address = text("an IPv4 or IPv6 address of one host such as 10.0.0.1 or fd00::1", (value) => {
    const parsed = parseAddress(value);
    return parsed !== undefined && !isMulticast(parsed);
});
/** An address of an interface and its subnet's length. */
export const interfaceAddress = text("an address and its prefix length such as 10.0.0.1/24 or fd00::1/64", (value) => {
    const parsed = parsePrefix(value);
    return parsed !== undefined && !isMulticast(parsed);
});
const PREFIX = "a prefix such as 10.0.0.0/24, fd00::/64 or 0.0.0.0/0";
export const prefix = z.string({ error: PREFIX }).superRefine((value, context) => {
    const parsed = parsePrefix(value);
    if (parsed === undefined) {
        context.addIssue({ code: "custom", message: PREFIX });
    }
    else if (formatPrefix(networkOf(parsed)) !== formatPrefix(parsed)) {
        context.addIssue({
            code: "custom",
            message: `${formatPrefix(networkOf(parsed))} (a prefix has no bits set after its length)`,
        });
    }
});
//# sourceMappingURL=values.js.map