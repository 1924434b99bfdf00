import type { AuditEvent } from "#audit/event";

/** The names of a caller in records. A name that is absent matches each event. */
export interface CallerNames {
  readonly client?: string | undefined;
  /** `fhirUser`, or `sub` of the sign-in. */
  readonly user?: string | undefined;
  /** `x5t#S256`. */
  readonly certificate?: string | undefined;
  /** `kid` of the key that signed the token, or `jkt` of the key that the caller proved. */
  readonly "key-id"?: string | undefined;
  /** `jti`. */
  readonly token?: string | undefined;
}

/** Answers whether an event is of a caller with these names. */
export const isOfCaller = (
  { who }: AuditEvent,
  { client, user, certificate, "key-id": keyId, token }: CallerNames,
): boolean =>
  (client === undefined || who?.client === client) &&
  (user === undefined || who?.user === user || who?.subject === user) &&
  (certificate === undefined || who?.certificate === certificate) &&
  (keyId === undefined || who?.keyId === keyId || who?.jkt === keyId) &&
  (token === undefined || who?.tokenId === token);
