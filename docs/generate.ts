/** `npm run docs`: writes the pages, headers and the sample configuration that are made from other files. */
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { faasmHeader, neapImportsHeader } from "../guest-sdk/c-imports.ts";
import { hostAbiPage } from "../guest-sdk/host-abi-page.ts";
import { configurationPage } from "../host/config/configuration-page.ts";
import { sampleEnvironment } from "../host/config/index.ts";
import { limitsPage } from "../host/tenancy/limits-page.ts";

export interface GeneratedPage {
  readonly url: URL;
  text(): string;
}

export const GENERATED_PAGES: readonly GeneratedPage[] = [
  { url: new URL("reference/host-abi.md", import.meta.url), text: hostAbiPage },
  { url: new URL("reference/configuration.md", import.meta.url), text: configurationPage },
  { url: new URL("reference/limits.md", import.meta.url), text: limitsPage },
  { url: new URL("../deploy/config/neap.env", import.meta.url), text: sampleEnvironment },
  { url: new URL("../guest-sdk/include/neap/imports.h", import.meta.url), text: neapImportsHeader },
  { url: new URL("../guest-sdk/include/faasm.h", import.meta.url), text: faasmHeader },
];

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const page of GENERATED_PAGES) {
    writeFileSync(page.url, page.text());
  }
}
