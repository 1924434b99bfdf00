/**
 * The paths of a JSON document's members: `clients[].id`. The members of an object at one of `maps` are
 * names, so `*`.
 */
export function shapeOf(document: unknown, maps: ReadonlySet<string>): readonly string[] {
  return [...new Set(pathsIn(document, "", maps))].sort();
}

function pathsIn(value: unknown, at: string, maps: ReadonlySet<string>): readonly string[] {
  if (Array.isArray(value))
    return value.length === 0 ? [at] : value.flatMap((item: unknown) => pathsIn(item, `${at}[]`, maps));
  if (typeof value !== "object" || value === null) return [at];
  return Object.entries(value).flatMap(([name, member]: [string, unknown]) => {
    const step = maps.has(at) ? "*" : name;
    return pathsIn(member, at === "" ? step : `${at}.${step}`, maps);
  });
}
