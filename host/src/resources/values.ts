import { z } from "zod";
import { isName, nonEmpty } from "../config/values.js";
import { celRule } from "./cel.js";

// What several resources have in their specs. Unlike the node file's, all is bounded: the API server estimates what rules cost.

/** Kubernetes' own limit of a name. */
const MAX_OBJECT_NAME = 253;
export const MAX_STAGES = 64;

const objectName = nonEmpty.max(MAX_OBJECT_NAME, { error: `a name of up to ${MAX_OBJECT_NAME} characters` });

/** Of a Plugin, or of one of Sluice's own stages. */
export const stageName = z
  .string({ error: "a stage's name of up to 63 characters" })
  .max(63, { error: "a stage's name of up to 63 characters" })
  .refine(isName, { error: "a stage's name: characters a-z 0-9 . _ -, with a letter or digit first and last" })
  .meta({ pattern: "^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$" });

export const stageNames = z
  .array(stageName, { error: "a list of stages' names" })
  .max(MAX_STAGES, { error: `a list of at most ${MAX_STAGES} stages` })
  .superRefine((names, context) => {
    const repeated = names.find((name, index) => names.indexOf(name) !== index);
    if (repeated !== undefined)
      context.addIssue({ code: "custom", message: `each stage once, ${repeated} is repeated` });
  })
  // A set for the API server too: it refuses what is in it twice.
  .meta({ "x-kubernetes-list-type": "set" });

const RELEASE = "a word of up to 63 characters: letters, digits, . _ -";

/** What goes live together has the same one. */
export const release = z
  .string({ error: RELEASE })
  .regex(/^[A-Za-z0-9._-]{1,63}$/, { error: RELEASE })
  .optional();

/** A key of a ConfigMap or Secret. */
export const keyReference = z.object({
  namespace: objectName.describe("Its namespace."),
  name: objectName.describe("Its name."),
  key: objectName.describe("The key in it."),
});
export type KeyReference = z.output<typeof keyReference>;

export const objectReference = keyReference.omit({ key: true });
export type ObjectReference = z.output<typeof objectReference>;

export const labels = z.record(z.string(), z.string(), { error: "a mapping of labels" });

/** As Kubernetes has it: an empty one selects all. */
export const labelSelector = z.object({
  matchLabels: labels.optional().describe("Labels that must be so."),
  matchExpressions: z
    .array(
      z.object({
        key: objectName.describe("The label."),
        operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist"], {
          error: "one of In, NotIn, Exists, DoesNotExist",
        }),
        values: z.array(z.string()).max(64).optional().describe("Of In and NotIn."),
      }),
      { error: "a list of requirements" },
    )
    .max(32)
    .optional()
    .describe("Requirements that must all be met."),
});

/** Exactly one of these fields is there. */
export function oneField(fields: readonly string[]) {
  const message = `just one of ${fields.join(", ")}`;
  const count = fields.map((field) => `(has(self.${field}) ? 1 : 0)`).join(" + ");
  return {
    check: (value: Readonly<Record<string, unknown>>): boolean =>
      fields.filter((field) => value[field] !== undefined).length === 1,
    message,
    cel: celRule(`${count} == 1`, message),
  };
}
