import type { Server, Socket } from "node:net";

/**
 * A function that ends a server and each of its connections at once. Call this before the server listens. Node's
 * `closeAllConnections` does not know a connection whose TLS handshake has not begun, and a browser opens some in
 * advance: such a connection kept a server open for two minutes.
 */
export function endAtOnce(server: Server): () => Promise<void> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return () =>
    new Promise((closed) => {
      server.close(() => closed());
      for (const socket of sockets) socket.destroy();
    });
}
