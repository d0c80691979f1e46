import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/**
 * Folders, from `root`, of the npm packages that the workspace `name` needs to run, with those that they need; those that
 * are members of this tree are looked through, not named.
 */
export function productionPackages(root, name) {
  const found = new Set();
  const members = new Set();
  visit(join(root, name));
  return [...found].sort();

  function visit(folder) {
    const { dependencies = {}, optionalDependencies = {} } = manifestOf(folder);
    for (const dependency of Object.keys({ ...dependencies, ...optionalDependencies })) {
      // Types only.
      if (dependency.startsWith("@types/")) continue;
      const where = resolve(folder, dependency);
      if (where === undefined && dependency in optionalDependencies) continue;
      if (where === undefined) throw new Error(`${folder} needs ${dependency}, which is not installed: run npm ci`);
      const { isMember, path } = where;
      const known = isMember ? members : found;
      if (known.has(path)) continue;
      known.add(path);
      visit(join(root, path));
    }
  }

  /** As Node looks for it: in the folder's own node_modules, then in those above. */
  function resolve(from, dependency) {
    for (let folder = from; folder.startsWith(root); folder = dirname(folder)) {
      const path = join(folder, "node_modules", dependency);
      if (existsSync(join(path, "package.json"))) return placeOf(path, dependency);
    }
    return undefined;
  }

  function placeOf(path, dependency) {
    const member = dependency.startsWith("@sluice/") ? dependency.slice("@sluice/".length) : undefined;
    return member === undefined ? { isMember: false, path: relative(root, path) } : { isMember: true, path: member };
  }
}

const manifestOf = (folder) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
