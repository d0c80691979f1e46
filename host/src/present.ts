export type Present<Fields> = { [Key in keyof Fields]?: Exclude<Fields[Key], undefined> };

/** Only the keys that have a value. */
export function present<Fields extends object>(fields: Fields): Present<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<Fields>;
}
