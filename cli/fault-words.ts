/** Faults of the operating system about a file (errno), each with what to do. */
const fileFaults: Readonly<Record<string, string>> = {
  ENOENT: "does not exist: check the name and the folder",
  EACCES: "may not be opened by this user: check its permissions",
  EISDIR: "is a folder: name a file",
  ENOTDIR: "is below a file and not below a folder: check the name",
  EEXIST: "exists already: name a new file or folder",
  EPERM: "may not be changed by this user: check its permissions",
  EROFS: "is on a disk that cannot be written: name a place on a different disk",
};

const untrusted = "shows a certificate of no trusted authority: name the authority with --ca FILE";

/** Faults of a connection (errno, and codes of Node's TLS), each with what to do. */
const networkFaults: Readonly<Record<string, string>> = {
  ECONNREFUSED: "does not answer: check the address, and that the server runs (`npm start` for the sandbox)",
  ECONNRESET: "ended the connection: check the certificate that this call shows, and that the server runs",
  EPIPE: "ended the connection: check the certificate that this call shows, and that the server runs",
  ETIMEDOUT: "does not answer in time: check the address and the network",
  EHOSTUNREACH: "cannot be reached: check the address and the network",
  ENETUNREACH: "cannot be reached: check the address and the network",
  ENOTFOUND: "is no known host: check the spelling of the address",
  EAI_AGAIN: "cannot be looked up now: check the address and the network",
  CERT_HAS_EXPIRED: "shows a certificate that has ended: renew the certificate of the server",
  ERR_TLS_CERT_ALTNAME_INVALID: "shows the certificate of a different host: check the address",
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
};

/** The fault in words, with what to do where that is known. */
export function faultWords(fault: unknown): string {
  if (!(fault instanceof Error)) return String(fault);
  const code = codeOf(fault);
  // A folder that is made with its parents: Node says ENOENT for a disk that cannot be written.
  if (code === "ENOENT" && memberOf(fault, "syscall") === "mkdir")
    return `${pathOf(fault)} cannot be made: check the name, and that its disk can be written`;
  if (isFileFault(fault)) return `${pathOf(fault)} ${fileFaults[code]}`;
  // The fault of a write has no path.
  if (code === "ENOSPC") return "the disk is full: make room on it, and run the command again";
  if (hasWords(networkFaults, code)) return `${hostOf(fault)} ${networkFaults[code]}`;
  // fetch hides the fault of the connection behind its own
  return fault.cause instanceof Error && fault instanceof TypeError ? faultWords(fault.cause) : fault.message;
}

/** Answers whether the operating system refused a file that the fault names. */
export const isFileFault = (fault: unknown): boolean =>
  hasWords(fileFaults, codeOf(fault)) && pathOf(fault) !== "";

const hasWords = (table: Readonly<Record<string, string>>, code: string): boolean =>
  Object.hasOwn(table, code);

const memberOf = (fault: unknown, name: string): string => {
  const value: unknown = fault instanceof Error ? Reflect.get(fault, name) : undefined;
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
};
const codeOf = (fault: unknown): string => memberOf(fault, "code");
/** The path of a fault about a file. A read of a folder (EISDIR) has none. */
const pathOf = (fault: unknown): string =>
  memberOf(fault, "path") || (codeOf(fault) === "EISDIR" ? "the path" : "");

function hostOf(fault: Error): string {
  const [host, port] = [
    memberOf(fault, "hostname") || memberOf(fault, "host") || memberOf(fault, "address"),
    memberOf(fault, "port"),
  ];
  if (host === "") return "the server";
  return port === "" ? host : `${host}:${port}`;
}
