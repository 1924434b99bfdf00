import type { Server, Socket } from "node:net";

/**
 * Returns a function that ends a server and all connections of the server at once. Call `endAtOnce` before the server
 * listens. Node's `closeAllConnections` leaves connections open whose TLS handshake has not begun. A browser opens
 * such connections in advance, and each keeps a server open for up to two minutes.
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
