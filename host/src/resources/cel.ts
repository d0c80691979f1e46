/**
 * What the API server checks of a value beyond its type: a rule in CEL, kept beside the check in zod that says the same.
 * @param path of the field meant, below the value that the rule is of
 */
export function celRule(rule: string, message: string, path?: string) {
  return celRules({ rule, message, ...(path === undefined ? {} : { fieldPath: path }) });
}

export function celRules(...rules: { rule: string; message: string; fieldPath?: string }[]) {
  return { "x-kubernetes-validations": rules };
}
