/**
 * Makes a checkout ready to run, and does only what is missing: installs the packages of package-lock.json, and with `--functions`
 * builds the sample functions. Those in C and C++ need a clang: with `--clang`, too, it is installed where that is possible.
 * Plain JavaScript without packages: it runs before there are any, under Node 20 and later.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url)).replace(/[\\/]$/, "");
const modules = join(root, "node_modules");
/** Holds the hash of the lock file that was installed. Inside node_modules, so that it goes when they go. */
const stampPath = join(modules, ".neap-setup");
const MIN_MAJOR = 26;
const ARGUMENTS = ["--functions", "--clang"];

class SetupError extends Error {}

async function main(argv) {
  const unknown = argv.find((argument) => !ARGUMENTS.includes(argument));
  if (unknown !== undefined) {
    throw new SetupError(`unknown argument ${unknown}; there are ${ARGUMENTS.join(" and ")}`);
  }
  await installPackages();
  if (argv.includes("--functions")) {
    buildFunctions(argv.filter((argument) => argument === "--clang"));
  }
}

async function installPackages() {
  const lock = readFileSync(join(root, "package-lock.json"), "utf8");
  const hash = createHash("sha256").update(lock).digest("hex");
  if (readIfThere(stampPath) === hash) {
    return;
  }
  if (!isInstalled(lock)) {
    say(
      existsSync(modules)
        ? "packages changed: installing them (npm install)"
        : "first start: installing packages (npm install), about a minute",
    );
    await npmInstall();
    // npm may have added packages of other platforms that its registry knows: the file is not setup's to change.
    writeFileSync(join(root, "package-lock.json"), lock);
    say("packages are installed");
  }
  writeFileSync(stampPath, hash);
}

/** Whether npm has installed just what the lock file names, by npm's own account; packages of other platforms may be missing. */
function isInstalled(lock) {
  const account = readIfThere(join(modules, ".package-lock.json"));
  if (account === undefined) {
    return false;
  }
  const wanted = packagesOf(lock);
  const found = packagesOf(account);
  return (
    Object.entries(found).every(([path, entry]) => wanted[path]?.version === entry.version) &&
    Object.entries(wanted).every(([path, entry]) => path === "" || path in found || entry.optional === true)
  );
}

function packagesOf(lock) {
  try {
    return JSON.parse(lock).packages ?? {};
  } catch {
    return {};
  }
}

/**
 * Not `npm ci`: that one refuses a lock file without the packages of other platforms, which not every registry has.
 *
 * Under `npm start` the PATH begins with node_modules/.bin, whose `node` npm would run on while it deletes it. So npm gets a PATH
 * without this project: it runs on the machine's own Node. This process may be the one that is deleted: it is in memory, and loads
 * nothing from node_modules.
 */
function npmInstall() {
  const env = { ...process.env, PATH: machinePath() };
  // Tools that build and the pinned Node are development and optional packages: wanted whatever the machine's npm leaves out.
  // None of them needs a script of its own to be run.
  const args = [
    "install",
    "--no-audit",
    "--no-fund",
    "--ignore-scripts",
    "--include=dev",
    "--include=optional",
    "--loglevel=error",
  ];
  return new Promise((done, fail) => {
    const npm = spawn("npm", args, { cwd: root, env, stdio: ["ignore", "inherit", "pipe"], shell: process.platform === "win32" });
    let complaints = "";
    npm.stderr.on("data", (chunk) => {
      complaints += chunk;
      process.stderr.write(chunk);
    });
    npm.on("error", (error) =>
      fail(
        new SetupError(
          error.code === "ENOENT"
            ? "npm is not on the PATH; install Node.js with npm (https://nodejs.org), then run this again"
            : `npm cannot be started: ${error.message}`,
        ),
      ),
    );
    npm.on("close", (code, signal) => (code === 0 ? done() : fail(new SetupError(explain(complaints, code ?? signal)))));
  });
}

function explain(complaints, outcome) {
  const network = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|network|CERT/.exec(complaints)?.[0];
  if (network !== undefined) {
    return `npm cannot reach its registry (${network}). Check the network and any proxy; \`npm config get registry\` shows what is asked. Then run this again`;
  }
  if (complaints.includes("ENOSPC")) {
    return "the disk is full; the packages need about 400 MB";
  }
  if (complaints.includes("EACCES") || complaints.includes("EPERM")) {
    return `npm may not write to ${modules}; its owner is another user`;
  }
  return `npm install failed (${outcome}); its own words are above`;
}

function machinePath() {
  const own = resolve(modules, ".bin");
  return (process.env.PATH ?? "")
    .split(delimiter)
    .filter((entry) => resolve(entry) !== own)
    .join(delimiter);
}

function buildFunctions(args) {
  const built = spawnSync(pinnedNode(), [join(root, "functions", "build.ts"), ...args], { cwd: root, stdio: "inherit" });
  if (built.status !== 0) {
    throw new SetupError(`the sample functions could not be built (${built.error?.message ?? built.status ?? built.signal})`);
  }
}

/** The Node of the lock file; on platforms it has none for, the one that runs this, if it is new enough. */
function pinnedNode() {
  const pinned = join(modules, ".bin", "node");
  if (existsSync(pinned)) {
    return pinned;
  }
  if (Number(process.versions.node.split(".")[0]) >= MIN_MAJOR) {
    return process.execPath;
  }
  throw new SetupError(
    `there is no packaged Node for ${process.platform}-${process.arch}, and this one is ${process.version}: install Node ${MIN_MAJOR} or later`,
  );
}

function readIfThere(path) {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

function say(text) {
  process.stderr.write(`neap setup: ${text}\n`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  say(error instanceof SetupError ? error.message : error.stack);
  process.exitCode = 1;
}
