import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

/**
 * Copies this machine's `files` to `layer`, with the libraries that they and `users` are linked with. A path's links come
 * along: a library that had two files under two names would be loaded twice.
 * `isOwn`: whether a library is of this tree, and left out. Returns the real paths of what was copied.
 */
export function copyWithLibraries(layer, { files, users, isOwn }) {
  const copied = new Set();
  for (const file of files) copyWithLinks(layer, file, copied);
  for (const library of librariesOf([...files, ...users])) if (!isOwn(library)) copyWithLinks(layer, library, copied);
  return [...copied];
}

function librariesOf(files) {
  const programs = files.filter((file) => !/\.(driver|o)$/.test(file));
  const text = execFileSync("ldd", programs, { encoding: "utf8", maxBuffer: 64 << 20 });
  const missing = /(\S+) => not found/.exec(text);
  if (missing) throw new Error(`the library ${missing[1]} is not on this machine`);
  return new Set([...text.matchAll(/(\/\S+) \(0x/g)].map(([, library]) => library));
}

function copyWithLinks(layer, path, copied) {
  const place = join(realpathSync(dirname(path)), basename(path));
  const target = join(layer, place);
  if (lstatSync(target, { throwIfNoEntry: false }) !== undefined) return;
  mkdirSync(dirname(target), { recursive: true });
  if (lstatSync(place).isSymbolicLink()) {
    symlinkSync(readlinkSync(place), target);
    copyWithLinks(layer, resolve(dirname(place), readlinkSync(place)), copied);
    return;
  }
  copyFileSync(place, target);
  copied.add(place);
}

/** Says which packages the `files` are of, where scanners of images look for it, and copies their licences. */
export function describePackages(layer, files) {
  const folder = join(layer, "var/lib/dpkg/status.d");
  mkdirSync(folder, { recursive: true });
  for (const name of packagesOf(files)) {
    writeFileSync(join(folder, name), execFileSync("dpkg-query", ["--status", name]));
    const licence = `/usr/share/doc/${name}/copyright`;
    if (!existsSync(licence)) continue;
    mkdirSync(join(layer, dirname(licence)), { recursive: true });
    copyFileSync(licence, join(layer, licence));
  }
}

/** dpkg knows a file that was merged into /usr by its old path. */
function packagesOf(files) {
  const asked = files.flatMap((file) => [file, file.replace(/^\/usr/, "")]);
  const text = execFileSync("sh", ["-c", 'dpkg-query --search "$@" 2>/dev/null || true', "sh", ...asked], {
    encoding: "utf8",
  });
  const owners = text.split("\n").filter((line) => line !== "" && !line.startsWith("diversion"));
  return new Set(
    owners.flatMap((line) => line.slice(0, line.indexOf(": ")).split(", ")).map((name) => name.split(":")[0]),
  );
}
