import type { Manifest } from "@sluice/native";
import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import { show, valueAt } from "../config/explain.js";
import { suggestion } from "../config/suggest.js";
import { messageOf, type Problem, pointerSegments, SluiceError } from "../errors.js";

/**
 * Checks a plugin's configuration against the JSON schema (2020-12) in its manifest. None given counts as an empty one.
 * @param at pointer of the configuration, which the problems' paths start with
 * @returns what is wrong; nothing when all is well
 * @throws SluiceError "invalid-config-schema" when the manifest's schema is none
 */
export function checkPluginConfig(manifest: Manifest, config: unknown, at: string): Problem[] {
  const { name, configSchema, segmentBytes } = manifest;
  if (segmentBytes === 0) {
    const message = `found ${show(config)}; allowed: nothing, as plugin ${name} takes no configuration`;
    return config === undefined ? [] : [{ code: "invalid-plugin-config", path: at, message }];
  }
  return checkAgainst(configSchema, config ?? {}, at);
}

function checkAgainst(schema: unknown, config: unknown, at: string): Problem[] {
  const validate = compile(schema, at);
  if (validate(config)) return [];
  return mostSpecific(validate.errors ?? []).map((error) => describe(error, config, at));
}

const OPTIONS = { allErrors: true, strict: false, verbose: true, validateFormats: false };
/** Knows what a schema is; made when the first one is compiled, which takes 100 ms. Schemas leave nothing in it. */
let meta: Ajv2020 | undefined;
/** By the manifests' schemas. */
const compiled = new WeakMap<object, ValidateFunction>();

function compile(schema: unknown, at: string): ValidateFunction {
  const object = Object(schema) as Record<string, unknown>;
  const known = compiled.get(object);
  if (known !== undefined) return known;
  try {
    const { $schema: _, ...plain } = object;
    meta ??= new Ajv2020(OPTIONS);
    if (!meta.validateSchema(plain)) throw new Error(`schema is invalid: ${meta.errorsText()}`);
    // Of a module that nobody vouches for: in an instance of its own, where its names take nobody's place.
    const validate = new Ajv2020({ ...OPTIONS, meta: false, validateSchema: false }).compile(plain);
    compiled.set(object, validate);
    return validate;
  } catch (error) {
    throw SluiceError.of(
      "invalid-config-schema",
      at,
      `the plugin's configSchema is no JSON schema: ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
}

/** Of an anyOf or oneOf only its own line, unless a branch got further into the value. */
function mostSpecific(errors: readonly ErrorObject[]): ErrorObject[] {
  const deeper = (error: ErrorObject) =>
    errors.some((other) => other.instancePath.startsWith(`${error.instancePath}/`));
  const inBranch = (error: ErrorObject) => /\/(anyOf|oneOf)\/\d+\//.test(error.schemaPath);
  const isChoice = (error: ErrorObject) => error.keyword === "anyOf" || error.keyword === "oneOf";
  const choices = errors.filter(isChoice).map(({ instancePath }) => instancePath);
  return errors.filter((error) => {
    if (error.keyword === "if") return false;
    if (isChoice(error)) return !deeper(error);
    return !(inBranch(error) && choices.includes(error.instancePath));
  });
}

function describe(error: ErrorObject, config: unknown, at: string): Problem {
  const path = at + error.instancePath;
  const value = valueAt(config, pointerSegments(error.instancePath));
  const problem = (message: string, place = path): Problem => ({ code: "invalid-plugin-config", path: place, message });
  const params: Record<string, unknown> = error.params;
  switch (error.keyword) {
    case "additionalProperties":
    case "unevaluatedProperties": {
      const key = String(params.additionalProperty ?? params.unevaluatedProperty);
      const known = Object.keys(Object(error.parentSchema?.properties));
      return problem(`unknown key "${key}"${suggestion(key, known)}; allowed: ${known.join(", ")}`, `${path}/${key}`);
    }
    case "required":
      return problem("missing; the plugin needs it", `${path}/${String(params.missingProperty)}`);
    case "enum": {
      const allowed = (Array.isArray(params.allowedValues) ? params.allowedValues : []).map(String);
      const hint = typeof value === "string" ? suggestion(value, allowed) : "";
      return problem(`found ${show(value)}${hint}; allowed: one of ${allowed.join(", ")}`);
    }
    default: {
      const doc = error.parentSchema?.description;
      const allowed = typeof doc === "string" ? ` (${doc})` : "";
      return problem(`found ${show(value)}; it ${error.message ?? "is not allowed"}${allowed}`);
    }
  }
}
