import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { imageCommands, imagePaths } from "../image/commands.mjs";
import { tryOutput } from "./shell.mjs";
import { installWasmtime } from "./wasmtime.mjs";

/**
 * All that is built; see scheduler.mjs for a step's fields. `tests`: the native tests too, `image`: the container image too,
 * `cluster`: Kubernetes and the image too.
 */
export function buildSteps(root, { tests, image, cluster }) {
  const at = (...parts) => join(root, ...parts);
  const npm = npmPackages(at);
  const abi = abiConstants(at);
  const steps = [npm, wasmtime(at), abi, typescript(at), plugins(at), addon(at), programs(at)];
  return [
    ...steps,
    ...(tests ? [nativeTests(at)] : []),
    ...(image || cluster ? [sluiceImage(root, at)] : []),
    ...(cluster ? [kubernetes(at), helm(at), images(at)] : []),
  ];
}

/** Folders of `group` that are npm packages. */
function members(at, group) {
  if (!existsSync(at(group))) return [];
  return readdirSync(at(group))
    .map((name) => at(group, name))
    .filter((folder) => existsSync(join(folder, "package.json")));
}

/** A fresh clone gets exactly the lock file; a tree that is in use is brought up to date without being removed first. */
function npmPackages(at) {
  const installed = at("node_modules", ".package-lock.json");
  const folders = [at(), at("sdk"), at("native"), at("host"), ...members(at, "plugins"), ...members(at, "examples")];
  return {
    name: "npm",
    title: "npm packages",
    inputs: [at("package-lock.json"), ...folders.map((folder) => join(folder, "package.json"))],
    outputs: [installed],
    commands: () => [
      {
        command: "npm",
        args: [...(existsSync(installed) ? ["install", "--no-save"] : ["ci"]), "--no-audit", "--no-fund"],
        cwd: at(),
      },
    ],
  };
}

function wasmtime(at) {
  const manifest = at("native", "wasmtime", "Cargo.toml");
  const target = at("build", "wasmtime-target");
  const destination = at("build", "wasmtime");
  // The library is shipped: it tells users nothing of the tree that it was built in.
  const flags = `--remap-path-prefix=${at()}=sluice`;
  return {
    name: "wasmtime",
    title: "Wasmtime's C API (2 to 3 minutes on two cores)",
    inputs: [at("native", "wasmtime")],
    extra: tryOutput("rustc", ["--version"]) + flags,
    outputs: [join(destination, "lib", "libsluice_wasmtime.so"), join(destination, "include", "wasmtime", "conf.h")],
    commands: () => [
      {
        command: "cargo",
        args: ["build", "--release", "--locked", "--manifest-path", manifest],
        env: { CARGO_TARGET_DIR: target, RUSTFLAGS: flags },
      },
    ],
    finish: () => installWasmtime(manifest, target, destination),
  };
}

function abiConstants(at) {
  const script = at("sdk", "abi", "generate.mjs");
  return {
    name: "abi",
    title: "ABI constants",
    inputs: [at("sdk", "abi")],
    outputs: [
      at("native", "src", "generated", "abi.h"),
      at("sdk", "include", "generated", "sluice_abi.h"),
      at("sdk", "assembly", "generated", "abi.ts"),
      at("sdk", "src", "generated", "abi.ts"),
    ],
    commands: () => [{ command: process.execPath, args: [script] }],
  };
}

function typescript(at) {
  const projects = ["sdk", "host", "test"];
  // Of packages that are tested by what is only checked.
  const tested = [at("sdk"), at("host"), ...members(at, "plugins"), ...members(at, "examples")];
  return {
    name: "typescript",
    title: "TypeScript",
    needs: ["npm", "abi"],
    inputs: [
      at("tsconfig.json"),
      at("tsconfig.base.json"),
      at("native", "index.d.ts"),
      ...projects.flatMap((project) => [at(project, "tsconfig.json"), at(project, "src")]),
      at("plugins", "tsconfig.json"),
      at("examples", "tsconfig.json"),
      ...tested.map((folder) => join(folder, "test")),
      at("docs", "generate"),
      ...["support", "demo", "e2e", "bench", "cluster", "attack", "host-native", "docs"].map((part) =>
        at("test", part),
      ),
    ],
    outputs: projects.map((project) => at(project, "dist")),
    commands: () => [
      { command: process.execPath, args: [at("node_modules", "typescript", "bin", "tsc"), "-b"], cwd: at() },
    ],
  };
}

/** With the SDK's command, as any author builds a plugin. */
function plugins(at) {
  const folders = members(at, "plugins");
  const output = (folder) => join(folder, "build", `${basename(folder)}.wasm`);
  const command = at("sdk", "bin", "sluice-plugin.mjs");
  return {
    name: "plugins",
    title: "plugins (AssemblyScript)",
    needs: ["npm", "abi"],
    after: ["typescript"],
    inputs: [at("sdk", "assembly"), at("sdk", "src"), at("sdk", "bin"), ...folders],
    outputs: folders.map(output),
    commands: () => [
      { command: "mkdir", args: ["-p", ...folders.map((folder) => join(folder, "build"))] },
      ...folders.map((folder) => ({
        command: process.execPath,
        args: [command, "build", join(folder, "assembly", "index.ts"), "-o", output(folder)],
      })),
    ],
  };
}

