/** Makes something of an object once: what is asked of the same object again is what was made, for as long as the object lives. */
export function perObject<Key extends object, Value>(make: (object: Key) => Value): (object: Key) => Value {
  const made = new WeakMap<Key, Value>();
  return (object) => {
    const value = made.get(object) ?? make(object);
    made.set(object, value);
    return value;
  };
}
