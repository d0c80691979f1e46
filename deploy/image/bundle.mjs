import { dirname, join, relative } from "node:path";
import { rolldown } from "rolldown";

/**
 * The Kubernetes client does not say of its 1,500 classes that they can be left out: all that it does when it is loaded is
 * to make them, but for what makes up for older versions of Node.
 */
const KUBERNETES_CLIENT = /\/@kubernetes\/client-node\/dist\/(?!polyfill)/;
/** Of a module's path from the root: the folder of the npm package that it is of. */
const PACKAGE = /^(.*\/)?node_modules\/(@[^/]+\/)?[^/]+/;

/**
 * Makes few files of the programs `entries`, paths from `root`, and of all that they load: Node takes longer to find and compile
 * a thousand small files, most of which are not used, than to run them. What is loaded at its first use stays apart. Below `output` the
 * programs have the paths that they had; they run where that is `home`. Not minified: a stack has the names of the source.
 * @returns folders, from `root`, of the npm packages that are in them
 */
export async function bundle({ root, entries, output, home }) {
  const program = await rolldown({
    cwd: root,
    input: Object.fromEntries(entries.map((path) => [path.replace(/\.js$/, ""), join(root, path)])),
    platform: "node",
    // It loads the addon, and who tests a stage looks for it by its name.
    external: ["@sluice/native"],
    plugins: [inPlace(root, home)],
    treeshake: { moduleSideEffects: [{ test: KUBERNETES_CLIENT, sideEffects: false }] },
  });
  const { output: files } = await program.write({
    dir: output,
    format: "esm",
    chunkFileNames: "host/dist/[name]-[hash].js",
    comments: { legal: true, annotation: false, jsdoc: false },
  });
  const modules = files.flatMap(({ moduleIds = [] }) => moduleIds);
  return [...new Set(modules.flatMap((path) => PACKAGE.exec(relative(root, path))?.[0] ?? []))].sort();
}

/** A module finds the files that it looks for beside itself. */
function inPlace(root, home) {
  return {
    name: "in-place",
    transform(code, id) {
      const file = join(home, relative(root, id));
      return code
        .replaceAll("import.meta.url", JSON.stringify(`file://${file}`))
        .replace(/\b__dirname\b/g, JSON.stringify(dirname(file)));
    },
  };
}
