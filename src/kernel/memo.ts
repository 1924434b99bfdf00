/**
 * A function of a text that remembers its newest answers, at most `max` of them. For what depends on the text alone and is settled plain
 * data, so that every request of an isolate may use it (DESIGN §4). `max` times the longest text bounds what it holds.
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
