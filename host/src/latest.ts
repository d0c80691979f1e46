/** The function with its last result kept: the same arguments (===) give the same object again. */
export function latest<Arguments extends readonly unknown[], Value>(
  compute: (...values: Arguments) => Value,
): (...values: Arguments) => Value {
  let last: { values: Arguments; result: Value } | undefined;
  return (...values) => {
    const isSame =
      last?.values.length === values.length && last.values.every((value, index) => value === values[index]);
    if (last === undefined || !isSame) last = { values, result: compute(...values) };
    return last.result;
  };
}
