import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** What `new` can begin with: a folder in sdk/templates/ each, beside what is common to all. */
export const templates = {
  filter: "Drops packets whose source address is in a list of prefixes.",
  rewrite: "Sets the DSCP of packets by their destination port.",
  stateful: "Gives each flow a quota of bytes, kept in the flow's state.",
  observer: "Counts packets, bytes and TCP connections, and changes nothing.",
} as const;

export type TemplateName = keyof typeof templates;
export const templateNames = Object.keys(templates) as TemplateName[];

const root = fileURLToPath(new URL("../../../templates", import.meta.url));
/** npm packs no .gitignore: it has another name here. */
const RENAMED: Record<string, string> = { gitignore: ".gitignore" };

/** A template's files by their path in the new folder, with {{name}}, {{what}} and {{config}} filled in. */
export async function templateFiles(template: TemplateName, name: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const folder of [join(root, template), join(root, "common")]) {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    for (const entry of entries.filter((each) => each.isFile())) {
      const path = join(entry.parentPath, entry.name);
      const relative = path.slice(folder.length + 1);
      files.set(RENAMED[relative] ?? relative, await readFile(path, "utf8"));
    }
  }
  const config = files.has("config.json") ? " --config config.json" : "";
  for (const [path, text] of files) {
    const filled = text.replaceAll("{{name}}", name).replaceAll("{{what}}", templates[template]);
    files.set(path, filled.replaceAll("{{config}}", config));
  }
  return files;
}
