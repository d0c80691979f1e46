import { describe, expect, test } from "vitest";
import { formatProblem, SluiceError } from "../src/errors.js";
import type { KubeObject } from "../src/kube/api.js";
import { parsePipeline, parsePlugin } from "../src/resources/parse.js";
import { MAX_INLINE } from "../src/resources/plugin.js";

const INLINE = { inline: "export function process(batch: Batch): void {}" };
const SHA = "0".repeat(64);

const object = (spec: unknown, name = "guard"): KubeObject =>
  ({ metadata: { name, uid: "1", generation: 3 }, spec }) as KubeObject;

function problems(parse: () => unknown): string[] {
  try {
    parse();
    return [];
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    return error.problems.map(formatProblem);
  }
}

describe("a Plugin", () => {
  test("has defaults for all but its source", () => {
    expect(parsePlugin(object({ source: INLINE }))).toEqual({
      name: "guard",
      uid: "1",
      generation: 3,
      spec: {
        source: INLINE,
        before: [],
        after: [],
        priority: 0,
        placement: { nodeSelector: {}, packets: "All" },
        budgetUs: 10_000,
        resetFlowState: false,
        rollout: {
          strategy: "AllAtOnce",
          settleSeconds: 10,
          shadow: { packets: 1000, maxDifferences: 0, timeoutSeconds: 30 },
        },
      },
    });
  });

  const configMap = { namespace: "a", name: "b", key: "c" };
  const oci = (reference: string) => ({ source: { oci: { reference } } });
  const GOOD: [what: string, spec: object][] = [
    ["a ConfigMap", { source: { configMap } }],
    ["a URL with its digest", { source: { url: { url: "https://example.com/a.wasm", sha256: SHA } } }],
    ["an OCI tag", oci("registry.example.com:5000/team/guard:1.0.0")],
    ["an OCI digest", oci(`registry.example.com/team/guard@sha256:${SHA}`)],
    ["an OCI tag and digest", oci(`localhost/guard:1@sha256:${SHA}`)],
    ["any configuration", { source: INLINE, config: { any: [1, { thing: null }] } }],
    ["a configuration from a Secret", { source: INLINE, configFrom: { secret: configMap } }],
  ];
  test.each(GOOD)("takes %s", (_, spec) => {
    expect(problems(() => parsePlugin(object(spec)))).toEqual([]);
  });

  const url = (text: string, sha256 = SHA) => ({ source: { url: { url: text, sha256 } } });
  const BAD: [what: string, spec: object, places: string[]][] = [
    ["no source", {}, ["/spec/source"]],
    ["a source of no kind", { source: {} }, ["/spec/source"]],
    ["two sources", { source: { ...INLINE, configMap } }, ["/spec/source"]],
    ["an empty source", { source: { inline: "" } }, ["/spec/source/inline"]],
    ["too long a source", { source: { inline: "x".repeat(MAX_INLINE + 1) } }, ["/spec/source/inline"]],
    ["a URL of another scheme", url("file:///etc/passwd"), ["/spec/source/url/url"]],
    ["a URL with a password", url("https://me:secret@example.com/a.wasm"), ["/spec/source/url/url"]],
    ["a URL without a digest", { source: { url: { url: "https://example.com/a.wasm" } } }, ["/spec/source/url/sha256"]],
    ["a digest that is none", url("https://example.com/a.wasm", "abc"), ["/spec/source/url/sha256"]],
    ["a reference without a registry", oci("guard"), ["/spec/source/oci/reference"]],
    ["a reference with a short digest", oci("example.com/guard@sha256:00"), ["/spec/source/oci/reference"]],
    ["a hook that there is not", { source: INLINE, hooks: ["ingress"] }, ["/spec/hooks/0"]],
    ["no hook", { source: INLINE, hooks: [] }, ["/spec/hooks"]],
    ["a stage named twice", { source: INLINE, before: ["nat", "nat"] }, ["/spec/before"]],
    ["selectors of no pods", { source: INLINE, placement: { podSelector: {} } }, ["/spec/placement/packets"]],
    ["a configuration that is a list", { source: INLINE, config: [] }, ["/spec/config"]],
    ["two configurations", { source: INLINE, config: {}, configFrom: { configMap } }, ["/spec/configFrom"]],
    ["a configuration of one that replaces", { source: INLINE, replaces: "nat", config: {} }, ["/spec/replaces"]],
    ["one that replaces a stage that is not Sluice's", { source: INLINE, replaces: "srv6" }, ["/spec/replaces"]],
    ["a roll-out of another kind", { source: INLINE, rollout: { strategy: "Canary" } }, ["/spec/rollout/strategy"]],
  ];
  test.each(BAD)("refuses %s", (_, spec, places) => {
    const found = problems(() => parsePlugin(object(spec)));
    expect(found.map((line) => line.split(" ")[1]?.replace(/:$/, ""))).toEqual(places);
  });

  test.each(["nat", "policy", "policy-egress", "a/b", "x".repeat(64)])("can't be called %s", (name) => {
    expect(problems(() => parsePlugin(object({ source: INLINE }, name)))[0]).toMatch(
      /^invalid-name \/metadata\/name: /,
    );
  });
});

describe("a Pipeline", () => {
  const ROWS: [what: string, spec: object, places: string[]][] = [
    ["takes stages of some hooks", { hooks: { forward: ["guard", "policy"], output: [] } }, []],
    ["refuses a stage that is in a hook twice", { hooks: { forward: ["guard", "guard"] } }, ["/spec/hooks/forward"]],
    ["refuses a name that can be no stage's", { hooks: { forward: ["Guard"] } }, ["/spec/hooks/forward/0"]],
    ["refuses too high a priority", { priority: 1001 }, ["/spec/priority"]],
  ];
  test.each(ROWS)("%s", (_, spec, places) => {
    const found = problems(() => parsePipeline(object(spec)));
    expect(found.map((line) => line.split(" ")[1]?.replace(/:$/, ""))).toEqual(places);
  });
});
