import { CommandError } from "../errors.js";

/** Where an artifact goes. */
export type Target =
  | { kind: "layout"; folder: string; tag: string }
  | {
      kind: "registry";
      /** Host, with a port where one was given. */
      registry: string;
      repository: string;
      tag: string;
    };

const namePattern = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

/**
 * "registry.example.com/team/name:tag" when the part before the first slash looks like a host, else a folder; "./" before it
 * makes anything a folder. @param version the tag where none is given. Throws CommandError.
 */
export function parseTarget(text: string, version: string): Target {
  const standard = version.replaceAll("+", "_"); // which a tag can't hold
  const [host = "", ...rest] = text.split("/");
  const isHost = rest.length > 0 && host !== "." && host !== ".." && /^(localhost|.*[.:].*)$/.test(host);
  if (!isHost) return { kind: "layout", folder: text, tag: standard };
  const { repository = "", tag = standard } =
    /^(?<repository>[^:@]*)(:(?<tag>.*))?$/.exec(rest.join("/"))?.groups ?? {};
  if (!namePattern.test(repository)) {
    const remedy = "Write registry/name:tag, the name in lower case; for a folder put ./ before it";
    throw new CommandError("target", `"${text}" is no place in a registry`, remedy);
  }
  if (!tagPattern.test(tag)) {
    throw new CommandError("target", `"${tag}" is no tag`, "A tag has up to 128 letters, digits, and . _ -");
  }
  return { kind: "registry", registry: host, repository, tag };
}
