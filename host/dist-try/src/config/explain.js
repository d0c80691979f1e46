import { jsonPointer } from "../errors.js";
import { suggestion } from "./suggest.js";
/** Zod's issues as problems: the value found and what is allowed. `root` is what was parsed. */
export function explainIssues(issues, root) {
    return issues.flatMap((issue) => explainIssue(issue, root));
}
export function placed(segments, message, atKey = false) {
    return { problem: { code: "invalid-config", path: jsonPointer(segments), message }, segments, atKey };
}
function explainIssue(issue, root) {
    if (issue.code === "unrecognized_keys") {
        const known = issue.message.split(", ");
        return issue.keys.map((key) => placed([...issue.path, key], `unknown key "${key}"${suggestion(key, known)}; allowed: ${issue.message}`, true));
    }
    const value = valueAt(root, issue.path);
    const choices = choicesOf(issue);
    const allowed = issue.code === "invalid_union" && choices.length > 0 ? `one of ${choices.join(", ")}` : issue.message;
    if (value === undefined)
        return [placed(issue.path, `missing; allowed: ${allowed}`)];
    const hint = typeof value === "string" ? suggestion(value, choices) : "";
    return [placed(issue.path, `found ${show(value)}${hint}; allowed: ${allowed}`)];
}
function choicesOf(issue) {
    if (issue.code === "invalid_value")
        return issue.values.map(String);
    if (issue.code === "invalid_union" && "options" in issue && Array.isArray(issue.options))
        return issue.options.map(String);
    return [];
}
/** A value as JSON, cut to a line's worth. */
export function show(value) {
    const text = JSON.stringify(value) ?? String(value);
    return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}
export function valueAt(root, segments) {
    let value = root;
    for (const segment of segments) {
        if (typeof value !== "object" || value === null || !Object.hasOwn(value, segment))
            return undefined;
        value = Reflect.get(value, segment);
    }
    return value;
}
//# sourceMappingURL=explain.js.map