import { readdir } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { type Command, Option } from "commander";
import { CommandError, messageOf, systemCode } from "../errors.js";
import { writeOutput } from "../files.js";
import { type TemplateName, templateFiles, templateNames, templates } from "../scaffold/templates.js";
import { example, type Io } from "../shell.js";
import { SDK_VERSION, VITEST_RANGE } from "../version.js";

interface NewOptions {
  template: TemplateName;
  dir?: string;
  sdk: string;
}

export function addNew(program: Command, io: Io): void {
  const list = templateNames.map((name) => `  ${name.padEnd(10)} ${templates[name]}`).join("\n");
  const command = program
    .command("new")
    .summary("make a folder for a new plugin")
    .description("Make a folder for a new plugin: its source, a test that passes, and what editors and npm need.")
    .argument("<name>", "its name: lower-case words joined by -")
    .addOption(new Option("--template <name>", "what to begin with").choices(templateNames).default("filter"))
    .option("--dir <folder>", "where to make it; default: ./<name>")
    .option("--sdk <spec>", "the SDK to depend on, as for npm install: a version or a file", SDK_VERSION)
    .action(async (name: string, { template, dir = name, sdk }: NewOptions) => {
      checkName(name);
      await checkFolder(dir);
      const files = await templateFiles(template, name);
      const bench = files.has("config.json") ? "sluice-plugin bench --config config.json" : "sluice-plugin bench";
      files.set("package.json", packageJson(name, bench, sdkSpec(dir, sdk)));
      for (const [path, text] of files) await writeOutput(join(dir, path), text);
      const there = relative(process.cwd(), resolve(dir)) || ".";
      io.out(`${there}: ${name}, from the template ${template}\nnext: cd ${there} && npm install && npm test`);
    });
  command.addHelpText("after", `\nTemplates:\n${list}`);
  example(
    command,
    "sluice-plugin new my-limiter --template stateful",
    "then: cd my-limiter && npm install && npm test",
  );
}

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

function checkName(name: string): void {
  if (NAME.test(name) && name.length <= 64) return;
  const words = name.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  const proposal =
    words
      .join("-")
      .replace(/^[0-9-]+/, "")
      .slice(0, 64)
      .replace(/-$/, "") || "my-function";
  throw new CommandError(
    "name",
    `"${name}" is no name of a plugin`,
    `Lower-case words joined by - are, such as ${proposal}`,
  );
}

/** A new plugin gets a folder of its own. */
async function checkFolder(folder: string): Promise<void> {
  try {
    if ((await readdir(folder)).length === 0) return;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return;
    throw new CommandError("folder", messageOf(error), "Give another folder with --dir", folder, { cause: error });
  }
  throw new CommandError(
    "folder",
    "is there already, with files in it",
    "Give another name, or a folder with --dir",
    folder,
  );
}

/** What package.json says for a version, or for anything else that npm installs from; a path is meant from the present folder. */
function sdkSpec(dir: string, sdk: string): string {
  const isPath = !sdk.includes("://") && (/^(\.{0,2}\/|file:)/.test(sdk) || sdk.endsWith(".tgz"));
  return isPath ? `file:${relative(resolve(dir), resolve(sdk.replace(/^file:/, "")))}` : sdk;
}

function packageJson(name: string, bench: string, sdk: string): string {
  const contents = {
    name,
    version: "0.1.0",
    private: true,
    type: "module",
    scripts: { build: "sluice-plugin build", test: "sluice-plugin test", bench },
    devDependencies: { "@sluice/sdk": sdk, vitest: VITEST_RANGE },
  };
  return `${JSON.stringify(contents, null, 2)}\n`;
}
