import { clientOf, operatorOf, readDevFile, type DevClient, type DevFile } from "./dev-file.ts";
import { UnusableName } from "../misuse.ts";
import { readProfile, readToken, selectedProfile, type Profile } from "./profile.ts";

/** The members that name a deployment to call; a missing member throws when it is read. */
export type Deployment = Pick<DevFile, "gateway" | "fhir" | "tokenEndpoint" | "ops" | "issuers"> & {
  /** PEM file of the authority; undefined: the system's. */
  readonly ca: string | undefined;
};

/** The deployment that a command calls: the sandbox of a state folder, or the profile of `--profile`. */
export interface OpenDeployment {
  readonly deployment: Deployment;
  client(id: string): DevClient;
  /** The operator, and the access token that the profile stores. */
  operator(id: string | undefined): {
    readonly cert: string;
    readonly key: string;
    readonly token: string | undefined;
  };
}

export function openDeployment(state: string): OpenDeployment {
  const name = selectedProfile();
  if (name !== undefined) return placeOf(name, readProfile(name));
  const dev = readDevFile(state);
  return {
    deployment: dev,
    client: (id) => clientOf(dev, id),
    operator: (id) => ({ ...operatorOf(dev, id), token: undefined }),
  };
}

function placeOf(name: string, profile: Profile): OpenDeployment {
  const needed = (member: "gateway" | "issuer" | "fhir" | "tokenEndpoint"): string => {
    const value = profile[member];
    if (value !== undefined) return value;
    throw new Error(`profile ${name} has no gateway: \`phylax login ${name} --gateway URL\` adds it`);
  };
  return {
    deployment: {
      ca: profile.ca,
      ops: profile.ops,
      issuers: [],
      // The audience of a client's assertion. Commands that call the gateway use `fhir` and `tokenEndpoint`.
      get gateway() {
        return needed("issuer");
      },
      get fhir() {
        return needed("fhir");
      },
      get tokenEndpoint() {
        return needed("tokenEndpoint");
      },
    },
    client(id) {
      const clients = profile.clients ?? [];
      const client = clients.find((each) => each.id === id);
      if (client !== undefined) return client;
      const known = clients.length === 0 ? "" : `; it has: ${clients.map((each) => each.id).join(", ")}`;
      throw new UnusableName(
        `profile ${name} has no client ${id}${known}. ` +
          `\`phylax profile client ${id} --cert FILE --key FILE --profile ${name}\` adds it`,
      );
    },
    operator(id) {
      const { operator, signIn } = profile;
      if (id !== undefined && id !== operator.id)
        throw new UnusableName(`profile ${name} is of operator ${operator.id}, and not of ${id}`);
      const token = signIn === undefined ? undefined : readToken(name);
      if (signIn !== undefined && token === undefined)
        throw new Error(`not signed in: \`phylax login ${name}\``);
      return { ...operator, token };
    },
  };
}
