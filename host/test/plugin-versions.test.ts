import { describe, expect, test } from "vitest";
import type { KubeApi } from "../src/kube/api.js";
import { refusedText } from "../src/plugins/builder.js";
import type { Compilers } from "../src/plugins/compilers.js";
import { FETCH_LIMITS } from "../src/plugins/fetch.js";
import { PluginVersions } from "../src/reflector/plugin-versions.js";
import { parsePlugin } from "../src/resources/parse.js";
import type { ModuleStore } from "../src/store/module-store.js";
import type { Condition } from "../src/store/transaction.js";

const TEXT = "…";
const NOTHING_MADE = { digestOf: () => undefined, earlier: [] };

const plugin = (name: string, source: object) =>
  parsePlugin({ metadata: { name, uid: name, generation: 1 }, spec: { source } } as Parameters<typeof parsePlugin>[0]);

describe("a source that does not compile", () => {
  const versions = new PluginVersions({
    api: { get: async () => ({ data: { "index.ts": TEXT } }) } as unknown as KubeApi,
    modules: {} as ModuleStore,
    compilers: {
      compile: async () => Promise.reject(refusedText("plugin-build-failed", "no")),
    } as unknown as Compilers,
    limits: FETCH_LIMITS,
    fence: {} as Condition,
  });
  const reference = { namespace: "default", name: "texts", key: "index.ts" };

  test("is placed where its author finds it, also where two Plugins have the same", async () => {
    const all = [
      plugin("guard", { inline: TEXT }),
      plugin("other", { inline: TEXT }),
      plugin("third", { configMap: reference }),
    ];
    const results = await Promise.allSettled(all.map((each) => versions.make(each, NOTHING_MADE)));
    expect(results.map((result) => result.status === "rejected" && result.reason.problems[0].path)).toEqual([
      "Plugin guard /spec/source/inline",
      "Plugin other /spec/source/inline",
      "ConfigMap default/texts index.ts",
    ]);
  });
});
