/** Listening, and what is said when a port cannot be had. */
import { createServer, type Server } from "node:net";
import { hasCode, NeapError } from "../../state/errors.ts";

/**
 * Tells whether a port can be listened on, before anything is opened that a start without it would have changed. It can still be
 * taken afterwards, by somebody else.
 *
 * @param option  chooses the port
 * @throws PORT_IN_USE naming port and option; BAD_OPTION for an address that is not this machine's, or a port that this user may not have
 */
export async function checkPort(option: string, host: string, port: number): Promise<void> {
  const probe = createServer();
  await bind(probe, host, port, option);
  await new Promise((resolve) => probe.close(resolve));
}

/** @throws as `checkPort` */
export async function bind(server: Server, host: string, port: number, option: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const onError = (error: Error) => {
      server.off("listening", onListening);
      reject(
        hasCode(error, "EADDRINUSE")
          ? new NeapError("PORT_IN_USE", `port ${port} on ${host} is in use by another process; ${option} chooses another one`)
          : new NeapError("BAD_OPTION", `the host cannot listen on ${host}, port ${port}: ${error.message}`, { cause: error }),
      );
    };
    const onListening = () => {
      server.off("error", onError);
      resolve();
    };
    server.once("error", onError);
    server.once("listening", onListening);
    server.listen(port, host);
  });
}
