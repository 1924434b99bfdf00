/**
 * Memoizes a function of a text, keeping the newest `max` answers. Use it only for answers that depend on
 * the text alone and are settled plain data, because all requests of an isolate share them. `max` times the
 * longest text bounds the memory.
 */
export function memo<Value>(max: number, make: (text: string) => Value): (text: string) => Value {
  const known = new Map<string, Value>(); // oldest first
  return (text) => {
    const settled = known.get(text);
    if (settled !== undefined) return settled;
    const made = make(text);
    if (known.size >= max) known.delete(known.keys().next().value ?? "");
    known.set(text, made);
    return made;
  };
}
