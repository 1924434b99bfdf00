import { err, ok, type Result } from "#kernel/result";
import { decimal } from "#ledger/tlog/checkpoint";
import { parseLogName } from "./log-name.ts";
import { ROOT_LOG } from "./root-log.ts";
import { rangeText, readRange } from "./frame-copies.ts";
import { parseTilePath, tilePath } from "#ledger/tlog/tile";

/** A public object of a log. Its path below the ledger's base names it. */
export type Address = { readonly log: string } & (
  | { readonly kind: "checkpoint" }
  | { readonly kind: "tile"; readonly level: number; readonly index: number; readonly width: number }
  | { readonly kind: "entries"; readonly index: number; readonly width: number }
  | { readonly kind: "frame"; readonly number: number }
  /** Frames `first` to `last` joined, as an object of the second copy has them. */
  | { readonly kind: "frames"; readonly first: number; readonly last: number }
  /** The list of these objects, from the one that has frame `number`. */
  | { readonly kind: "copies"; readonly number: number }
  | { readonly kind: "proof"; readonly index: number }
);

export type AddressProblem = "no_such_address" | "malformed_address";

/**
 * Reads the paths of C2SP tlog-tiles "APIs", of frames and of proofs. No valid path has percent-encoding, so
 * nothing is decoded.
 */
export function readAddress(path: string): Result<Address, AddressProblem> {
  const [, log = "", kind, ...rest] = path.split("/");
  if (parseLogName(log) === undefined && log !== ROOT_LOG) return err("no_such_address");
  if (kind === "checkpoint" && rest.length === 0) return ok({ log, kind });
  if (kind === "tile") return readTile(log, rest[0], rest.slice(1).join("/"));
  if (kind === "frames") return readFrames(log, rest.join("/"));
  if (kind !== "frame" && kind !== "proof") return err("no_such_address");
  const number = decimal(rest.join("/"));
  if (number === undefined) return err("malformed_address");
  return ok(kind === "frame" ? { log, kind, number } : { log, kind, index: number });
}

/** The path of an object, beginning with the log's name. `readAddress` reads it. */
export function addressPath(address: Address): string {
  const { log, kind } = address;
  switch (kind) {
    case "checkpoint":
      return `${log}/checkpoint`;
    case "tile":
      return `${log}/tile/${address.level}/${tilePath(address.index, address.width)}`;
    case "entries":
      return `${log}/tile/entries/${tilePath(address.index, address.width)}`;
    case "frame":
      return `${log}/frame/${address.number}`;
    case "frames":
      return `${log}/frames/${rangeText(address)}`;
    case "copies":
      return `${log}/frames/from/${address.number}`;
    case "proof":
      return `${log}/proof/${address.index}`;
  }
}

function readFrames(log: string, path: string): Result<Address, AddressProblem> {
  const number = path.startsWith("from/") ? decimal(path.slice("from/".length)) : undefined;
  if (number !== undefined) return ok({ log, kind: "copies", number });
  const range = readRange(path);
  return range === undefined ? err("malformed_address") : ok({ log, kind: "frames", ...range });
}

function readTile(log: string, level: string | undefined, path: string): Result<Address, AddressProblem> {
  const at = parseTilePath(path);
  if (at === undefined) return err("malformed_address");
  if (level === "entries") return ok({ log, kind: "entries", ...at });
  const number = decimal(level);
  return number === undefined || number > 63
    ? err("malformed_address")
    : ok({ log, kind: "tile", level: number, ...at });
}