function cmakeStep(at, { name, title, needs, inputs, outputs, targets, definitions }) {
  const build = at("build", "native");
  return {
    name,
    title,
    needs: ["npm", "wasmtime", "abi", ...needs],
    inputs: [at("native", "CMakeLists.txt"), at("native", "src"), ...inputs],
    outputs,
    commands: () => [
      { command: "cmake", args: ["-G", "Ninja", "-S", at("native"), "-B", build, ...definitions] },
      { command: "cmake", args: ["--build", build, ...targets.flatMap((target) => ["--target", target])] },
    ],
  };
}

function addon(at) {
  return cmakeStep(at, {
    name: "addon",
    title: "native addon",
    needs: [],
    inputs: [],
    outputs: [at("build", "native", "sluice.node")],
    targets: ["sluice_addon"],
    definitions: [],
  });
}

/** Waits for the addon, since both build in one folder. */
function programs(at) {
  return cmakeStep(at, {
    name: "programs",
    title: "native programs",
    needs: ["addon"],
    inputs: [at("native", "cni"), at("native", "uplink"), at("host", "proto", "sluice", "v1", "cni.proto")],
    outputs: ["sluice-cni", "sluice-uplink"].map((program) => at("build", "native", program)),
    targets: ["sluice-cni", "sluice-uplink"],
    definitions: [],
  });
}

/** Waits likewise. */
function nativeTests(at) {
  return cmakeStep(at, {
    name: "native-tests",
    title: "native tests",
    needs: ["programs"],
    inputs: [at("native", "test")],
    outputs: [at("build", "native", "CTestTestfile.cmake")],
    targets: ["all"],
    definitions: [],
  });
}

/** Of all of Sluice's programs: see deploy/image. */
function sluiceImage(root, at) {
  return {
    name: "image",
    title: "Sluice's image",
    needs: ["npm", "plugins", "addon", "programs"],
    after: ["typescript"],
    inputs: [
      ...["deploy/image", "deploy/cni", "host/bin", "host/proto", "host/src", "native/index.js"].map((path) =>
        at(path),
      ),
      ...["package.json", "host/package.json"].map((path) => at(path)),
    ],
    extra: tryOutput("node", ["--version"]),
    outputs: [imagePaths(root).archive],
    commands: () => imageCommands(root),
  };
}

/** Static, since some of them run in images without a C library. */
function kubernetes(at) {
  const module = at("test", "cluster", "kubernetes");
  const programs = at("build", "cluster", "programs");
  const [, version] = readFileSync(join(module, "go.mod"), "utf8").match(/k8s\.io\/kubernetes (v\S+)/);
  return {
    name: "kubernetes",
    title: "Kubernetes, etcd and CoreDNS (7 to 10 minutes on two cores when Go's cache is empty)",
    inputs: [module],
    extra: tryOutput("go", ["version"]),
    outputs: ["kubernetes", "coredns", "agnhost"].map((name) => join(programs, name)),
    commands: () => [
      {
        command: "go",
        args: [
          ...["build", "-trimpath", `-ldflags=-s -w -X k8s.io/component-base/version.gitVersion=${version}`],
          ...[`-o=${programs}/`, "./cmd/..."],
        ],
        cwd: module,
        env: { CGO_ENABLED: "0" },
      },
    ],
  };
}

/** After Kubernetes, with which it shares most of what is compiled. */
function helm(at) {
  const module = at("test", "cluster", "helm");
  const program = at("build", "cluster", "helm");
  return {
    name: "helm",
    title: "Helm",
    after: ["kubernetes"],
    inputs: [module],
    extra: tryOutput("go", ["version"]),
    outputs: [program],
    commands: () => [
      {
        command: "go",
        args: ["build", "-trimpath", "-ldflags=-s -w", `-o=${program}`, "helm.sh/helm/v3/cmd/helm"],
        cwd: module,
        env: { CGO_ENABLED: "0" },
      },
    ],
  };
}

function images(at) {
  const folder = at("build", "cluster", "images");
  return {
    name: "images",
    title: "images of the tests' pods",
    needs: ["kubernetes"],
    inputs: [at("test", "cluster", "images")],
    outputs: ["pause", "tools", "coredns", "etcd", "memif-peer"].map((name) => join(folder, `${name}.tar`)),
    commands: () => [
      {
        command: process.execPath,
        args: [at("test", "cluster", "images", "build.mjs"), at("build", "cluster", "programs"), folder],
      },
    ],
  };
}
