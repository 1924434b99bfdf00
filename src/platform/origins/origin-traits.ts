import type { OriginCapabilities, OriginTraits } from "#fhir/ports";
import type { OriginEntry } from "#registry/state";

const traitsOfEntries = new WeakMap<OriginEntry, OriginTraits>();

/** The registered behaviour of an origin's server, made once for each copy of an entry. */
export function originTraits(entry: OriginEntry): OriginTraits {
  let traits = traitsOfEntries.get(entry);
  if (traits === undefined) traitsOfEntries.set(entry, (traits = traitsOf(entry)));
  return traits;
}

const traitsOf = ({
  url,
  alsoKnownAs = [],
  transactions,
  honoursIfMatchOnDelete = false,
  leasedWrites,
  capabilities,
  acceptsSearchInUrl = false,
  organization,
  consents,
  storage,
}: OriginEntry): OriginTraits => ({
  base: [url, ...alsoKnownAs],
  transactions,
  honoursIfMatchOnDelete,
  leasedWrites: leasedWrites && new Set(leasedWrites),
  capabilities: capabilities === undefined ? {} : capabilitiesOf(capabilities),
  acceptsSearchInUrl,
  organization,
  consents,
  storage: storage?.map(({ base }) => base),
});

type Registered = NonNullable<OriginEntry["capabilities"]>;
const known = new WeakMap<Registered, OriginCapabilities>();

/** The registered lists as sets, made once for each copy of an entry. */
function capabilitiesOf(registered: Registered): OriginCapabilities {
  const before = known.get(registered);
  if (before !== undefined) return before;
  const types =
    registered.types &&
    new Map(
      Object.entries(registered.types).map(([type, { interactions, search }]) => [
        type,
        { interactions: new Set<string>(interactions), search: new Set(search) },
      ]),
    );
  const capabilities = { ...registered, types };
  known.set(registered, capabilities);
  return capabilities;
}
