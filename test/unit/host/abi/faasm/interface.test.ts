/** Faasm's host interface name by name: each is offered, or an upload that imports it is refused with the reason. */
import { describe, expect, it } from "vitest";
import abi from "../../../../../guest-sdk/abi.json" with { type: "json" };
import { abiTable } from "../../../../../host/abi/index.ts";
import { prepareModule } from "../../../../../host/modules/preparation.ts";
import { wat } from "../../../../support/guest-modules.ts";

const LIMITS = { moduleMaxBytes: 1 << 20, memoryMaxPages: 16, tableMaxElements: 10, uploadTimeoutMs: 10_000 };

const named = (prefix: string, names: string): readonly string[] => names.split(" ").map((name) => prefix + name);

/** What modules for Faasm and AutoNDP import, but for WASI and sockets. */
const FAASM = [
  ...named("__faasm_", "read_input write_output chain_name chain_ptr chain_py await_call await_call_output"),
  ...named("__faasm_", "get_py_user get_py_func get_py_entry conf_flag backtrace"),
  ...named("__faasm_", "read_state read_state_ptr read_state_offset read_state_offset_ptr write_state write_state_offset"),
  ...named("__faasm_", "write_state_from_file append_state read_appended_state clear_appended_state flag_state_dirty"),
  ...named("__faasm_", "flag_state_offset_dirty push_state push_state_partial push_state_partial_mask pull_state"),
  ...named("__faasm_", "lock_state_read unlock_state_read lock_state_write unlock_state_write"),
  ...named("", "mmap munmap __sbrk shm_open dlopen dlsym dlclose dlerror ffi_call ffi_prep_closure_loc"),
  ...named("", "__cxa_allocate_exception __cxa_throw _Unwind_RaiseException _Unwind_Resume _Unwind_DeleteException"),
  ...named("pthread_", "create join detach exit self equal once key_create key_delete getspecific setspecific"),
  ...named("pthread_", "mutex_init mutex_destroy mutex_lock mutex_trylock mutex_unlock mutexattr_init mutexattr_destroy"),
  ...named("pthread_", "cond_init cond_destroy cond_wait cond_signal cond_broadcast attr_init attr_destroy"),
  ...named("__kmpc_", "fork_call push_num_threads global_thread_num barrier critical end_critical master end_master single"),
  ...named("__kmpc_", "end_single flush for_static_init_4 for_static_init_8 for_static_fini reduce reduce_nowait"),
  ...named("__kmpc_", "end_reduce end_reduce_nowait"),
  ...named("omp_", "get_thread_num get_num_threads get_max_threads set_num_threads get_level get_wtime"),
  ...named("__faasm_", "sm_reduce sm_critical_local sm_critical_local_end migrate_point"),
  ...named("__faasmndp_", "put getMmap unmap storageCallAndAwait storageCallAndAwait1 storageCallAndAwait2"),
  "__faasmndp_storageCallAndAwait_py",
];

/** Those of MPI that Faasm has, without what needs no import here. */
const MPI = [
  ...named("MPI_", "Init Finalize Comm_rank Comm_size Comm_dup Comm_split Comm_free Wtime Get_count Abort"),
  ...named("MPI_", "Send Recv Isend Irecv Sendrecv Wait Waitall Waitany Probe Barrier Bcast"),
  ...named("MPI_", "Scatter Scatterv Gather Gatherv Allgather Allgatherv Alltoall Alltoallv"),
  ...named("MPI_", "Reduce Allreduce Scan Reduce_scatter Cart_create Cart_get Cart_rank Cart_shift"),
  ...named("MPI_", "Op_create Op_free Type_contiguous Type_commit Type_free Type_size"),
  ...named("MPI_", "Win_create Win_fence Win_free Put Get Accumulate"),
];

const REFUSED = [
  ...named("__faasm_", "chain_py get_py_user get_py_func get_py_entry"),
  ...["__faasmndp_storageCallAndAwait_py", "shm_open", "ffi_prep_closure_loc"],
];

const importing = (name: string) => () =>
  prepareModule(
    wat(`(module (import "env" "${name}" (func)) (memory (export "memory") 1) (func (export "main")))`),
    abiTable,
    LIMITS,
  );

it("all of it is offered but these", () => {
  expect([...FAASM, ...MPI].filter((name) => !abiTable.has(`env.${name}`)).sort()).toEqual([...REFUSED].sort());
});

describe("an upload is refused for what is not offered, by its name and with the reason", () => {
  const reasons = abi.refused.flatMap(({ names, reason }) =>
    names.map((name) => ({ name: name.replace("*", "_something_else"), reason })),
  );
  it.each(reasons)("$name", ({ name, reason }) => {
    expect(importing(name)).toThrow(`"env.${name}" () -> () is not offered by this host: ${reason}`);
  });

  it.each(REFUSED)("Faasm's %s", (name) => {
    expect(importing(name)).toThrow(new RegExp(`"env.${name}" \\(\\) -> \\(\\) is not offered by this host: .{20}`));
  });
});
