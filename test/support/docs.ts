import { spawnSync } from "node:child_process";
import {
  cpSync,
  type Dirent,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root } from "./dataplane.js";

// What a fence's info string makes of a block in the documentation:
//   ts                    a whole stage: it must build
//   <language> file=PATH  a file of the reader's folder; later commands find it
//   yaml config           a configuration of the plugin whose page it is, as a node file has it: the plugin must take it
//   sh                    commands that are run in the reader's folder, in the page's order
//   sh node               likewise, beside a running node
//   sh manual             commands that no test runs; their npm scripts must exist
//   text                  nothing to check: output, a drawing
//   ts signature          generated from a declaration (docs/generate)
//   ts fragment           a part of something

/** A fenced block of a page. */
export interface Block {
  /** Path of the page from the repository's root. */
  page: string;
  /** Of its first line of text, from 1. */
  line: number;
  language: string;
  /** What follows the language: "node", "file=stage.c", or nothing. */
  kind: string;
  text: string;
}

const unchecked = new Set(["text", "ts signature", "ts fragment"]);
const commands = new Set(["sh", "sh node", "sh manual"]);

/** Its info string. */
export const infoOf = (block: Block): string => `${block.language} ${block.kind}`.trim();
export const fileOf = (block: Block): string | undefined => /^file=(\S+)$/.exec(block.kind)?.[1];
export const isStage = (block: Block): boolean => infoOf(block) === "ts";
export const isConfig = (block: Block): boolean => infoOf(block) === "yaml config";
export const isCommands = (block: Block): boolean => commands.has(infoOf(block));
/** It says what is to be done with it. */
export const isKnown = (block: Block): boolean =>
  isStage(block) || isConfig(block) || isCommands(block) || fileOf(block) !== undefined || unchecked.has(infoOf(block));

/** Pages that readers are told things by. */
export function pages(): string[] {
  const packages = ["examples", "plugins"].flatMap((group) => [group, ...entries(group, isFolder)]);
  const folders = [".", "docs", "docs/reference", "sdk", "host", ...packages];
  return folders.flatMap((folder) => entries(folder, (entry) => entry.name.endsWith(".md"))).sort();
}

const isFolder = (entry: Dirent): boolean => entry.isDirectory();

function entries(folder: string, wanted: (entry: Dirent) => boolean): string[] {
  const found = readdirSync(join(root, folder), { withFileTypes: true }).filter(wanted);
  return found.map((entry) => join(folder, entry.name));
}

export function blocksOf(page: string): Block[] {
  const text = readFileSync(join(root, page), "utf8");
  return [...text.matchAll(/^```([^\n`]*)\n(.*?)^```$/gms)].map((match) => {
    const [language = "", ...kind] = (match[1] ?? "").trim().split(/\s+/);
    const line = text.slice(0, match.index).split("\n").length + 1;
    return { page, line, language, kind: kind.join(" "), text: match[2] ?? "" };
  });
}

/** The folder of a reader who follows a page: its files and commands, one after the other. */
export class Reader {
  readonly folder = mkdtempSync(join(tmpdir(), "sluice-docs-"));
  private at = this.folder;

  /**
   * `sdk`: npm's packages are there already, the SDK among them. `bin`: a folder to find programs in first. `copy`: a folder
   * of the repository that the reader begins with a copy of.
   */
  constructor(private readonly options: { sdk: boolean; bin?: string; copy?: string }) {
    const { copy } = options;
    const isSource = (path: string) => !/\/(?:node_modules|build)(?:\/|$)/.test(path.slice(root.length));
    if (copy !== undefined) cpSync(join(root, copy), this.folder, { recursive: true, filter: isSource });
    if (options.sdk) symlinkSync(join(root, "node_modules"), join(this.folder, "node_modules"));
  }

  /** Writes a block's file, or runs its commands. Throws with what the first one that failed has said. */
  follow(block: Block): void {
    const file = fileOf(block);
    if (file === undefined) {
      this.run(block);
      return;
    }
    mkdirSync(dirname(join(this.at, file)), { recursive: true });
    writeFileSync(join(this.at, file), block.text);
  }

  private run(block: Block): void {
    const place = join(this.folder, ".at");
    const { status, stdout, stderr, error } = spawnSync("bash", ["-e", "-c", `${block.text}\npwd > '${place}'`], {
      cwd: this.at,
      encoding: "utf8",
      timeout: 120_000,
      env: {
        ...process.env,
        SLUICE_REPOSITORY: root,
        PATH: [this.options.bin, process.env.PATH].filter(Boolean).join(":"),
        npm_config_prefer_offline: "true",
        npm_config_update_notifier: "false",
      },
    });
    if (error) throw error;
    if (status !== 0)
      throw new Error(`${block.page}:${block.line} ended with ${status}\n${block.text}${stdout}${stderr}`);
    this.at = readFileSync(place, "utf8").trim();
  }

  end(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
