import { isExactObject } from "../exact-json.ts";

// The elements in which R4 http.html#trules has links replaced: references, elements of the types uri, url,
// oid, uuid and canonical, and links in narratives.
const linking = /^(?:reference|url|div|\w*(?:Uri|Url|Uuid|Oid|Canonical))$/u;

/**
 * A resource with links to the stored places of the linked entries. A conditional reference leads to the
 * result of `resolve`.
 */
export function relinked(
  value: unknown,
  places: ReadonlyMap<string, string>,
  resolve: (condition: string) => string,
): unknown {
  if (Array.isArray(value)) return value.map((item) => relinked(item, places, resolve));
  if (!isExactObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      typeof inner === "string" ? link(key, inner) : relinked(inner, places, resolve),
    ]),
  );

  function link(key: string, written: string): string {
    if (!linking.test(key)) return written;
    if (key === "div")
      return written.replaceAll(
        /(?<before>(?:href|src)=")(?<url>[^"]*)/gu,
        (whole, before: string, url: string) => {
          const place = places.get(url);
          return place === undefined ? whole : `${before}${place}`;
        },
      );
    const place = places.get(written);
    if (place !== undefined) return place;
    return key === "reference" && /^[A-Z][A-Za-z]*\?/u.test(written) ? resolve(written) : written;
  }
}
