import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { HelpAsked, type Machine, parseConfig, sampleEnvironment } from "../../../../host/config/index.ts";

const files: Record<string, string> = {
  "tokens.json": '{"0123456789abcdef": "demo", "fedcba9876543210": "*"}',
  "short.json": '{"abc": "demo"}',
  "list.json": "[]",
  "broken.json": "{",
  "empty.json": "{}",
  "tenant.json": '{"0123456789abcdef": "../x"}',
  "tenants.json": '{"demo": {"limits": {"wallTimeMs": 60000}}, "reaching": {"egress": ["10.0.0.5"]}}',
  "bad-tenants.json": '{"demo": {"limits": {"wallTimeMs": -1}}}',
  key: "a secret of some length\n",
  "short-key": "abc",
};
const machine: Machine = {
  hostName: "node-7",
  cores: 4,
  readText: (path) => {
    const text = files[path];
    if (text === undefined) {
      throw new Error("ENOENT");
    }
    return text;
  },
};
const parse = (argv: string[] = [], env: Record<string, string> = {}) => parseConfig(argv, env, machine);
const refusal = (argv: string[], env: Record<string, string> = {}) => {
  try {
    parse(argv, env);
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error(`accepted: ${argv.join(" ")}`);
};

describe("defaults", () => {
  test("without flags and environment every field has its default", () => {
    expect(parse()).toMatchObject({
      role: "all",
      nodeName: "node-7",
      dataDirectory: "./data",
      host: "127.0.0.1",
      port: 8080,
      aliasPort: 8002,
      access: { tokens: null, insecureOpen: false, corsOrigins: [], allowedHosts: [] },
      cluster: { listenHost: "127.0.0.1", listenPort: 7100, key: null, storageUrl: null },
      limits: { moduleMaxBytes: 16_777_216, memoryMaxPages: 4096, wallTimeMs: 30_000, objectMaxBytes: 1_073_741_824 },
      workers: { compute: 3, storage: 2 },
      offload: { policy: "marked", cpuThreshold: 0.8, memoryThreshold: 0.9 },
      recovery: { attemptsMax: 3 },
      protocols: { runAhead: true },
      retention: { resultsMs: 86_400_000, collectIntervalMs: 5000, collectMinGarbage: 1000 },
      graceMs: 8000,
    });
  });
});

describe("order of sources", () => {
  test("a flag wins over the environment, the environment over the default", () => {
    expect(parse([], { NEAP_PORT: "9000" }).port).toBe(9000);
    expect(parse(["--port", "9001"], { NEAP_PORT: "9000" }).port).toBe(9001);
  });
  test("an empty value counts as not given", () => {
    expect(parse(["--port="], { NEAP_PORT: "" }).port).toBe(8080);
  });
  test("variables without the prefix are none of the host's business", () => {
    expect(parse([], { PATH: "/bin", NEAPX: "1" }).port).toBe(8080);
  });
  test("lists are comma-separated, switches need no value", () => {
    const config = parse(["--allowed-hosts", "a.example, b.example", "--insecure-open"], {
      NEAP_CORS_ORIGINS: "https://a.example",
    });
    expect(config.access).toEqual({
      tokens: null,
      insecureOpen: true,
      corsOrigins: ["https://a.example"],
      allowedHosts: ["a.example", "b.example"],
    });
  });
});

test("where functions may send requests: the option, and the file's lists", () => {
  const { egress } = parse(["--egress-allow", "a.example:81, *.b.example", "--tenants-file", "tenants.json"]);
  expect(egress.allow.map(({ host, covers, port }) => [host, covers, port])).toEqual([
    ["a.example", "host", 81],
    ["b.example", "below", null],
  ]);
  expect([...egress.allowOf].map(([tenant, list]) => [tenant, list.map(({ host }) => host)])).toEqual([
    ["reaching", ["10.0.0.5"]],
  ]);
});

describe("refusals", () => {
  test.each([
    [["--prot", "1"], {}, "--prot"],
    [["stray"], {}, "stray"],
    [["--port"], {}, "--port"],
    [["--port", "99999"], {}, "--port"],
    [["--port", "80 80"], {}, "--port"],
    [["--port", "-1"], {}, "--port"],
    [["--port", "1e3"], {}, "--port"],
    [["--wall-time-ms", "1.5"], {}, "--wall-time-ms"],
    [["--role", "king"], {}, "all | storage | compute"],
    [["--offload-cpu-threshold", "2"], {}, "--offload-cpu-threshold"],
    [["--insecure-open=maybe"], {}, "--insecure-open"],
    [["--cluster-key", "on the command line for all to read"], {}, "--cluster-key"],
    [[], { NEAP_PROT: "1" }, "NEAP_PROT"],
    [[], { NEAP_PORT: "many" }, "NEAP_PORT"],
    [["--node-name", "a b"], {}, "--node-name"],
    [["--cors-origins", "https://a.example/path"], {}, "--cors-origins"],
    [["--cors-origins", "*"], {}, "--cors-origins"],
    [["--egress-allow", "a.example,http://"], {}, '--egress-allow has "http://"'],
    [["--tokens-file", "missing.json"], {}, "missing.json"],
    [["--tokens-file", "broken.json"], {}, "not JSON"],
    [["--tokens-file", "list.json"], {}, "must be an object"],
    [["--tokens-file", "short.json"], {}, "3 characters"],
    [["--tokens-file", "empty.json"], {}, "no token"],
    [["--tokens-file", "tenant.json"], {}, "../x"],
    [["--tenants-file", "missing.json"], {}, "missing.json"],
    [["--tenants-file", "bad-tenants.json"], {}, "--tenants-file bad-tenants.json has demo.limits.wallTimeMs"],
    [["--role", "storage"], {}, "cluster key"],
    [["--cluster-key-file", "short-key"], {}, "3 characters"],
    [["--cluster-key-file", "key"], { NEAP_CLUSTER_KEY: "another secret of length" }, "both given"],
    [["--role", "compute", "--cluster-key-file", "key"], {}, "--storage-url"],
    [["--role", "compute", "--cluster-key-file", "key", "--storage-url", "http://x"], {}, "--storage-url"],
    [["--storage-url", "ws://127.0.0.1:7100"], {}, "--storage-url"],
  ] as [string[], Record<string, string>, string][])("%j %j is refused with BAD_OPTION naming it", (argv, env, named) => {
    const error = refusal(argv, env);
    expect(error.code).toBe("BAD_OPTION");
    expect(error.message).toContain(named);
  });

  test("a refused secret is not repeated in the message", () => {
    expect(refusal(["--cluster-key-file", "short-key"]).message).not.toContain("abc");
    expect(refusal(["--tokens-file", "short.json"]).message).not.toContain("abc");
  });

  test.each(["0.0.0.0", "::", "192.168.1.5", "example.org"])(
    "H25: without tokens %s is refused unless --insecure-open",
    (host) => {
      expect(refusal(["--host", host]).message).toContain("--insecure-open");
      expect(parse(["--host", host, "--insecure-open"]).host).toBe(host);
      expect(parse(["--host", host, "--tokens-file", "tokens.json"]).access.tokens?.size).toBe(2);
    },
  );
  test.each(["127.0.0.1", "127.9.9.9", "localhost", "::1"])("H25: loopback address %s needs no tokens", (host) => {
    expect(parse(["--host", host]).host).toBe(host);
  });
});

test("what the operator says of tenants comes from a file", () => {
  expect(parse().tenants.size).toBe(0);
  expect(parse(["--tenants-file", "tenants.json"]).tenants.get("demo")).toEqual({ limits: { wallTimeMs: 60_000 } });
});

describe("cluster", () => {
  test("the key comes from a file, without its line end, or from the environment", () => {
    const argv = ["--role", "compute", "--storage-url", "ws://127.0.0.1:7100"];
    expect(parse([...argv, "--cluster-key-file", "key"]).cluster.key).toBe("a secret of some length");
    expect(parse(argv, { NEAP_CLUSTER_KEY: "from the environment" }).cluster).toMatchObject({
      key: "from the environment",
      storageUrl: "ws://127.0.0.1:7100",
    });
  });
});

describe("documentation", () => {
  test("--version shows that of the package", () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    expect(() => parse(["--version"])).toThrow(expect.objectContaining({ name: "HelpAsked", text: `${version}\n` }));
  });

  test("--help names every option but secrets", () => {
    let text = "";
    try {
      parse(["--help"]);
    } catch (error) {
      text = error instanceof HelpAsked ? error.text : "";
    }
    for (const flag of ["--role", "--port", "--object-max-bytes", "--offload-policy", "--retention-results-ms", "Examples:"]) {
      expect(text).toContain(flag);
    }
    expect(text).not.toMatch(/--cluster-key </);
  });
  test("the sample file with every comment taken away is accepted, but for what roles exclude", () => {
    const env: Record<string, string> = {};
    for (const [, name, value] of sampleEnvironment().matchAll(/^# (NEAP_[A-Z_]+)=(.*)$/gm)) {
      env[String(name)] = String(value);
    }
    expect(Object.keys(env).length).toBeGreaterThan(30);
    expect(parse([], env)).toEqual(parse(["--node-name", "node-1", "--compute-workers", "1", "--storage-workers", "1"]));
  });
});
