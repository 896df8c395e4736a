/** The invocation layer over a real shard with a journal in memory, and guests that are functions of the test. */
import { createHash } from "node:crypto";
import {
  type CallAnswer,
  type CallRequest,
  createInvocations,
  type InvocationLimits,
  type InvocationService,
  PartHost,
} from "../../host/invocation/index.ts";
import { ARTEFACT_FOR_SCRIPTS, type Functions, type ModuleHash } from "./scripted-functions.ts";
