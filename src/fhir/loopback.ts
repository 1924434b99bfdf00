/**
 * True for a host that is this machine: `localhost`, `[::1]` and 127.0.0.0/8 (RFC 1122 §3.2.1.3).
 * @param hostname of a `URL`: its parser has normalised each notation of an IP address (WHATWG URL §3.5).
 */
export const isLoopback = (hostname: string): boolean =>
  hostname === "localhost" || hostname === "[::1]" || /^127(?:\.\d+){3}$/u.test(hostname);

/** True for a URL that no network carries in the clear: https, or http to this machine. */
export const isPrivateUrl = ({ protocol, hostname }: URL): boolean =>
  protocol === "https:" || (protocol === "http:" && isLoopback(hostname));
