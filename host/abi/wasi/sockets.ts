/** Imports: sockets. There are none, so no descriptor is one. */
import { type Errno, errnoOf, fail } from "./errno.ts";
import type { World } from "./world.ts";

export const sockets = (world: World) => {
  const refuse = (fd: number): Errno =>
    errnoOf(() => {
      world.descriptors().get(fd);
      fail("notsock");
    });

  return {
    sock_accept: (fd: number, _flags: number, _result: number): Errno => refuse(fd),
    sock_recv: (fd: number, _buffers: number, _count: number, _flags: number, _size: number, _outFlags: number): Errno =>
      refuse(fd),
    sock_send: (fd: number, _buffers: number, _count: number, _flags: number, _size: number): Errno => refuse(fd),
    sock_shutdown: (fd: number, _how: number): Errno => refuse(fd),
  };
};
