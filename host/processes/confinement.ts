/**
 * What keeps a process apart that the engine no longer does, if its guest breaks out: the strongest way to start one that this system
 * allows. Each is tried once, with the very program that will run.
 */
import { spawn } from "node:child_process";

/** What is active on this machine; part of `GET /v1/security`. */
export interface ConfinementDefences {
  /** No files, network, child processes or add-ons for JavaScript (Node's permission model); no threads, unless its guests share memory. */
  readonly permissions: true;
  /** A user of its own for each process: it may read and signal nothing of another one's. */
  readonly ownUser: boolean;
  /** It sees no process but itself: there is nothing that it could signal or trace. */
  readonly ownProcessIds: boolean;
  /** The kernel gives it no network, whatever it runs. */
  readonly ownNetwork: boolean;
  /** No capabilities, and no way to get any by running a program. */
  readonly noPrivileges: boolean;
  /** The kernel ends it with what has started it, even when that is killed while a guest loops. */
  readonly diesWithHost: boolean;
}

/** How a process is started so. */
export interface Confinement {
  readonly defences: ConfinementDefences;
  /** Whether the process is the only child of the one that is spawned, not that one itself. */
  readonly isNested: boolean;
  /** What stands before the command line; `user` is not used by any other process of this host. */
  command(user: number): readonly string[];
  /** For `spawn`; undefined: the host's own. */
  userOf(user: number): number | undefined;
}

/**
 * Ranges in which no system gives users out: of the whole 31 bits, and for containers that have 65,536 of them. See
 * https://systemd.io/UIDS-GIDS/
 */
const USER_BASES = [0x7000_0000, 60_578] as const;
const USERS = 600;
const TRY_TIMEOUT_MS = 10_000;

const DIES = ["setpriv", "--pdeathsig", "KILL"];
const UNPRIVILEGED = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"];
const SPACES = ["--pid", "--fork", "--net", "--ipc", "--mount-proc", "--kill-child=SIGKILL"];

const NONE: ConfinementDefences = {
  permissions: true,
  ownUser: false,
  ownProcessIds: false,
  ownNetwork: false,
  noPrivileges: false,
  diesWithHost: false,
};
const SPACES_DEFENCES = { ownProcessIds: true, ownNetwork: true };
const SETPRIV_DEFENCES = { noPrivileges: true, diesWithHost: true };

const UNCONFINED: Confinement = {
  defences: NONE,
  isNested: false,
  command: () => [],
  userOf: () => undefined,
};

/**
 * The strongest way that works here with `program` at the end of the command line. The weakest, which always does, is not confined.
 *
 * @param leftOut  of the strongest ones; for tests of the others
 */
export async function strongest(program: readonly string[], leftOut: number): Promise<Confinement> {
  const isRoot = process.getuid?.() === 0;
  const known = process.platform === "win32" ? [] : isRoot ? USER_BASES.flatMap(asRoot) : WITHOUT_ROOT;
  let left = leftOut;
  for (const confinement of known) {
    if ((await works(confinement, program)) && left-- === 0) {
      return confinement;
    }
  }
  return UNCONFINED;
}

function asRoot(base: number): Confinement[] {
  const own = (user: number) => {
    const id = `${base + (user % USERS)}`;
    return ["--reuid", id, "--regid", id, "--clear-groups"];
  };
  return [
    {
      defences: { ...NONE, ...SPACES_DEFENCES, ...SETPRIV_DEFENCES, ownUser: true },
      isNested: true,
      command: (user) => [...DIES, "unshare", ...SPACES, ...DIES, ...own(user), ...UNPRIVILEGED],
      userOf: () => undefined,
    },
    {
      defences: { ...NONE, ...SETPRIV_DEFENCES, ownUser: true },
      isNested: false,
      command: (user) => [...DIES, ...own(user), ...UNPRIVILEGED],
      userOf: () => undefined,
    },
    {
      defences: { ...NONE, ownUser: true },
      isNested: false,
      command: () => [],
      userOf: (user) => base + (user % USERS),
    },
  ];
}

const WITHOUT_ROOT: readonly Confinement[] = [
  {
    defences: { ...NONE, ...SPACES_DEFENCES, ...SETPRIV_DEFENCES },
    isNested: true,
    command: () => [...DIES, "unshare", "--user", "--map-root-user", ...SPACES, ...DIES, ...UNPRIVILEGED],
    userOf: () => undefined,
  },
  {
    defences: { ...NONE, ...SETPRIV_DEFENCES },
    isNested: false,
    command: () => [...DIES, "--no-new-privs"],
    userOf: () => undefined,
  },
];

async function works(confinement: Confinement, program: readonly string[]): Promise<boolean> {
  const [command = "", ...args] = [...confinement.command(0), ...program];
  const user = confinement.userOf(0);
  const options = { env: {}, cwd: "/", stdio: "ignore", timeout: TRY_TIMEOUT_MS, killSignal: "SIGKILL" } as const;
  const child = spawn(command, args, user === undefined ? options : { ...options, uid: user, gid: user });
  return new Promise((resolve) => {
    child.once("error", () => resolve(false));
    child.once("exit", (code) => resolve(code === 0));
  });
}
